"""Commands that read stored results: rank gives the headline and the table, report writes its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from peer_results import PERSONS, SETUP, foreign_results, peer_result, peer_results, people

from bench3dmm.papers.setup import Setup
from bench3dmm.record.run import Run
from bench3dmm.runs import stored as stored_runs
from bench3dmm.runs.results import load_result, result_path, save_result
from bench3dmm.statistics import ranking


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_runs, "recipe_sha256", lambda name: "recipe")
    monkeypatch.setattr(stored_runs, "stored_results", unchecked)
    monkeypatch.setattr(ranking, "persons", people)
    given = peer_results(SETUP, people)
    given = [
        r for r in given if r.run.latent in (16, 64) and r.run.split == "percentage" and r.run.dataset == "mh-scan"
    ]
    given += foreign_results(SETUP, people, "pkg:build", latent=16)
    given += [peer_result(Run("mh-scan", latent=16, profile="quick", epochs=5, seed=s), PERSONS) for s in range(3)]
    for result in given:
        save(result, tmp_path)
    return tmp_path


def save(result, folder):
    result.provenance.update(hierarchy_sha256="h", dataset_sha256="d", versions={}, created="today")
    result.arrays.update(histogram=np.ones(2), histogram_edges=np.arange(3.0))
    save_result(result, folder)


def unchecked(runs, results_dir):
    return [load_result(result_path(run, results_dir)) for run in runs]


def test_rank_prints_the_headline_and_then_the_table(stored, command):
    code, out, err = command("rank", "--results-dir", stored)
    assert code == 0, err
    assert out.startswith("PCA, a linear model fitted in 2 s, is first, ahead of")
    assert "pkg:build" in out and "mh-scan, percentage split, profile quick" in out
    assert "epochs" not in out, "a run off the protocol does not take part"
    code, out, _ = command("rank", "--results-dir", stored, "--latent", 64, "--model", "pca", "--model", "coma")
    assert code == 0 and "spiralnet" not in out and "d = 16" not in out and "d = 64" in out


def test_rank_says_what_to_do_where_nothing_is_stored(stored, tmp_path, command):
    code, _, err = command("rank", "--results-dir", tmp_path / "none")
    assert code == 1 and "no run of reconstruction to rank is stored; `bench3dmm list results` shows" in err
    assert "`bench3dmm list experiments` what a sweep trains" in err
    code, _, err = command("rank", "--results-dir", stored, "--split", "identity")
    assert code == 1 and "with split identity" in err
    code, _, err = command("rank", "--profile", "quik")
    assert code == 2 and "Did you mean 'quick'" in err


@pytest.fixture
def written(monkeypatch):
    """What the command asks the report for."""
    calls = []

    def write_report(*arguments):
        calls.append(arguments)
        return Path("a.html"), Path("a.md"), Path("a.json")

    monkeypatch.setattr("bench3dmm.pages.report.write_report", write_report)
    return calls


def test_a_report_is_asked_for_with_what_was_given(command, written, tmp_path):
    code, out, err = command(
        *("report", "--profile", "smoke", "--coma", "ball", "--bu3dfe", "sphere", "--seeds", 2),
        *("--results-dir", tmp_path, "--output", "a.html", "--templates", tmp_path / "mine"),
    )
    assert code == 0, err
    assert out.split() == ["a.html", "a.md", "a.json"]
    assert written == [(Setup("ball", "sphere", "smoke", (0, 1)), tmp_path, Path("a.html"), tmp_path / "mine")]


def test_without_templates_of_one_s_own_ours_are_taken(command, written):
    assert command("report")[0] == 0
    ((*_, templates),) = written
    assert templates is None


@pytest.mark.parametrize("content", [None, {}, {"other.txt": ""}])
def test_a_folder_without_templates_is_one_line_and_writes_nothing(command, tmp_path, content):
    folder = tmp_path / "mine"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    output = tmp_path / "page.html"
    code, out, err = command("report", "--output", output, "--templates", folder)
    assert code == 1 and out == "" and err.count("\n") == 1
    says = "there is no such folder of templates" if content is None else "holds none of the files"
    assert err.startswith(f"error: {folder}: {says}")
    assert not output.exists()
