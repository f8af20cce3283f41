"""Footers: whole, and with room."""

from __future__ import annotations

from figure_checks import assert_texts_inside
from matplotlib.figure import Figure

from bench3dmm.view.style import add_footer


def test_long_footers_are_broken_and_given_room():
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel("x")
    add_footer(figure, " · ".join(["a part of a footer"] * 12))
    assert figure.texts[0].get_text().count("\n") >= 3
    assert_texts_inside(figure)
    assert not axes.xaxis.label.get_window_extent().overlaps(figure.texts[0].get_window_extent())
