"""Where the project's files are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench3dmm.pages import notebooks
from bench3dmm.papers.neural3dmm_bu3dfe.ledger import PAGE
from bench3dmm.runs import results
from bench3dmm.system import checkout

TOP = Path(__file__).resolve().parents[2]


def test_the_checkout_is_where_the_project_s_folders_are():
    assert checkout.ROOT == TOP and (TOP / "pyproject.toml").is_file()
    assert results.CHECKOUT_RESULTS == TOP / "results" and results.CHECKOUT_RESULTS.is_dir()
    assert notebooks.FOLDER == TOP / "notebooks" and list(notebooks.FOLDER.glob("*.ipynb"))


def test_the_ledger_s_page_is_the_checkout_s():
    assert PAGE == TOP / "docs" / "ledger.md" and PAGE.is_file()


def test_the_checkout_does_not_depend_on_where_one_stands(tmp_path):
    program = "import os; os.chdir('..'); from bench3dmm.system.checkout import ROOT; print(ROOT)"
    (tmp_path / "deeper").mkdir()
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path / "deeper", env={"PYTHONPATH": str(TOP)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(TOP)


def test_results_are_the_checkout_s_where_there_is_one_and_no_folder_is_named(monkeypatch, tmp_path):
    assert results.results_folder() == TOP / "results"
    assert results.results_folder("mine") == Path("mine")
    monkeypatch.setattr(results, "CHECKOUT_RESULTS", tmp_path / "none")
    assert results.results_folder() == Path("results")
