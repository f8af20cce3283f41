"""Intervals: that they cover as often as they say, of means, and of the worst of many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench3dmm.statistics.bootstrap import (
    bootstrap_mean,
    draw_counts,
    draw_units,
    draw_weights,
    interval_of_largest,
    interval_of_smallest,
    percentile_interval,
    resampled_means,
)


def test_interval_of_a_mean_covers_it():
    """Normal errors of 50 meshes, one seed: nominal coverage up to the bootstrap's small-sample deficit."""
    rng = np.random.default_rng(0)
    trials = [bootstrap_mean(rng.normal(size=(1, 50)), resamples=500, seed=i) for i in range(400)]
    assert np.mean([t.low <= 0 <= t.high for t in trials]) == pytest.approx(0.95, abs=0.03)
    expected = 2 * 1.96 / np.sqrt(50)
    assert np.mean([t.high - t.low for t in trials]) == pytest.approx(expected, rel=0.05)


def test_interval_of_a_mean_over_persons_covers_it():
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 5)
    covered = {"meshes": 0, "persons": 0}
    for i in range(150):
        values = rng.normal(size=40)[person] + 0.3 * rng.normal(size=200)
        for key, units in (("meshes", None), ("persons", person)):
            t = bootstrap_mean(values[None], units, resamples=400, seed=i)
            covered[key] += t.low <= 0 <= t.high
    assert covered["persons"] / 150 == pytest.approx(0.95, abs=0.05)
    assert covered["meshes"] / 150 < 0.75


def test_pairing_cancels_what_runs_share():
    rng = np.random.default_rng(2)
    mesh = rng.gamma(4, 1, size=100)
    a = mesh + 0.1 * rng.normal(size=(3, 100))
    b = 1.05 * mesh + 0.1 * rng.normal(size=(3, 100))
    seeds = draw_weights(3, 1000, rng)
    same, other = draw_weights(100, 1000, rng), draw_weights(100, 1000, rng)
    paired = percentile_interval(resampled_means(b, same, seeds) - resampled_means(a, same, seeds))
    unpaired = percentile_interval(resampled_means(b, same, seeds) - resampled_means(a, other, seeds))
    assert np.diff(paired) < 0.2 * np.diff(unpaired)
    assert paired[0] > 0 > unpaired[0], "the pairing decides"


def test_counts_are_draws_with_replacement():
    rng = np.random.default_rng(3)
    counts = draw_counts(7, 2000, rng)
    assert (counts.sum(axis=1) == 7).all() and counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)
    units = np.array(["b", "a", "b", "c"])
    drawn = draw_units(units, 50, rng)
    assert (drawn[:, 0] == drawn[:, 2]).all() and drawn[:, [0, 1, 3]].sum(axis=1) == pytest.approx(np.full(50, 3))


@pytest.mark.parametrize("n", [2, 3, 5, 8, 60])
def test_intervals_of_few_units_cover_as_often_as_they_say(n):
    """And as wide as Student's t, which covers a normal mean exactly."""
    rng = np.random.default_rng(n)
    samples = rng.normal(size=(2000, n))
    draws = samples @ draw_weights(n, 2000, rng).T / n
    low, high = np.array([percentile_interval(row) for row in draws]).T
    assert np.mean((low < 0) & (high > 0)) == pytest.approx(0.95, abs=0.025)
    t = stats.t.interval(0.95, n - 1, loc=samples.mean(axis=1), scale=stats.sem(samples, axis=1))
    if n > 2:  # two give three different resamples, too few for a width
        assert np.median(high - low) == pytest.approx(np.median(t[1] - t[0]), rel=0.1)


def test_a_resampled_mean_is_the_mean_of_what_was_drawn():
    values = np.arange(6, dtype=float).reshape(2, 3)
    mesh, seed = np.array([[2, 0, 1], [1, 1, 1]]), np.array([[0, 2], [1, 1]])
    assert resampled_means(values, mesh, seed) == pytest.approx([(3 + 3 + 5) / 3, 2.5])


def test_percentile_interval_takes_order_statistics():
    assert percentile_interval(np.arange(1001.0)[::-1]) == (25, 975)
    assert percentile_interval(np.array([1.0] * 50 + [np.inf] * 50)) == (1, np.inf)


def test_interval_of_the_worst_of_many_errs_on_neither_side():
    """Five effects exactly at the threshold: neither below it nor above it may be found often."""
    rng = np.random.default_rng(4)
    below = above = 0
    for _ in range(400):
        points = rng.normal(size=5)
        t = interval_of_largest(points, points[:, None] + rng.normal(size=(5, 1000)))
        assert t.low <= t.point == points.max() <= t.high
        below, above = below + (t.high < 0), above + (t.low > 0)
    assert below / 400 < 0.03 and above / 400 < 0.05


def test_intervals_of_largest_and_smallest_mirror_each_other():
    rng = np.random.default_rng(5)
    points, draws = rng.normal(size=3), rng.normal(size=(3, 500))
    draws[0, :100] = np.inf
    t, m = interval_of_smallest(points, draws), interval_of_largest(-points, -draws)
    assert (t.point, t.low, t.high) == (-m.point, -m.high, -m.low)
    single = interval_of_largest(points[1:2], draws[1:2])
    assert (single.low, single.high) == percentile_interval(draws[1])
