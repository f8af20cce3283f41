"""Bootstrap intervals over test meshes and training seeds: arrays in, point estimate and interval out.

An error is measured for every test mesh by every seed's model, (S, m). A resample draws meshes with replacement and,
independently of them, seeds with replacement, and takes the mean of what it drew (the two-way bootstrap of McCullagh,
"Resampling and exchangeable arrays", 2000). Statistics that compare runs are computed within each resample, from the
same meshes and the same seeds, so that what the runs have in common cancels.

Meshes of one person resemble each other. Where it is known whose they are, persons are drawn, each with all their
meshes, and the interval then speaks about other people, not about other meshes of these ones.

Few units are drawn too much alike: percentile intervals at 95 % of the mean of three seeds contain the truth in 75 % of
cases, of eight persons in 89 %. Each resample is therefore moved away from the sample's own mean by the factor that
makes the interval of a mean the one of Student's t, which has its 95 % for any number of normal units (simulated, and
tested, from two on). An interval from three seeds is wide for that reason, and its width is what three seeds tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A point estimate, from all data, and the ends of its interval."""

    point: float
    low: float
    high: float


def bootstrap_mean(
    values: np.ndarray, units: np.ndarray | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of errors over seeds and meshes, with its percentile interval.

    Args:
        values: (S, m), a row for each seed.
        units: (m,) labels of what is drawn, e.g. the person of each mesh; None draws meshes.
    """
    rng = np.random.default_rng(seed)
    n_seeds, n_meshes = values.shape
    mesh_weights = draw_units(np.arange(n_meshes) if units is None else units, resamples, rng)
    draws = resampled_means(values, mesh_weights, draw_weights(n_seeds, resamples, rng))
    return Interval(float(values.mean()), *percentile_interval(draws))


def draw_counts(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n things is drawn in n draws with replacement: (resamples, n) float32."""
    drawn = rng.integers(n, size=(resamples, n)) + n * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float32)


def draw_weights(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """What each of n things weighs in a resample: (resamples, n) float32, n together, some of them negative.

    The counts of a draw with replacement, their distance from 1 multiplied by `small_sample_factor`.
    """
    return 1 + np.float32(small_sample_factor(n)) * (draw_counts(n, resamples, rng) - 1)


def small_sample_factor(n: int, level: float = LEVEL) -> float:
    """What makes the bootstrap interval of the mean of n normal values as wide as that of Student's t.

    A resampled mean has the variance of the sample over n, taken with n instead of n - 1 degrees of freedom, and its
    percentiles are nearly those of a normal distribution. One value has no spread to be enlarged.
    """
    if n < 2:
        return 1.0
    quantile = (1 + level) / 2
    return float(math.sqrt(n / (n - 1)) * stats.t.ppf(quantile, n - 1) / stats.norm.ppf(quantile))


def draw_units(units: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """What each mesh weighs when its unit is drawn: (resamples, m) float32, for the units (m,) of m meshes."""
    names, unit_of_mesh = np.unique(units, return_inverse=True)
    return draw_weights(len(names), resamples, rng)[:, unit_of_mesh]


def resampled_means(values: np.ndarray, mesh_weights: np.ndarray, seed_weights: np.ndarray) -> np.ndarray:
    """The mean of (S, m) values in every resample: (resamples,), given weights (resamples, m) and (resamples, S)."""
    of_seed = mesh_weights @ values.T.astype(np.float32) / mesh_weights.sum(axis=1, keepdims=True)
    return (of_seed * seed_weights).sum(axis=1, dtype=np.float64) / seed_weights.sum(axis=1)


def percentile_interval(draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The draws (resamples,) that leave (1 - level) / 2 outside on either side."""
    outside = (1 - level) / 2
    return float(_order_statistic(draws, outside)), float(_order_statistic(draws, 1 - outside))


def interval_of_largest(points: np.ndarray, draws: np.ndarray, level: float = LEVEL) -> Interval:
    """The largest of K effects that were estimated together, with an interval that covers the largest true one.

    The upper end is the largest of the K upper ends: all effects lie below a threshold if each does, at no cost of
    asking K times (the intersection-union test of Berger, "Multiparameter hypothesis testing and acceptance
    sampling", 1982). The lower end is the largest of the K lower ends, each at level / K (Bonferroni), because that
    one of K effects lies above the threshold is found by chance the more easily the larger K is. Resampling the
    largest itself would not do: chance makes the largest of K estimates larger than any of the effects.

    Args:
        points: (K,); draws: (K, resamples).
    """
    outside = (1 - level) / 2
    low = _order_statistic(draws, outside / len(points)).max()
    return Interval(float(np.max(points)), float(low), float(_order_statistic(draws, 1 - outside).max()))


def interval_of_smallest(points: np.ndarray, draws: np.ndarray, level: float = LEVEL) -> Interval:
    """The same for the smallest of K effects."""
    mirrored = interval_of_largest(-np.asarray(points), -np.asarray(draws), level)
    return Interval(-mirrored.point, -mirrored.high, -mirrored.low)


def _order_statistic(draws: np.ndarray, share: float) -> np.ndarray:
    """The draw, along the last axis, with this share of the others below it. No two are averaged: some are infinite."""
    last = draws.shape[-1] - 1
    # Counted from the nearer end, and outwards, so that both ends are treated alike.
    place = math.floor(share * last + 1e-9) if share < 0.5 else last - math.floor((1 - share) * last + 1e-9)
    return np.sort(draws, axis=-1)[..., place]
