"""Stored runs, trained again: does the number come out on this machine?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import DataError
from bench3dmm.models.registry import needs_hierarchy
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import Result, load_result, read_document, result_path
from bench3dmm.tasks.registry import get_task

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset


QUICKSTART = Run("mh-scan", latent=16, profile="quick")
"""What notebooks/00_quickstart.ipynb trains, and ``bench3dmm verify`` where no run is named."""

TOLERANCE = 0.03
"""Relative, of the stored mean error: agreement that needs no seeds to compare with."""

LEAST_SEEDS = 3

BEYOND_SEEDS = 0.5
"""Of the seeds' range, on either side of it. Rounding that differs between machines ends, after thousands of steps, in
networks that differ as if by seed, and a new seed often lies outside the range of three."""

EQUAL_BITS, AGREES, DIFFERS = "equal bits", "agrees", "differs"
MEASURED_ON = ("dataset_recipe_sha256", "split_sha256", "hierarchy_sha256")
"""What must be the same. The hierarchy only of models that need one: others were once given that of all levels."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A stored result beside the same run trained again.

    Attributes:
        seeds: scores of all stored seeds of the run's configuration, its own among them. A score is the headline
            measure of the run's task, such as the mean error in mm.
    """

    stored: Result
    again: Result
    seeds: tuple[float, ...] = ()

    @property
    def difference(self) -> float:
        """Of the scores: again minus stored."""
        return self.again.score - self.stored.score

    @property
    def relative(self) -> float:
        return self.difference / self.stored.score

    @property
    def identical(self) -> bool:
        """Whether the score of every test item has the same bits."""
        stored, again = (get_task(one.run.task).scores(one.arrays).values for one in (self.stored, self.again))
        return np.array_equal(stored, again)

    def allowed(self, tolerance: float | None = None) -> tuple[float, float]:
        """The scores that agree.

        Those within the range of the stored seeds, widened by `BEYOND_SEEDS` of it, and, as three seeds may lie close
        by chance, those within `TOLERANCE` of the stored one. With fewer seeds only the latter; a tolerance that is
        given replaces both.
        """
        stored = self.stored.score
        relative = TOLERANCE if tolerance is None else tolerance
        low, high = stored * (1 - relative), stored * (1 + relative)
        if tolerance is not None or len(self.seeds) < LEAST_SEEDS:
            return low, high
        margin = BEYOND_SEEDS * (max(self.seeds) - min(self.seeds))
        return min(low, min(self.seeds) - margin), max(high, max(self.seeds) + margin)

    def outcome(self, tolerance: float | None = None) -> str:
        """``equal bits``, ``agrees`` or ``differs``; see `allowed`."""
        if self.identical:
            return EQUAL_BITS
        low, high = self.allowed(tolerance)
        return AGREES if low <= self.again.score <= high else DIFFERS


def verify(
    run: Run,
    results_dir: str | Path = "results",
    again_dir: str | Path = "output/again",
    device: str = "auto",
    progress: bool = True,
    *,
    datasets: Mapping[str, Dataset] | None = None,
) -> Comparison:
    """Train a stored run again, into another folder, and compare.

    Raises:
        DataError: the run is not stored; the folders are one; the two were not measured on the same meshes.
    """
    path = result_path(run, results_dir)
    if path.resolve() == result_path(run, again_dir).resolve():
        raise DataError(f"{again_dir} holds the stored results; train again into another folder")
    stored = load_result(path)
    again = execute(run, again_dir, device, True, progress, dataset=(datasets or {}).get(run.dataset))
    for name in MEASURED_ON:
        if name == "hierarchy_sha256" and not needs_hierarchy(run.model):
            continue
        if stored.provenance[name] != again.provenance[name]:
            raise DataError(f"{path}: its {name} is not today's: it was measured on other data; run it with --force")
    return Comparison(stored, again, tuple(_stored_seeds(stored, results_dir)))


def _stored_seeds(result: Result, results_dir: str | Path) -> Iterator[float]:
    """Scores of the stored runs that differ from a result's in nothing but the seed, on the same data."""
    headline = get_task(result.run.task).headline
    for path in sorted(result_path(result.run, results_dir).parent.glob("*.json")):
        document = read_document(path)
        run = Run.from_dict(document["run"])
        same_data = all(document["provenance"].get(name) == result.provenance[name] for name in MEASURED_ON)
        if same_data and dataclasses.replace(run, seed=result.run.seed) == result.run:
            yield headline.of(document["metrics"])
