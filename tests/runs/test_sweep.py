"""Sweeps: what is missing is trained, and no more asked of the machine than that."""

from __future__ import annotations

import dataclasses
import json

import pytest
from small_runs import PCA, RUN

from bench3dmm.errors import TrainingError
from bench3dmm.record.grid import grid
from bench3dmm.record.run import Run
from bench3dmm.runs import sweep as sweeps
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.runs.sweep import sweep


def test_training_reduces_the_error(tmp_path, spheres):
    runs = grid(dataset="sphere", latent=8, epochs=[1, 10], batch_size=6, learning_rate=3e-3)
    frame = sweep(runs, tmp_path, "cpu", progress=False, datasets={"sphere": spheres})
    assert frame["mean_mm"].iloc[1] < 0.8 * frame["mean_mm"].iloc[0]
    losses = load_result(result_path(runs[1], tmp_path)).arrays["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_sweep_goes_on_after_a_failure_and_skips_what_is_stored(tmp_path, spheres, capsys):
    runs = [PCA, dataclasses.replace(RUN, learning_rate=1e30), dataclasses.replace(PCA, latent=2)]
    with pytest.raises(TrainingError, match=r"(?s)1 of 3 runs failed.*learning_rate=1e\+30.*epoch"):
        sweep(runs, tmp_path, "cpu", datasets={"sphere": spheres})
    capsys.readouterr()
    frame = sweep([runs[2], runs[0], runs[2]], tmp_path, "cpu", datasets={"sphere": spheres})
    assert frame["latent"].tolist() == [2, 4]
    said = capsys.readouterr().err
    assert "2 of 2 runs are stored" in said and "training" not in said


def test_a_sweep_with_nothing_to_train_asks_for_no_device(spheres, tmp_path, monkeypatch):
    run = Run("sphere", model="pca", latent=2)
    sweep([run], tmp_path, "cpu", progress=False, jobs=1, datasets={"sphere": spheres})
    monkeypatch.setattr(sweeps, "resolve_device", lambda _: pytest.fail("nothing is missing"))
    frame = sweep([run], tmp_path, progress=False, jobs=0, datasets={"sphere": spheres})
    assert len(frame) == 1


def test_force_trains_what_is_stored(spheres, tmp_path):
    run = Run("sphere", model="pca", latent=2)
    for force in (False, True):
        sweep([run], tmp_path, "cpu", force, progress=False, datasets={"sphere": spheres})
        path = result_path(run, tmp_path)
        document = json.loads(path.read_text())
        assert document["provenance"]["device"] != "another machine"
        document["provenance"]["device"] = "another machine"
        path.write_text(json.dumps(document))
