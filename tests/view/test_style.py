"""Footers whole and with room; figures that are saved alike each time."""

from __future__ import annotations

import matplotlib.image
from drawn_results import fake_result
from figure_checks import assert_texts_inside
from matplotlib.figure import Figure

from bench3dmm.view.curves import error_cdf_figure
from bench3dmm.view.style import add_footer, save_figure


def test_long_footers_are_broken_and_given_room():
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel("x")
    add_footer(figure, " · ".join(["a part of a footer"] * 12))
    assert figure.texts[0].get_text().count("\n") >= 3
    assert_texts_inside(figure)
    assert not axes.xaxis.label.get_window_extent().overlaps(figure.texts[0].get_window_extent())


def test_saved_figures_are_the_same_bytes_each_time(scans, tmp_path):
    first = save_figure(error_cdf_figure([fake_result(scans)]), tmp_path / "a", "cdf")
    second = save_figure(error_cdf_figure([fake_result(scans)]), tmp_path / "b", "cdf")
    assert [path.suffix for path in first] == [".png", ".pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert matplotlib.image.imread(first[0]).shape[:2] == (760, 1120)
