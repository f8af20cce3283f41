"""Claims as a picture: effects over thresholds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fixed_claims import claim, found

from bench3dmm.errors import DataError
from bench3dmm.statistics.claims import Finding, judge
from bench3dmm.view.verdicts import LIMITS, claims_figure, margin


def test_margins_point_to_the_claimed_side():
    above, below = claim(side="above", threshold=1.2), claim(side="below", threshold=0.8)
    for one, holding in ((above, 2 * above.threshold), (below, below.threshold / 2)):
        verdict = SimpleNamespace(claim=one)
        assert margin(verdict, one.threshold) == pytest.approx(1)
        assert margin(verdict, holding) == pytest.approx(2) and one.holds(holding)
    assert margin(SimpleNamespace(claim=below), 0.0) == np.inf, "no gap at all is the best that a gap can be"
    assert margin(SimpleNamespace(claim=above), -1.0) == 0


def test_a_claim_without_an_effect_has_a_row_and_effects_beyond_the_border_an_arrow():
    claims = [claim("nowhere"), claim("far"), claim("near")]
    evidence = {"nowhere": Finding(effect=None), "far": found(0.01, 0.02, 0.03), "near": found(0.7, 0.8, 0.9)}
    (axes,) = claims_figure(judge(claims, evidence)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["nowhere", "far", "near"]
    arrows = {(float(line.get_xdata()[0]), line.get_ydata()[0]) for line in axes.lines if line.get_marker() in "<>"}
    assert arrows == {(LIMITS[1], -1)}, "each end of its interval lies beyond"
    assert 1 / 0.8 in {float(x) for line in axes.lines for x, y in zip(*line.get_data(), strict=True) if y == -2}
    with pytest.raises(DataError, match="no claim has an effect"):
        claims_figure(judge(claims[:1], evidence))
