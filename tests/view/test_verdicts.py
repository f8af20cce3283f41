"""Claims as a picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from claim_results import make_results

from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.claims import CLAIMS, evaluate_claims
from bench3dmm.statistics.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED
from bench3dmm.system.checkout import ROOT
from bench3dmm.view.verdicts import LIMITS, claims_figure, margin


def test_margins_point_to_the_claimed_side():
    above, below = (next(claim for claim in CLAIMS if claim.side == side) for side in ("above", "below"))
    for claim, holding in ((above, 2 * above.threshold), (below, below.threshold / 2)):
        verdict = SimpleNamespace(claim=claim)
        assert margin(verdict, claim.threshold) == pytest.approx(1)
        assert margin(verdict, holding) == pytest.approx(2) and claim.holds(holding)
    assert margin(SimpleNamespace(claim=below), 0.0) == np.inf, "no gap at all is the best that a gap can be"
    assert margin(SimpleNamespace(claim=above), -1.0) == 0


def test_the_picture_has_every_claim_where_its_numbers_are():
    paper = pd.read_csv(ROOT / "results" / "paper.csv")
    verdicts = evaluate_claims(make_results(), paper=paper, resamples=200)
    figure = claims_figure(verdicts)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [claim.id for claim in CLAIMS]
    points = {(float(x), float(y)) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)}
    for row, verdict in enumerate(verdicts):
        if verdict.effect is not None and LIMITS[0] < margin(verdict, verdict.effect.point) < LIMITS[1]:
            assert (margin(verdict, verdict.effect.point), -row) in points
    counted = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    for word in (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE):
        assert f"{sum(verdict.verdict == word for verdict in verdicts)} {word}" in counted
    with pytest.raises(DataError, match="no claim has an effect"):
        claims_figure(evaluate_claims([]))
