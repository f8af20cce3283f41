"""The curves of Figs. 4 to 6 and of convergence: that they show the results given, and the paper's beside them."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from figure_checks import assert_texts_inside, curves, footer, texts
from paper_results import CONVERGING, LICENSED, everything, trained_for

import bench3dmm.papers.setup as setup
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import LATENTS
from bench3dmm.papers.neural3dmm_bu3dfe.figures.curves import convergence_figure, figure4, figure5, figure6
from bench3dmm.papers.setup import Setup

PAPER_5 = {"percentage": [3.11, 2.40, 1.28, 0.61, 0.55], "identity": [4.33, 3.35, 1.73, 0.77, 0.71]}


def test_figure4_shows_both_datasets_beside_the_papers():
    figure = figure4(everything())
    (axes,) = figure.axes
    drawn = curves(axes)
    assert drawn["mh-seq"][0] == [8, 16, 64]
    assert drawn["mh-seq"][1] == pytest.approx([8 / d**0.5 - 0.5 + 0.01 for d in (8, 16, 64)])
    assert drawn["mh-scan"][0] == list(LATENTS), "the larger ones, which Fig. 5 needs, are shown where they are there"
    assert drawn["paper, COMA (digitised)"] == ([8, 16, 64], [0.88, 0.75, 0.62])
    assert drawn["paper, BU3DFE (digitised)"] == (list(LATENTS), PAPER_5["percentage"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "mh-seq",
        "paper, COMA (digitised)",
        "mh-scan",
        "paper, BU3DFE (digitised)",
    ]
    assert axes.get_xscale() == "log" and axes.get_ylim()[0] == 0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latent size d", "generalization error (mm)")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "16", "64", "256", "512"]
    assert_texts_inside(figure)


def test_figure4_does_not_miss_what_only_figure5_needs():
    figure = figure4([result for result in everything() if result.run.latent <= 64])
    assert "missing" not in footer(figure)
    assert "mh-seq, mh-scan · percentage split · profile quick · seeds 0, 1, 2 · preset paper" in footer(figure)
    alone = figure4(everything(dataset="mh-scan"))
    assert "missing: mh-seq d = 8, 16, 64" in footer(alone) and "mh-seq" not in curves(alone.axes[0])


def test_figure5_shows_both_splits_with_the_range_of_seeds():
    figure = figure5(everything())
    (axes,) = figure.axes
    drawn = curves(axes)
    for split, shift in (("percentage", 0.0), ("identity", 0.3)):
        means = [8 / d**0.5 + shift + 0.01 for d in LATENTS]
        assert drawn[f"mh-scan, {split}"][1] == pytest.approx(means)
        assert drawn[f"paper, BU3DFE (digitised), {split}"] == (list(LATENTS), PAPER_5[split])
    bars = [container.lines[2][0].get_segments() for container in axes.containers]
    assert [list(bar[:, 1]) for bar in bars[0]] == [
        pytest.approx([8 / d**0.5, 8 / d**0.5 + 0.02]) for d in LATENTS
    ]  # fmt: skip
    assert len(axes.collections) >= 2, "a bootstrap band a split"
    assert "bars: lowest and highest seed" in footer(figure)
    assert "bootstrap interval over test persons and seeds" in footer(figure)
    assert_texts_inside(figure)


def test_one_seed_has_no_bars():
    figure = figure5(everything(seed=0), Setup(seeds=(0,)))
    assert "bars" not in footer(figure) and "missing" not in footer(figure)
    assert all(not len(container.lines[2][0].get_segments()) for container in figure.axes[0].containers)


def test_figure6_shows_cumulative_errors_and_the_papers_medians():
    figure = figure6(everything())
    assert [axes.get_title() for axes in figure.axes] == ["percentage split", "identity split"]
    medians = {"percentage": [2.63, 2.07, 0.96, 0.40, 0.36], "identity": [3.70, 2.93, 1.49, 0.53, 0.48]}
    for axes, split in zip(figure.axes, ("percentage", "identity"), strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        ours = [f"d = {d}" for d in LATENTS] + ["d = 512, weighted L1"]
        assert set(ours) <= set(lines)
        x, y = lines["d = 64"].get_data()
        expected = 100 * np.mean([300 / 400, 200 / 300, 100 / 200])
        assert np.interp([0.99, 1.02, 2.99, 3.02, 10], x, y) == pytest.approx([0, expected, expected, 100, 100])
        assert lines["d = 512"].get_linestyle() == "-" != lines["d = 512, weighted L1"].get_linestyle()
        assert lines["d = 512"].get_color() == lines["d = 512, weighted L1"].get_color()
        assert len({lines[f"d = {d}"].get_color() for d in LATENTS}) == len(LATENTS)
        marked = [line for line in axes.lines if line.get_label() == "paper, BU3DFE (digitised): median"]
        assert [line.get_xdata()[0] for line in marked] == medians[split]
        assert all(line.get_ydata()[0] == 50 for line in marked)
        assert axes.get_xlim() == (0, 10) and axes.get_ylim() == (0, 100)
    weighted = "paper, BU3DFE (digitised): median, weighted L1"
    assert [curves(axes)[weighted][0] for axes in figure.axes] == [[0.62], [0.78]]
    assert figure.axes[0].get_legend().get_title().get_text() == "paper, BU3DFE (digitised)"
    assert "mean over seeds" in footer(figure)
    assert_texts_inside(figure)


def test_colours_over_latent_size_darken():
    from matplotlib.colors import to_rgb

    from bench3dmm.papers.neural3dmm_bu3dfe.figures.curves import _latent_colour

    luminance = [np.dot(to_rgb(_latent_colour(d)), (0.21, 0.72, 0.07)) for d in LATENTS]
    assert all(first > second + 0.02 for first, second in itertools.pairwise(luminance))


@pytest.mark.parametrize("draw", [figure4, figure5, figure6])
def test_the_licensed_sets_stand_alone(draw, complete):
    figure = draw(everything(LICENSED), LICENSED)
    labels = [line.get_label() for axes in figure.axes for line in axes.lines]
    assert labels and not any("digitised" in label for label in labels)
    assert "bu3dfe" in footer(figure)


@pytest.mark.parametrize("found", [["people: 2 (COMA: 12)"], None])
def test_what_is_imported_in_part_is_shown_beside_the_papers_numbers(found, monkeypatch):
    monkeypatch.setattr(setup, "departures", lambda name: found)
    figure = figure4(everything(LICENSED), LICENSED)
    labels = [line.get_label() for axes in figure.axes for line in axes.lines]
    assert {"coma", "paper, COMA (digitised)", "bu3dfe", "paper, BU3DFE (digitised)"} <= set(labels)


def test_the_embedded_sets_are_never_called_by_the_licensed_names():
    for draw in (figure4, figure5, figure6):
        figure = draw(everything())
        labels = [line.get_label() for axes in figure.axes for line in axes.lines]
        for text in [*labels, texts(figure)]:
            assert not re.search("COMA|BU3DFE", text) or "paper" in text


def test_convergence_is_drawn_over_epochs():
    results = trained_for(CONVERGING)
    figure = convergence_figure(results)
    drawn = curves(figure.axes[0])
    assert drawn["d = 16"] == ([5, 30, 120], [2.0, 1.2, 1.0]) and drawn["d = 256"] == ([30, 120], [0.75, 0.5])
    assert "profile quick" in texts(figure) and "missing" in footer(figure)
    assert_texts_inside(figure)
