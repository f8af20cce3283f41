"""Where the comparison's tables and pictures are shown: in the report, and in a workbook."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from peer_results import SETUP, peer_results, people

from bench3dmm.pages import chapters, workbook
from bench3dmm.pages.evidence import Evidence
from bench3dmm.papers.artefact import Material
from bench3dmm.papers.comparison.artefacts import ARTEFACTS, COMPARED
from bench3dmm.papers.comparison.chosen import PEER_EXPERIMENTS, peers_headline
from bench3dmm.papers.comparison.figures import error_over_latent_figure
from bench3dmm.papers.comparison.tables import ranking_table
from bench3dmm.papers.registry import papers
from bench3dmm.view.blocks import Heading, Notice, Text


def test_every_artefact_of_the_peers_is_in_the_report(results):
    named = {name: one for name, one in ARTEFACTS.items() if set(one.needs) & set(PEER_EXPERIMENTS)}
    assert len(named) == 14
    others = peer_results(SETUP, people, "common-training", "extrapolation")
    material = Material([*results, *others], {}, SETUP)
    for name, artefact in named.items():
        if name != "peers-faces":
            assert artefact.make(material) is not None, name
        artefact.caption.format(coma="a", bu3dfe="b")


def below_the_heading(results):
    """The blocks of the section that compares models, in a report of these results."""
    blocks = chapters._paper(papers()["comparison"], Evidence(SETUP, Path("results"), {}, results))
    return itertools.islice(itertools.dropwhile(lambda block: block != Heading(COMPARED, 3), blocks), 1, None)


def test_the_report_says_first_where_pca_wins(results):
    first = next(below_the_heading(results))
    assert isinstance(first, Text) and "PCA, a linear model fitted in 2 s, is first" in first.text
    (notice,) = below_the_heading([])
    assert isinstance(notice, Notice) and "sweep peers" in notice.text


def test_a_workbook_shows_what_is_stored_and_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(workbook, "sweep", lambda *_, **__: pytest.fail("it trained"))
    book = workbook.Workbook("mh-seq", "mh-scan", "quick", 3, tmp_path)
    assert book.stored("peers") == []
    assert capsys.readouterr().out == "0 of 100 runs are stored; the rest: bench3dmm sweep peers --profile quick\n"
    assert book.show(ranking_table, "ranking") is None
    book.say(peers_headline)
    assert capsys.readouterr().out.count("run `bench3dmm sweep peers --profile quick`") == 2


def test_a_workbook_shows_tables_and_figures(results, tmp_path):
    book = workbook.Workbook("mh-seq", "mh-scan", "quick", 3, tmp_path, tmp_path / "figures")
    book.results = list(results)
    book.show(ranking_table, "ranking", place="coma")
    book.show(error_over_latent_figure, "latent")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "ranking.csv",
        "ranking.tex",
        "latent.png",
        "latent.pdf",
    }
