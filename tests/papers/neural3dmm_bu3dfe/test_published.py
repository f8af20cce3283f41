"""The paper's numbers in results/paper.csv: complete, well-formed, in agreement with the paper's text."""

from __future__ import annotations

import pandas as pd

from bench3dmm.papers.neural3dmm_bu3dfe import published

COLUMNS = [
    "artefact",
    "dataset",
    "split",
    "loss",
    "latent",
    "quantity",
    "value_mm",
    "uncertainty_mm",
    "source",
]


def series(paper: pd.DataFrame, **where) -> pd.Series:
    for column, value in where.items():
        paper = paper[paper[column] == value]
    return paper.set_index("latent")["value_mm"].sort_index()


def test_well_formed(paper):
    assert list(paper.columns) == COLUMNS
    assert not paper.isna().any().any()
    assert not paper.duplicated(COLUMNS[:6]).any(), "one row a number"
    assert set(paper["latent"]) == {8, 16, 64, 256, 512}
    assert set(paper["quantity"]) == {"generalization_error", "median_error", "std_error"}
    assert (paper["value_mm"] > 0).all() and (paper["uncertainty_mm"] > 0).all()
    assert (paper["uncertainty_mm"] < 0.1 * paper["value_mm"]).all()


def test_each_figure_is_complete(paper):
    assert list(series(paper, artefact="fig4").index) == [8, 16, 64]
    for split in ("percentage", "identity"):
        for artefact, quantity in (("fig5", "generalization_error"), ("fig6", "median_error")):
            curve = series(paper, artefact=artefact, split=split, loss="l1", quantity=quantity)
            assert list(curve.index) == [8, 16, 64, 256, 512]
    assert len(series(paper, loss="weighted-l1")) == 4


def test_agrees_with_the_papers_text(paper):
    """Section 4.4: errors fall with d, the identity split is harder, most of the gap closes from 256 on."""
    percentage = series(paper, artefact="fig5", split="percentage")
    identity = series(paper, artefact="fig5", split="identity")
    for curve in (percentage, identity, series(paper, artefact="fig4")):
        assert curve.is_monotonic_decreasing
    gap = identity - percentage
    assert (gap > 0).all() and gap[256] < 0.2 * gap[8]
    assert (series(paper, artefact="fig4") < percentage[[8, 16, 64]]).all(), "COMA is easier"


def test_medians_lie_below_means(paper):
    """Error distributions are skewed to the right: a median above its mean would be a misread curve."""
    for split in ("percentage", "identity"):
        mean = series(paper, artefact="fig5", split=split)
        median = series(paper, artefact="fig6", split=split, loss="l1", quantity="median_error")
        assert (median < mean).all()


def test_weighted_loss_is_worse_at_the_same_latent_size(paper):
    """Section 4.4.3."""
    for split in ("percentage", "identity"):
        for quantity, artefact in (("median_error", "fig6"), ("generalization_error", "fig5")):
            plain = series(paper, artefact=artefact, split=split, loss="l1", quantity=quantity)[512]
            assert series(paper, split=split, loss="weighted-l1", quantity=quantity)[512] > plain


def test_without_a_checkout_there_are_no_published_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "PAPER_CSV", tmp_path / "none.csv")
    published.published_numbers.cache_clear()
    try:
        assert published.published("bu3dfe", "mh-scan", "identity").empty
    finally:
        published.published_numbers.cache_clear()
