"""What edits amount to: the measures of `bench3dmm.tasks.parts.edits` over pairs, persons and seeds, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.data.tables import persons
from bench3dmm.statistics.bootstrap import (
    RESAMPLES,
    Interval,
    draw_units,
    draw_weights,
    percentile_interval,
    resampled_means,
)
from bench3dmm.tasks.parts.edits import EDITORS, MEASURES, RATIOS

if TYPE_CHECKING:
    from bench3dmm.runs.results import Result

REFERENCES = {"handles": "handles (radial basis)", "copy": "source, unchanged", "paste": "target's region, pasted"}
SUFFIXES = {
    "manipulation": "",
    "manipulation-from-scratch": ", without stage 1",
    "manipulation-by-regions": ", by regions",
}
Mean = Callable[[np.ndarray], np.ndarray]
"""Of (S, n) values, a row a seed and a column a pair: one number, or one for every resample."""


class Rated:
    """One method's edits: over seeds, pairs and regions.

    Attributes:
        values: (S, n, regions, measures).
        full: (S, n).
    """

    def __init__(self, values: np.ndarray, full: np.ndarray, units: np.ndarray, own_seed: int = 1) -> None:
        self.values, self.full = values.astype(np.float64), full
        self.pairs = draw_units(units, RESAMPLES, np.random.default_rng(0))  # the same for every method
        self.drawn_seeds = draw_weights(len(values), RESAMPLES, np.random.default_rng(own_seed))

    @property
    def seeds(self) -> int:
        return len(self.values)

    def leaks(self, name: str = "ratio") -> bool:
        """Whether anything moves that the ratio of that name has below its line."""
        return bool(self.values[..., MEASURES.index(RATIOS[name])].any())

    def mean(self, measure: str) -> Interval:
        return self._interval(lambda mean: self.mean_of(measure, mean))

    def all_at_once(self) -> Interval:
        return self._interval(lambda mean: mean(self.full))

    def ratio(self, region: int | None = None, name: str = "ratio") -> Interval | None:
        """Of the movements inside and outside, in one region or in all; None where nothing moves outside.

        Args:
            name: ``ratio``, of all that is outside, or ``held_ratio``, of what is told to stay.
        """
        if not self.leaks(name):
            return None
        draws = self.ratio_of(self._drawn_on_log_scale, region, name)
        return Interval(float(self.ratio_of(np.mean, region, name)), *percentile_interval(draws))

    def over(self, other: Rated, effect: Callable[[Rated, Mean], np.ndarray]) -> Interval:
        """An effect of this method over the other's, from the same pairs in each resample, each with its own seeds."""
        draws = effect(self, self._drawn_on_log_scale) / effect(other, other._drawn_on_log_scale)
        point = float(effect(self, np.mean) / effect(other, np.mean))
        return Interval(point, *percentile_interval(draws))

    def mean_of(self, measure: str, mean: Mean) -> np.ndarray:
        return mean(self.values[..., MEASURES.index(measure)].mean(axis=2))

    def ratio_of(self, mean: Mean, region: int | None = None, name: str = "ratio") -> np.ndarray:
        values = self.values if region is None else self.values[:, :, [region]]
        inside, outside = (values[..., MEASURES.index(measure)].mean(axis=2) for measure in ("moved_mm", RATIOS[name]))
        return mean(inside) / mean(outside)

    def _interval(self, effect: Callable[[Mean], np.ndarray]) -> Interval:
        return Interval(float(effect(np.mean)), *percentile_interval(effect(self._drawn)))

    def _drawn(self, values: np.ndarray) -> np.ndarray:
        """The mean of (S, n) values in every resample."""
        return resampled_means(values, self.pairs, self.drawn_seeds)

    def _drawn_on_log_scale(self, values: np.ndarray) -> np.ndarray:
        """The same to first order, but never negative: of few seeds some weigh less than nothing in a resample, and a
        quotient of two means would pass through infinity (the delta method for the logarithm of a ratio)."""
        mean = values.mean()
        return mean * np.exp(self._drawn(values) / mean - 1)


def methods(results: Sequence[Result]) -> dict[str, Rated]:
    """By label: the trained methods, best in the region first, then what needs no training.

    Args:
        results: of the task manipulation on one dataset and split, at least one.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(_label(result), []).append(result)
    labels = sorted(groups)
    known = persons(results[0].run.dataset)
    pairs = results[0].arrays["edit_pairs"]
    units = np.arange(len(pairs)) if known is None else known[pairs[:, 0]]

    def rated(group: Sequence[Result], editor: str) -> Rated:
        at = EDITORS.index(editor)
        values, full = ([one.arrays[name][at] for one in group] for name in ("edit_values", "edit_full"))
        return Rated(np.stack(values), np.stack(full), units, 1 + labels.index(_label(group[0])))

    trained = {label: rated(group, "model") for label, group in groups.items()}
    trained = dict(sorted(trained.items(), key=lambda entry: entry[1].mean("inside_mm").point))
    return trained | {label: rated(results[:1], editor) for editor, label in REFERENCES.items()}


def _label(result: Result) -> str:
    run = result.run
    name = run.model if run.preset == "paper" else f"{run.model} ({run.preset})"
    name = f"{name}, {run.epochs} epochs" if run.epochs else name  # other than its profile's
    return name + SUFFIXES[run.task]
