"""What a sweep of several trainings at once says: done, how fast, and the time left."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from bench3dmm.models.registry import closed_form
from bench3dmm.record.grid import differences
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result
from bench3dmm.system.words import duration
from bench3dmm.tasks.registry import get_task

EVERY = 60.0  # seconds from line to line where there is no terminal
SHARE = 0.05  # of the work, likewise


def stored_line(result: Result, seconds: float) -> str:
    """``0.812 mm, 40 s``: what came out, and when."""
    return f"{result.score:.3f} {get_task(result.run.task).headline.unit}".rstrip() + f", {duration(seconds)}"


class SweepProgress:
    """A bar in a terminal; elsewhere a line for each run that ends, and some between them on long work.

    Args:
        planned: what is to be trained.
        runs: of the sweep, which a line names a run among.
        seconds: what runs take by what is stored, infinite where nothing tells; they weigh the work by that.
        clock: of seconds.
    """

    def __init__(
        self,
        planned: Sequence[Run],
        runs: Sequence[Run],
        seconds: Mapping[Run, float],
        shown: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from tqdm import tqdm

        self.planned, self.runs, self.shown, self.clock = planned, runs, shown, clock
        known = [one for one in seconds.values() if math.isfinite(one)]
        usual = statistics.median(known) if known else 1.0
        self.work = {run: seconds.get(run, usual) for run in planned}
        self.work = {run: work if math.isfinite(work) else usual for run, work in self.work.items()}
        self.whole = sum(self.work.values()) or 1.0
        self.done: dict[Run, float] = {}  # share of each
        self.resumed: dict[Run, float] = {}  # that was done before
        self.ended: set[Run] = set()
        self.began = self.said = clock()
        self.said_share = 0.0
        terminal = shown and sys.stderr.isatty()
        self.bar = tqdm(total=1.0, disable=not terminal, bar_format="{percentage:3.0f} %|{bar}| {desc}")
        self.lines = shown and not terminal

    def epoch(self, run: Run, epoch: int) -> None:
        """So many epochs of a run are done."""
        epochs = 1 if closed_form(run.model) else run.n_epochs
        share = min(epoch / epochs, 1.0)
        if run not in self.resumed:
            self.resumed[run] = share
            if 0 < epoch < epochs:
                self._write(f"{run.run_id}: goes on after epoch {epoch} of {epochs}")
        self.done[run] = share
        self._show()
        now = self.clock()
        if self.lines and now - self.said > EVERY and self.share - self.said_share > SHARE:
            self._write(self.text)
            self.said, self.said_share = now, self.share

    def finished(self, run: Run, line: str) -> None:
        """It is stored, or has failed."""
        self.done[run] = 1.0
        self.resumed.setdefault(run, 0.0)
        self.ended.add(run)
        label = f"[{len(self.ended)}/{len(self.planned)}] {run.run_id} {differences(run, self.runs)}"
        rest = f"; {left}" if (left := self._left()) else ""
        self._write(f"{label}: {line}{rest if self.lines else ''}")
        self.said, self.said_share = self.clock(), self.share
        self._show()

    def close(self) -> None:
        self.bar.close()

    @property
    def share(self) -> float:
        """Of the work that is done."""
        return sum(self.work[run] * share for run, share in self.done.items() if run in self.work) / self.whole

    @property
    def text(self) -> str:
        """``3 of 20 runs, 2 train; 210 epochs, 1.4 a second; about 2.1 h left``"""
        training = [run for run in self.done if run not in self.ended]
        epochs = sum(round((share - self.resumed[run]) * run.n_epochs) for run, share in self.done.items())
        rate = epochs / max(self.clock() - self.began, 1e-9)
        parts = [
            f"{len(self.ended)} of {len(self.planned)} runs, {len(training)} in training",
            f"{epochs:,} epochs, {rate:.2g} a second",
            self._left(),
        ]
        return "; ".join(filter(None, parts))

    def _left(self) -> str:
        """By the work that this sweep has done itself."""
        resumed = sum(self.work[run] * share for run, share in self.resumed.items() if run in self.work) / self.whole
        done = self.share - resumed
        if done <= 0 or len(self.ended) >= len(self.planned):
            return ""
        return f"about {duration((self.clock() - self.began) * (1 - self.share) / done)} left"

    def _show(self) -> None:
        if self.bar.disable:
            return
        self.bar.n = min(self.share, 1.0)
        self.bar.set_description_str(self.text, refresh=False)
        self.bar.refresh()

    def _write(self, line: str) -> None:
        if self.shown:
            self.bar.write(line, file=sys.stderr)
            sys.stderr.flush()
