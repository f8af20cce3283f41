"""Several trainings on one GPU, in one process: a step of each in turn, each on a lane of its own.

At the published batch of 16 a training is some two hundred small kernels a step, which leave most of a card idle.
Processes would only take turns on it. Here the kernels of several trainings run beside one another, and what they read,
the meshes, lies on the card once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench3dmm.record.run import Run
from bench3dmm.runs.claims import POLL
from bench3dmm.runs.execute import execute_by_steps
from bench3dmm.runs.order import expected_seconds
from bench3dmm.runs.plan import Outcome, Plan, outcome_of, planned, reason_of
from bench3dmm.runs.progress import SweepProgress, stored_line
from bench3dmm.runs.results import Result
from bench3dmm.system.card import Card, CudaCard
from bench3dmm.system.device import resolve_device
from bench3dmm.system.stops import check_stop
from bench3dmm.training.shared import Shared

MOST = 64  # side by side
FIRST_STEPS = 8  # of a newcomer, in which it is captured and takes its memory
WINDOW = 2.0  # seconds that a number of trainings is timed for
PAYS = 1.05  # twice as many must do this much more in the same time
RESERVE = 0.1  # of the card, for measuring, and for whoever else is there

Steps = Generator[None, None, Result]


def train_side_by_side(
    missing: Sequence[Run],
    runs: Sequence[Run],
    results_dir: str | Path,
    device: str,
    force: bool,
    progress: bool,
    most: int,
    card: Card | None = None,
) -> dict[Run, str]:
    """Train on one card; returns why runs failed.

    What `bench3dmm.runs.executors.train_at_once` says of runs that others begin with, or that other sweeps train, holds
    here too.

    How many are side by side is measured: as many as do more in the same time, up to ``most``, and as there is memory
    for. One that finds none is tried once more alone.
    """
    card = card or CudaCard(resolve_device(device))
    plan = planned(missing, results_dir)
    shown = SweepProgress(plan.all, runs, expected_seconds(plan.all, results_dir), progress)
    shared = Shared(card)

    def begin(run: Run) -> Steps:
        told = partial(shown.epoch, run)
        return execute_by_steps(run, results_dir, device, force, False, wait=False, told=told, shared=shared)

    lanes = Lanes(plan, shared, begin, Width(most, card.wait), shown.finished)
    try:
        while not plan.done:
            check_stop()
            lanes.round()
    finally:
        lanes.close()
        shown.close()
    return plan.failures


@dataclass
class Width:
    """How many trainings are side by side: twice as many as before, as long as that pays.

    Attributes:
        most: never more.
        wait: until the card has done what was launched.
        wanted: how many there should be now.
        settled: whether that stays.
    """

    most: int
    wait: Callable[[], None]
    clock: Callable[[], float] = time.perf_counter
    wanted: int = 1
    settled: bool = False
    _steps: int = 0
    _began: float = 0.0
    _before: float = 0.0  # steps a second, of half as many

    def start(self) -> None:
        """Newcomers are there."""
        if not self.settled:
            self.wait()
            self._steps, self._began = 0, self.clock()

    def round(self, trainings: int) -> None:
        """One step of each was made."""
        if self.settled or trainings < self.wanted:
            return
        self._steps += trainings
        if self.clock() - self._began < WINDOW:
            return
        self.wait()
        rate = self._steps / max(self.clock() - self._began, 1e-9)
        if rate < PAYS * self._before:
            self.wanted, self.settled = max(1, self.wanted // 2), True
        elif self.wanted >= self.most:
            self.settled = True
        else:
            self._before, self.wanted = rate, min(2 * self.wanted, self.most)

    def no_more_than(self, trainings: int) -> None:
        """There is memory for so many."""
        self.most = max(1, min(self.most, trainings))
        if self.wanted >= self.most:
            self.wanted, self.settled = self.most, True


@dataclass
class _Lane:
    run: Run
    steps: Steps
    place: AbstractContextManager[object]
    began: float


@dataclass
class Lanes:
    """The trainings on the card.

    Attributes:
        begin: a run's training, see `bench3dmm.runs.execute.execute_by_steps`.
        finished: hears of each run that ended, with what to say of it.
    """

    plan: Plan
    shared: Shared
    begin: Callable[[Run], Steps]
    width: Width
    finished: Callable[[Run, str], object]
    lanes: list[_Lane] = field(default_factory=list)
    largest: int = 0  # bytes that a training took
    looks_again: float = 0.0  # for runs that wait, which nobody need do every round

    def round(self) -> None:
        """Newcomers where there is room, then a step of each training."""
        if len(self.lanes) < self.width.wanted and time.monotonic() >= self.looks_again:
            self._admit()
        for lane in list(self.lanes):
            self._step(lane)
        if self.lanes:
            self.width.round(len(self.lanes))
        elif not self.plan.done:
            time.sleep(max(0.0, self.looks_again - time.monotonic()))

    def close(self) -> None:
        """End all; their checkpoints stay."""
        for lane in self.lanes:
            lane.steps.close()
        self.lanes.clear()

    def _admit(self) -> None:
        while len(self.lanes) < self.width.wanted and self._has_room():
            run = self.plan.next_run(alone=not self.lanes)
            if run is None:
                self.looks_again = time.monotonic() + POLL
                break
            self._welcome(run)
        self.width.start()

    def _has_room(self) -> bool:
        if not self.lanes:
            return True
        card = self.shared.card
        if card.free_memory() >= self.largest + RESERVE * card.all_memory():
            return True
        self.width.no_more_than(len(self.lanes))
        return False

    def _welcome(self, run: Run) -> None:
        """The first steps of a training, which say how much memory one takes."""
        card = self.shared.card
        free = card.free_memory()
        lane = _Lane(run, self.begin(run), card.lane(), time.perf_counter())
        self.lanes.append(lane)
        self.shared.at_once = len(self.lanes)
        for _ in range(FIRST_STEPS):
            if lane in self.lanes:
                self._step(lane)
        self.largest = max(self.largest, free - card.free_memory())

    def _step(self, lane: _Lane) -> None:
        try:
            with lane.place:
                next(lane.steps)
            return
        except StopIteration as end:
            outcome, line = Outcome.STORED, stored_line(end.value, time.perf_counter() - lane.began)
        except Exception as error:  # whatever it is, it costs this run alone
            outcome, line = outcome_of(error), reason_of(error)
        self.lanes.remove(lane)
        self.shared.at_once = len(self.lanes)
        self.looks_again = 0.0
        if outcome is Outcome.DIED and self.lanes:
            self.width.no_more_than(len(self.lanes))
        if said := self.plan.end(lane.run, outcome, line):
            self.finished(lane.run, said)
        for run, reason in self.plan.given_up():
            self.finished(run, reason)
