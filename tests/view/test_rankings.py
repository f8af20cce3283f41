"""Rankings as tables, and what their ranks mean."""

from __future__ import annotations

import dataclasses

import pytest
from ranked_results import pca, ranked, seeds_of

from bench3dmm.statistics.ranking import Ranking
from bench3dmm.tasks.task import HIGHER, LOWER
from bench3dmm.view.rankings import rank_frame, rank_note


@pytest.fixture(scope="module")
def found():
    return [ranked(pca(1.0), seeds_of("coma", 1.3), seeds_of("spiralnet", 1.3, stream=1))]


def test_a_row_a_model_with_its_rank_its_error_and_its_interval(found):
    frame = rank_frame(found)
    first = frame.iloc[0]
    assert first.name == ("d = 16", "1") and first["model"] == "pca"
    assert list(frame["seeds"]) == [1, 3, 3] and "error (mm)" in frame.columns
    low, high = map(float, first["95 % interval"].strip("[]").split(","))
    assert low < found[0].standings[0].mean.point < high


@pytest.mark.parametrize(("better", "side"), [(LOWER, "below"), (HIGHER, "above")])
def test_the_note_says_on_which_side_of_zero_a_better_model_is(found, better, side, monkeypatch):
    measure = dataclasses.replace(found[0].measure, better=better)
    monkeypatch.setattr(Ranking, "measure", measure)
    note = rank_note(found)
    assert f"the paired interval of the difference {side} 0" in note and "40 test persons" in note
