"""Tables of the manipulation task, from results without training."""

from __future__ import annotations

import numpy as np
import pytest
from edited_results import REGIONS, edited_result

from bench3dmm.errors import DataError
from bench3dmm.papers.lamm import tables as manipulation
from bench3dmm.papers.lamm.ratings import REFERENCES
from bench3dmm.papers.setup import Setup

SETUP = Setup(seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def results():
    return [edited_result(run) for run in SETUP.runs("manipulation")]


def test_methods_are_listed_by_their_error_and_references_last(results):
    frame = manipulation.manipulation_table(results, SETUP)
    trained = list(frame.index[:7])
    assert set(trained[:2]) == {"lamm (small), by regions", "lamm (small), 120 epochs, by regions"}
    assert set(trained[2:5]) == {"lamm (small)", "lamm (small-mixer)", "lamm (small), 120 epochs"}
    assert trained[5:] == ["lamm (small), without stage 1", "pca"]
    assert list(frame.index[7:]) == list(REFERENCES.values())
    assert frame.loc["lamm (small)", "seeds"] == 3 and frame.loc["pca", "seeds"] == 1
    unchanged = frame.loc[REFERENCES["copy"]]
    assert unchanged["in / out"] == "–" and unchanged["outside (mm)"] == "0.00 [0.00, 0.00]"
    footer = frame.attrs["footer"]
    assert "mh-scan" in footer and "60 pairs of test meshes" in footer and "missing" not in footer
    by_regions, *others, pca = manipulation.manipulation_table(results, SETUP, "coma").index[:4]
    assert (by_regions, pca) == ("lamm (small), by regions", "pca")
    assert set(others) == {"lamm (small)", "lamm (small-mixer)"}


def test_intervals_hold_the_mean_and_a_ratio_of_what_moves_together_is_known_exactly(results):
    frame = manipulation.manipulation_table(results, SETUP)
    point, low, high = map(
        float, frame.loc["lamm (small)", "inside (mm)"].replace("[", "").strip("]").replace(",", "").split()
    )
    own = [
        r for r in results if r.run.preset == "small" and r.run.task == "manipulation" and r.run.dataset == "mh-scan"
    ]
    assert point == pytest.approx(np.mean([r.arrays["edit_values"][0, ..., 1] for r in own]), abs=0.01)
    assert low < point < high
    assert frame.loc["lamm (small)", "in / out"] == "8.0 [8.0, 8.0]"


def test_locality_is_by_region(results):
    frame = manipulation.locality_table(results, SETUP)
    assert list(frame.index) == [*REGIONS, "all"]
    assert REFERENCES["copy"] not in frame.columns and REFERENCES["handles"] in frame.columns
    assert (frame == "8.0 [8.0, 8.0]").all(axis=None)
    held = manipulation.locality_table(results, SETUP, told_to_stay=True)
    assert (held == "16.0 [16.0, 16.0]").all(axis=None) and "told to stay" in held.attrs["footer"]


def test_without_results_the_command_is_named(results):
    with pytest.raises(DataError, match="sweep manipulation"):
        manipulation.manipulation_table([], SETUP)
    part = [r for r in results if r.run.seed == 0]
    assert "missing" in manipulation.manipulation_table(part, SETUP).attrs["footer"]
