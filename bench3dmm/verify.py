"""Stored runs, trained again: does the number come out on this machine?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.results import Result, load_result, result_path
from bench3dmm.run import Run, execute

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset

TOLERANCE = 0.03
"""Relative. Seeds of one configuration differ by 1 to 2 % (profile quick), and rounding that differs between machines
ends, after thousands of steps, in networks that differ as if by seed. The same machine and versions give equal bits."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A stored result beside the same run trained again."""

    stored: Result
    again: Result

    @property
    def difference(self) -> float:
        """Of the mean errors in mm: again minus stored."""
        return self.again.metrics["mean_mm"] - self.stored.metrics["mean_mm"]

    @property
    def relative(self) -> float:
        return self.difference / self.stored.metrics["mean_mm"]

    @property
    def identical(self) -> bool:
        """Whether the error of every test mesh has the same bits."""
        return np.array_equal(self.stored.arrays["sample_error"], self.again.arrays["sample_error"])

    def agrees(self, tolerance: float = TOLERANCE) -> bool:
        return abs(self.relative) <= tolerance


def stored_run(run_id: str, results_dir: str | Path = "results") -> Run:
    """The run that is stored under an id.

    Raises:
        UnknownNameError: no such result, with the nearest id.
    """
    paths = {path.stem: path for path in sorted(Path(results_dir).glob("*/*.json"))}
    if run_id not in paths:
        raise UnknownNameError(f"result in {results_dir}", run_id, paths)
    return load_result(paths[run_id]).run


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
    for name in ("dataset_recipe_sha256", "split_sha256", "hierarchy_sha256"):
        if stored.provenance[name] != again.provenance[name]:
            raise DataError(f"{path}: its {name} is not today's: it was measured on other data; run it with --force")
    return Comparison(stored, again)
