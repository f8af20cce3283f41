"""Trainings at once, each in a process of its own. One that dies costs its own run, not the sweep."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.data.registry import load_dataset
from bench3dmm.record.run import Run
from bench3dmm.runs.claims import POLL
from bench3dmm.runs.execute import execute
from bench3dmm.runs.order import expected_seconds
from bench3dmm.runs.plan import Outcome, Plan, outcome_of, planned, reason_of
from bench3dmm.runs.progress import SweepProgress, stored_line
from bench3dmm.system.device import usable_cores
from bench3dmm.system.parallel import end_with_parent
from bench3dmm.system.stops import check_stop

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from multiprocessing.process import BaseProcess


TOLD = 0.5  # seconds from word to word of a worker about its epochs


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
    process dies, as for want of memory, is tried once more when no other is trained. One that another sweep trains is
    left to it.
    """
    for name in dict.fromkeys(run.dataset for run in missing):
        load_dataset(name, progress=progress)  # generated once, not by every process
    plan = planned(missing, results_dir)
    threads = max(1, usable_cores() // jobs)
    context = multiprocessing.get_context("spawn")
    settings = (threads, str(results_dir), device, force, jobs)
    shown = SweepProgress(plan.all, runs, expected_seconds(plan.all, results_dir), progress)
    workers: list[_Worker] = []
    try:
        for _ in range(min(jobs, len(plan.all))):
            workers.append(_Worker(context, settings))
        while not plan.done:
            check_stop()
            for worker in workers:
                if worker.run is None and (run := plan.next_run(alone=not any(one.run for one in workers))):
                    worker.begin(run)
            for worker in _answering(workers, plan):
                run, answer = worker.run, worker.answer()
                assert run is not None  # it was asked
                if isinstance(answer, int):
                    shown.epoch(run, answer)
                    continue
                if worker.is_dead:
                    workers[workers.index(worker)] = _Worker(context, settings)
                if line := plan.end(run, *answer):
                    shown.finished(run, line)
            for run, reason in plan.given_up():
                shown.finished(run, reason)
    finally:
        for worker in workers:
            worker.stop()
        shown.close()
    return plan.failures


def _answering(workers: Sequence[_Worker], plan: Plan) -> list[_Worker]:
    """Those that have something to say, once there are any, or once runs that others train should be asked for."""
    asked = [worker.answers for worker in workers if worker.run]
    if not asked:
        time.sleep(POLL)
        return []
    idle = plan.waiting and len(asked) < len(workers)
    answered = wait(asked, timeout=POLL if idle else None)
    return [worker for worker in workers if worker.answers in answered]


class _Worker:
    """A process that trains one run after another."""

    def __init__(self, context: SpawnContext, settings: tuple[Any, ...]) -> None:
        self.answers, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, *settings))
        self.process.start()
        theirs.close()  # so that its end is seen
        self.run: Run | None = None
        self.is_dead = False

    def begin(self, run: Run) -> None:
        self.run = run
        with contextlib.suppress(OSError):  # it has died meanwhile, as its answer tells
            self.answers.send(run.as_dict())

    def answer(self) -> int | tuple[Outcome, str]:
        """How many epochs of its run are done, or how it ended."""
        try:
            answer = self.answers.recv()
        except (EOFError, OSError):
            self.process.join()
            self.is_dead = True
            code = self.process.exitcode
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            answer = Outcome.DIED, f"its process died ({how}): too little memory?"
        if not isinstance(answer, int):
            self.run = None
        return answer

    def stop(self) -> None:
        """Now, whatever it does: a training goes on from its last epoch."""
        self.process.terminate()
        self.process.join()


def _work(answers: Connection, threads: int, results_dir: str, device: str, force: bool, jobs: int) -> None:
    """What a worker does: a run as it comes, word of its epochs, and an answer."""
    import torch

    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    torch.set_num_threads(threads)
    said = -math.inf

    def told(epoch: int) -> None:
        nonlocal said
        if time.monotonic() - said > TOLD:
            said = time.monotonic()
            answers.send(epoch)

    while True:
        fields: Mapping[str, Any] = answers.recv()
        run = Run.from_dict(fields)
        started, said = time.perf_counter(), -math.inf
        try:
            result = execute(run, results_dir, device, force, progress=False, at_once=jobs, wait=False, told=told)
        except Exception as error:  # whatever it is, it costs this run alone
            answers.send((outcome_of(error), reason_of(error)))
        else:
            answers.send((Outcome.STORED, stored_line(result, time.perf_counter() - started)))
