"""Trainings at once, each in a process of its own. One that dies costs its own run, not the sweep."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.data.registry import load_dataset
from bench3dmm.errors import Bench3dmmError
from bench3dmm.record.grid import differences
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import result_path
from bench3dmm.system.device import usable_cores
from bench3dmm.system.parallel import end_with_parent
from bench3dmm.system.words import duration
from bench3dmm.tasks.published import base_run
from bench3dmm.tasks.registry import get_task

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from multiprocessing.process import BaseProcess


def train_at_once(
    missing: Sequence[Run],
    runs: Sequence[Run],
    results_dir: str | Path,
    device: str,
    force: bool,
    progress: bool,
    jobs: int,
) -> dict[Run, str]:
    """Train in processes that end with the sweep; returns why runs failed.

    A run that others begin with is trained once, before them, also where the sweep does not ask for it. A run whose
    process dies, as for want of memory, is tried once more when no other is trained.
    """
    for name in dict.fromkeys(run.dataset for run in missing):
        load_dataset(name, progress=progress)  # generated once, not by every process
    missing = [*_bases(missing, results_dir), *missing]
    plan = _Plan(list(dict.fromkeys(missing)))
    threads = max(1, usable_cores() // jobs)
    context = multiprocessing.get_context("spawn")
    settings = (threads, str(results_dir), device, force, jobs)
    said, started = 0, time.perf_counter()

    def finished(run: Run, line: str) -> None:
        nonlocal said
        said += 1
        if progress:
            label = f"[{said}/{len(plan.all)}] {run.run_id} {differences(run, runs)}"
            left = (time.perf_counter() - started) / said * (len(plan.all) - said)
            rest = f"; about {duration(left)} left" if left else ""
            print(f"{label}: {line}{rest}", file=sys.stderr, flush=True)

    workers: list[_Worker] = []
    try:
        for _ in range(min(jobs, len(plan.all))):
            workers.append(_Worker(context, settings))
        while not plan.done:
            for worker in workers:
                if worker.run is None and (run := plan.next_run(alone=not any(one.run for one in workers))):
                    worker.begin(run)
            answered = wait([worker.answers for worker in workers if worker.run])
            for place, worker in enumerate(workers):
                if worker.answers not in answered or worker.run is None:
                    continue
                run, answer = worker.run, worker.answer()
                if answer is None:
                    workers[place] = _Worker(context, settings)
                if line := plan.end(run, answer, worker.exit_code):
                    finished(run, line)
            for run, reason in plan.given_up():
                finished(run, reason)
    finally:
        for worker in workers:
            worker.stop()
    return plan.failures


def _bases(missing: Iterable[Run], results_dir: str | Path) -> list[Run]:
    """What runs begin with and is not stored, each before what begins with it."""
    found: list[Run] = []
    for run in missing:
        base = base_run(run)
        if base and not result_path(base, results_dir).exists():
            found += [*_bases([base], results_dir), base]
    return list(dict.fromkeys(found))


@dataclass
class _Plan:
    """Which runs wait, which are trained, which failed and why."""

    all: list[Run]
    waiting: list[Run] = field(init=False)
    training: list[Run] = field(default_factory=list)
    alone: list[Run] = field(default_factory=list)  # whose process died once
    failures: dict[Run, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = list(self.all)

    @property
    def done(self) -> bool:
        return not (self.waiting or self.training or self.alone)

    def next_run(self, alone: bool) -> Run | None:
        """The first that waits for no other; of those that are to be tried alone one, where nothing else is left."""
        pending = {*self.waiting, *self.training, *self.alone}
        run = next((run for run in self.waiting if base_run(run) not in pending), None)
        if run:
            self.waiting.remove(run)
        elif self.alone and alone:
            run = self.alone[0]
        if run:
            self.training.append(run)
        return run

    def end(self, run: Run, answer: tuple[bool, str] | None, exit_code: int | None) -> str:
        """Note how a run ended; what to say of it, empty where it is tried once more.

        Args:
            answer: whether it is stored, and a line; None where its process died.
        """
        self.training.remove(run)
        again = run in self.alone
        if again:
            self.alone.remove(run)
        if answer is None:
            how = f"its process died ({_exit(exit_code)})"
            if not again:
                self.alone.append(run)
                return ""
            answer = False, f"{how}, also when nothing else was trained: too little memory?"
        stored, line = answer
        if not stored:
            self.failures[run] = line
        return line if stored else f"failed, {line}"

    def given_up(self) -> list[tuple[Run, str]]:
        """Runs whose base failed, which nobody need try; they fail with it."""
        found = []
        for run in list(self.waiting):
            base = base_run(run)
            if base in self.failures:
                self.waiting.remove(run)
                self.failures[run] = f"{base.run_id}, which it begins with, failed: {self.failures[base]}"
                found.append((run, f"failed, {self.failures[run]}"))
        return found


def _exit(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


class _Worker:
    """A process that trains one run after another."""

    def __init__(self, context: SpawnContext, settings: tuple[Any, ...]) -> None:
        self.answers, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, *settings))
        self.process.start()
        theirs.close()  # so that its end is seen
        self.run: Run | None = None
        self.exit_code: int | None = None

    def begin(self, run: Run) -> None:
        self.run = run
        with contextlib.suppress(OSError):  # it has died meanwhile, as its answer tells
            self.answers.send(run.as_dict())

    def answer(self) -> tuple[bool, str] | None:
        """Of the run that it trained; None where the process died."""
        self.run = None
        try:
            return self.answers.recv()
        except (EOFError, OSError):
            self.process.join()
            self.exit_code = self.process.exitcode
            return None

    def stop(self) -> None:
        """Now, whatever it does: a training goes on from its last epoch."""
        self.process.terminate()
        self.process.join()


def _work(answers: Connection, threads: int, results_dir: str, device: str, force: bool, jobs: int) -> None:
    """What a worker does: a run as it comes, and an answer."""
    import torch

    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    torch.set_num_threads(threads)
    while True:
        fields: Mapping[str, Any] = answers.recv()
        run = Run.from_dict(fields)
        started = time.perf_counter()
        try:
            result = execute(run, results_dir, device, force, progress=False, at_once=jobs)
        except Exception as error:  # whatever it is, it costs this run alone
            answers.send((False, reason_of(error)))
        else:
            unit = get_task(run.task).headline.unit
            answers.send((True, f"{result.score:.3f} {unit}, {time.perf_counter() - started:.0f} s"))


def reason_of(error: Exception) -> str:
    """Why a run failed, in a line: what this project says itself, of another exception also its kind."""
    return str(error) if isinstance(error, Bench3dmmError) else f"{type(error).__name__}: {error}".strip(": ")
