"""What a task is: what a run begins with, which rows it has, what it makes small, and how it is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench3dmm.data.rows import Rows, rows_of
from bench3dmm.errors import DataError
from bench3dmm.record.run import Run

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.data.normaliser import Normaliser
    from bench3dmm.training.objective import Objective

LOWER, HIGHER = "lower", "higher"


@dataclass(frozen=True)
class Measure:
    """One number of a result.

    Attributes:
        key: where it stands in the metrics; dots lead into groups, as in ``manipulation.inside_mm``.
        label, unit: as tables show it; a ratio has no unit. Of the headline, what is averaged over test items.
        better: ``lower`` or ``higher``.
        required: of every result of the task; others are missing where a template or an older version lacks them.
    """

    key: str
    label: str
    unit: str = "mm"
    better: str = LOWER
    required: bool = False

    @property
    def heading(self) -> str:
        """``error (mm)``"""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def of(self, metrics: Mapping[str, Any]) -> float:
        """Its value; NaN where the metrics lack it."""
        found: Any = metrics
        for part in self.key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return math.nan if found is None else float(found)


@dataclass(frozen=True)
class Baseline:
    """The simplest thing that might do as well.

    Attributes:
        name: of a model, which is trained and ranked like any other; or of what the task measures beside every model,
            see `Task.baseline_scores`.
        label, summary: as sentences name it: ``PCA``, ``a linear model``.
    """

    name: str
    label: str
    summary: str


@dataclass(frozen=True, eq=False)
class Scores:
    """The headline measure of each test item.

    Attributes:
        values: (m,).
        rows: (m,) the dataset's row that each is of; items of one person resemble each other.
    """

    values: np.ndarray
    rows: np.ndarray


class Task:
    """What a model is trained for. A subclass is one file of `bench3dmm.tasks`, or stands in somebody else's package.

    Attributes:
        name, summary: what it is called, and one line about it.
        any_model: whether every model may take part; else only those registered for it.
        measures: all that is measured; the first one is the headline, by which models are ranked.
        arrays: names of the arrays that every result of it has.
        baselines: what is said first of a ranking is where the first of these stands.
        checks: for ``bench3dmm check MODEL --task NAME``, beyond what is asked of every model: each gets a fitted model
            and normalised meshes (B, V, 3), and says what was seen or raises an exception that says how to mend it.
    """

    name: str = ""
    summary: str = ""
    any_model: bool = False
    measures: tuple[Measure, ...] = ()
    arrays: tuple[str, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    checks: Mapping[str, Callable[[nn.Module, torch.Tensor], str]] = {}

    @property
    def headline(self) -> Measure:
        return self.measures[0]

    def base(self, run: Run) -> Run | None:
        """The run whose weights a run begins with; None for new weights. See `bench3dmm.tasks.published`."""
        return None

    def rows(self, run: Run, dataset: Dataset) -> Rows:
        """What a run trains and tests on: those of its split and profile."""
        return rows_of(run, dataset)

    def objective(self, run: Run, model: nn.Module, dataset: Dataset, rows: Rows, device: torch.device) -> Objective:
        """What training makes small, see `bench3dmm.training.objective`; its meshes are those of ``rows.train``."""
        raise NotImplementedError

    def measure(
        self, run: Run, model: nn.Module, dataset: Dataset, rows: Rows, normaliser: Normaliser, device: torch.device
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything that is measured of a trained model: metrics (JSON), with the keys of `measures`, and arrays."""
        raise NotImplementedError

    def scores(self, arrays: Mapping[str, np.ndarray]) -> Scores:
        """The headline measure of each test item, from a result's arrays."""
        raise NotImplementedError

    def baseline_scores(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By name, the headline measure (m,) of those baselines that were measured beside the model."""
        return {}

    def check_result(self, metrics: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Refuse what is no result of this task. Raises DataError."""
        for measure in self.measures:
            if measure.required:
                check_value(measure.key, measure.of(metrics))
        if missing := [name for name in self.arrays if arrays is not None and name not in arrays]:
            raise DataError(f"lacks {', '.join(missing)}")


def check_value(key: str, value: float) -> None:
    """Raises DataError for a measure that is negative or not finite."""
    if not (math.isfinite(value) and value >= 0):
        raise DataError(f"the metric {key} is missing, negative or not finite")
