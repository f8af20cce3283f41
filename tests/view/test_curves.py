"""Curves and the table of errors: what they say about the results."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_results import fake_result
from figure_checks import texts

from bench3dmm.errors import Bench3dmmError
from bench3dmm.view.curves import _strokes, error_cdf_figure, error_table, run_label


def test_cdf_curve_is_the_cumulative_share(scans):
    figure = error_cdf_figure([fake_result(scans), fake_result(scans, model="pca", split="identity")])
    x, y = figure.axes[0].lines[0].get_data()
    assert np.interp([0.49, 0.52, 1.49, 1.52, 10], x, y) == pytest.approx([0, 75, 75, 95, 95])
    closed_form = fake_result(scans, model="pca")
    closed_form.arrays["loss"] = np.array([])
    assert run_label(closed_form) == "pca, d = 16"
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["neural3dmm (paper), d = 16, l1, percentage", "pca (paper), d = 16, l1, identity"]
    assert "percentage, identity split · profile smoke · seed 0" in texts(figure)
    with pytest.raises(Bench3dmmError, match="at least one result"):
        error_cdf_figure([])


def test_many_curves_stay_distinct():
    strokes = set(zip(*_strokes(20), strict=True))
    assert len(strokes) == 20


def test_error_table_is_sorted_and_rounded(scans):
    results = [fake_result(scans), fake_result(scans, model="pca")]
    for result, mean in zip(results, (1.23456, 0.9), strict=True):
        result.metrics = {"mean_mm": mean, "std_mm": 1.0, "median_mm": 0.5, "p95_mm": 2.0}
    frame = error_table(results)
    assert [label.split()[0] for label in frame["run"]] == ["pca", "neural3dmm"]
    assert list(frame["mean"]) == [0.9, 1.235]
