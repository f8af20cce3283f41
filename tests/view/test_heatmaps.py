"""Heatmaps say how far a reconstruction is off, and whose."""

from __future__ import annotations

import pytest
from drawn_results import fake_result
from figure_checks import texts

from bench3dmm.view.heatmaps import heatmap_figure

pytestmark = pytest.mark.usefixtures("software_renderer")


def test_heatmap_states_the_error_and_the_run(scans):
    figure = heatmap_figure(fake_result(scans), scans, rows=2)
    shown = texts(figure)
    assert shown.count("2.00 mm") == 2
    for expected in (
        "mh-scan",
        "percentage",
        "profile smoke",
        "seed 0",
        "neural3dmm (paper), d = 16, l1",
        "F0000",
    ):
        assert expected in shown
    assert "per-vertex error (mm)" in shown
    assert [tick for tick in figure.axes[-1].get_yticks() if 0 <= tick <= 6][-1] == 6
