"""The chapter of a report on edited faces."""

from __future__ import annotations

import dataclasses

from edited_results import edited_result
from html_checker import check
from reports import SETUP, draw, store, two_sets
from sphere_sets import as_registered, sphere_dataset
from synthetic_results import make_result

from bench3dmm.pages import report
from bench3dmm.papers.shown import artefacts
from bench3dmm.runs.results import save_result


def test_edits_that_are_stored_are_reported(tmp_path, monkeypatch):
    two_sets(monkeypatch)
    name = next(name for name, artefact in artefacts("lamm").items() if artefact.needs == ("manipulation",))
    draw(monkeypatch, name)
    store(tmp_path, lambda run: run.latent == 8)
    folder = f"--profile smoke --results-dir {tmp_path}"
    page, *_ = report.write_report(SETUP, tmp_path, tmp_path / "page.html")
    assert (
        f"No edits are stored; bench3dmm sweep manipulation --coma ball --bu3dfe sphere {folder}"
        in check(page.read_text()).text
    )
    for run in SETUP.runs("manipulation", dataset="sphere", seed=0):
        whole, edited = make_result(run, as_registered(sphere_dataset()), 1.0), edited_result(run)
        metrics, arrays = whole.metrics | edited.metrics, whole.arrays | edited.arrays
        save_result(dataclasses.replace(whole, metrics=metrics, arrays=arrays), tmp_path)
    page, *_ = report.write_report(SETUP, tmp_path, tmp_path / "page.html")
    text = check(page.read_text()).text
    assert "No edits are stored" not in text
    assert "lamm (small-mixer)" in text and "handles (radial basis)" in text
