"""Which runs of a sweep wait, are trained, failed and why; whoever trains asks it what comes next."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from bench3dmm.errors import Bench3dmmError, ShortOfMemoryError
from bench3dmm.record.run import Run
from bench3dmm.runs.claims import POLL, BusyError, holder_of
from bench3dmm.runs.results import result_path
from bench3dmm.tasks.published import base_run


class Outcome(Enum):
    """How a run ended, for now."""

    STORED = "stored"
    FAILED = "failed"
    BUSY = "busy"  # somebody else trains it: it is asked for again
    DIED = "died"  # for want of memory, most likely: it is tried once more, alone


def outcome_of(error: Exception) -> Outcome:
    if isinstance(error, BusyError):
        return Outcome.BUSY
    return Outcome.DIED if isinstance(error, ShortOfMemoryError) else Outcome.FAILED


def reason_of(error: Exception) -> str:
    """Why a run failed, in a line: what this project says itself, of another exception also its kind."""
    return str(error) if isinstance(error, Bench3dmmError) else f"{type(error).__name__}: {error}".strip(": ")


@dataclass
class Plan:
    """Runs in the order they are to begin.

    Attributes:
        is_free: whether nobody else trains a run now.
    """

    all: list[Run]
    is_free: Callable[[Run], bool] = lambda run: True
    waiting: list[Run] = field(init=False)
    training: list[Run] = field(default_factory=list)
    alone: list[Run] = field(default_factory=list)  # that died once
    failures: dict[Run, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = list(self.all)

    @property
    def done(self) -> bool:
        return not (self.waiting or self.training or self.alone)

    def next_run(self, alone: bool) -> Run | None:
        """The first that waits for no other; of those that are to be tried alone one, where nothing else is left."""
        pending = {*self.waiting, *self.training, *self.alone}
        run = next((run for run in self.waiting if base_run(run) not in pending and self.is_free(run)), None)
        if run:
            self.waiting.remove(run)
        elif self.alone and alone:
            run = self.alone[0]
        if run:
            self.training.append(run)
        return run

    def end(self, run: Run, outcome: Outcome, line: str) -> str:
        """Note how a run ended; what to say of it, empty where it is tried again."""
        self.training.remove(run)
        if outcome is Outcome.BUSY:
            if run not in self.alone:
                self.waiting.append(run)
            return ""
        if outcome is Outcome.DIED and run not in self.alone:
            self.alone.append(run)
            return ""
        if run in self.alone:
            self.alone.remove(run)
        if outcome is Outcome.STORED:
            return line
        if outcome is Outcome.DIED:
            line = f"{line}, also when nothing else was trained"
        self.failures[run] = line
        return f"failed, {line}"

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


def planned(missing: Iterable[Run], results_dir: str | Path) -> Plan:
    """Of runs and what they begin with, each once; whoever else trains one of them is asked at most every `POLL`."""
    asked: dict[Run, float] = {}

    def is_free(run: Run) -> bool:
        if time.monotonic() - asked.get(run, -POLL) < POLL:
            return False
        with contextlib.suppress(OSError):  # of a disk that is away for a moment
            if holder_of(result_path(run, results_dir)) is None:
                return True
        asked[run] = time.monotonic()
        return False

    missing = list(missing)
    return Plan(list(dict.fromkeys([*bases_of(missing, results_dir), *missing])), is_free)


def bases_of(missing: Iterable[Run], results_dir: str | Path) -> list[Run]:
    """What runs begin with and is not stored, each before what begins with it."""
    found: list[Run] = []
    for run in missing:
        base = base_run(run)
        if base and not result_path(base, results_dir).exists():
            found += [*bases_of([base], results_dir), base]
    return list(dict.fromkeys(found))
