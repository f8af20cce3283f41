"""Intervals of what edits amount to: means, and ratios that stay ratios however few the seeds are."""

from __future__ import annotations

import numpy as np
import pytest

from bench3dmm.papers.lamm.ratings import SUFFIXES, Rated
from bench3dmm.record.run import Run
from bench3dmm.system.origin import origin
from bench3dmm.tasks.parts.edits import MEASURES
from bench3dmm.tasks.registry import get_task, task_names

PAIRS, REGIONS = 40, 3
INSIDE, OUTSIDE = MEASURES.index("moved_mm"), MEASURES.index("leaked_mm")


def rated(of_seeds, noise=0.05, own_seed=1):
    """Movements of 4 mm inside and of 0.5 mm times each seed's factor outside."""
    rng = np.random.default_rng(0)
    values = rng.normal(1, noise, (len(of_seeds), PAIRS, REGIONS, len(MEASURES)))
    values[..., INSIDE] *= 4
    values[..., OUTSIDE] *= 0.5 * np.array(of_seeds)[:, None, None]
    return Rated(values, values[..., 0, 0], np.arange(PAIRS), own_seed)


def test_a_ratio_of_three_seeds_that_differ_is_uncertain_and_positive():
    """The usual quotient of resampled means has negative ends here."""
    found = rated([0.2, 0.3, 2.5])
    inside, outside = (found._drawn(found.values[..., measure].mean(axis=2)) for measure in (INSIDE, OUTSIDE))
    assert (inside / outside).min() < 0
    ratio = found.ratio()
    assert ratio.point == pytest.approx(8, rel=0.05) and 0 < ratio.low < 4 and 16 < ratio.high < 1000


def test_of_seeds_that_agree_it_is_the_quotient_of_resampled_means():
    found = rated([0.99, 1.0, 1.01])
    inside, outside = (found._drawn(found.values[..., measure].mean(axis=2)) for measure in (INSIDE, OUTSIDE))
    low, high = np.quantile(inside / outside, [0.025, 0.975])
    ratio = found.ratio()
    assert (ratio.low, ratio.high) == (pytest.approx(low, rel=2e-3), pytest.approx(high, rel=2e-3))
    assert ratio.high - ratio.low > 0.2


def test_one_method_over_another():
    first, second = rated([0.5, 0.55, 0.45]), rated([1.0, 1.1, 0.9], own_seed=2)
    found = first.over(second, lambda one, mean: one.ratio_of(mean))
    assert found.point == pytest.approx(first.ratio().point / second.ratio().point)
    assert 1 < found.low < found.point < found.high < 4


def test_nothing_outside_has_no_ratio():
    found = rated([0.0, 0.0, 0.0])
    assert found.ratio() is None and not found.leaks() and found.ratio(name="held_ratio") is not None


def test_every_task_that_edits_has_a_name_in_tables():
    own = {name for name in task_names() if origin(type(get_task(name))) is None}
    assert set(SUFFIXES) == own - {Run.task} and len(set(SUFFIXES.values())) == len(SUFFIXES)
