"""Runs: trained once, measured again, and what happens when they are killed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_runs import LONG, PCA, RUN, train_both
from sphere_sets import sphere_dataset

from bench3dmm.errors import DataError, ShortOfMemoryError, UnknownNameError
from bench3dmm.record.run import Run
from bench3dmm.runs.claims import holder_of
from bench3dmm.runs.execute import execute, measure_again
from bench3dmm.runs.results import load_result, result_path


@pytest.fixture(scope="module")
def stored(tmp_path_factory, spheres):
    """One trained and one closed-form run, not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    return folder, train_both(folder, spheres)


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("split", "percent", "percentage"),
        ("model", "PCA", "pca"),
        ("preset", "papers", "paper"),
        ("loss", "l2", "l1"),
        ("optimizer", "adamW", "adamw"),
        ("schedule", "cosin", "cosine"),
        ("task", "reconstruct", "reconstruction"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_loaded(tmp_path, field, value, hint):
    with pytest.raises(UnknownNameError, match=hint):
        execute(Run(**{"dataset": "no such", field: value}), tmp_path, progress=False)


def test_stored_run_is_not_trained_again_unless_forced(tmp_path, spheres, monkeypatch):
    first = execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)
    created = result_path(PCA, tmp_path).stat().st_mtime_ns
    monkeypatch.setattr("bench3dmm.runs.execute.Training", lambda *_, **__: pytest.fail("trained again"))
    again = execute(PCA, tmp_path, "cpu", progress=False)
    assert again.metrics == first.metrics
    assert result_path(PCA, tmp_path).stat().st_mtime_ns == created
    monkeypatch.undo()
    execute(PCA, tmp_path, "cpu", force=True, progress=False, dataset=spheres)
    assert result_path(PCA, tmp_path).stat().st_mtime_ns > created


def test_a_result_of_another_version_of_the_data_is_refused(tmp_path, spheres):
    execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)
    changed = dataclasses.replace(spheres, card={"recipe_sha256": "another"})
    with pytest.raises(DataError, match="another version of sphere; run it again with --force"):
        execute(PCA, tmp_path, "cpu", progress=False, dataset=changed)


def test_a_run_that_is_interrupted_between_steps_keeps_no_claim(tmp_path, spheres, monkeypatch):
    """Whoever keeps the traceback, as a notebook does, keeps the training in it."""
    monkeypatch.setattr("bench3dmm.runs.execute.check_stop", interrupts := Interrupts(after=3))
    with pytest.raises(KeyboardInterrupt) as kept:
        execute(RUN, tmp_path, "cpu", progress=False, dataset=spheres)
    assert interrupts.asked == 4 and kept.tb is not None
    assert holder_of(result_path(RUN, tmp_path)) is None


def falls_short(*_, **__):
    raise MemoryError


def test_meshes_that_do_not_fit_say_how_large_they_are(tmp_path, spheres, monkeypatch):
    monkeypatch.setattr("bench3dmm.runs.execute.load_normalised", falls_short)
    with pytest.raises(
        ShortOfMemoryError, match=r"the 42 training meshes take 0\.00 GB, .* free on cpu; a profile with"
    ):
        execute(RUN, tmp_path, "cpu", progress=False, dataset=spheres)
    assert holder_of(result_path(RUN, tmp_path)) is None


@pytest.mark.parametrize("where", ["build_model", "save_weights"])
def test_memory_that_is_short_before_or_after_training_is_the_same_error(tmp_path, spheres, monkeypatch, where):
    monkeypatch.setattr(f"bench3dmm.runs.execute.{where}", falls_short)
    with pytest.raises(
        ShortOfMemoryError, match=rf"{RUN.run_id}: out of memory before or after .*\(MemoryError\); stop"
    ):
        execute(RUN, tmp_path, "cpu", progress=False, dataset=spheres)
    assert not result_path(RUN, tmp_path).exists()


class Interrupts:
    def __init__(self, after):
        self.after, self.asked = after, 0

    def __call__(self):
        self.asked += 1
        if self.asked > self.after:
            raise KeyboardInterrupt


def test_a_killed_forced_run_leaves_no_old_result(tmp_path, spheres, monkeypatch):
    execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench3dmm.runs.execute.Training", stop)
    with pytest.raises(KeyboardInterrupt):
        execute(PCA, tmp_path, "cpu", force=True, progress=False, dataset=spheres)
    assert not result_path(PCA, tmp_path).exists()


def test_pca_of_low_rank_data_is_exact(tmp_path, spheres):
    """6 identity and 6 expression modes: 12 components leave nothing but rounding."""
    result = execute(Run(dataset="sphere", model="pca", latent=12), tmp_path, "cpu", progress=False, dataset=spheres)
    assert result.metrics["mean_mm"] < 1e-4
    assert result.provenance["parameters"] == 12 * 3 * len(spheres.template.vertices) + 12  # components, deviations
    fewer = execute(Run(dataset="sphere", model="pca", latent=3), tmp_path, "cpu", progress=False, dataset=spheres)
    assert fewer.metrics["mean_mm"] > 0.1


def test_dataset_of_another_name_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"'sphere'.*'cube'"):
        execute(PCA, tmp_path, "cpu", progress=False, dataset=sphere_dataset("cube"))


@pytest.mark.parametrize("run", [RUN, PCA], ids=["neural3dmm", "pca"])
def test_measuring_again_from_the_weights_gives_what_was_measured(stored, spheres, run, tmp_path):
    folder, results = stored
    shutil.copytree(folder / run.profile, tmp_path / run.profile)
    before = results[run]
    path = result_path(run, tmp_path)
    document = json.loads(path.read_text())
    del document["metrics"]["compactness"]  # as if it were an old result
    path.write_text(json.dumps(document))
    again = measure_again(run, tmp_path, "cpu", dataset=spheres)
    assert again.metrics == before.metrics
    loaded = load_result(path)
    assert loaded.metrics == before.metrics
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
    assert loaded.provenance["created"] == before.provenance["created"]
    assert loaded.provenance["measured"]["versions"] == before.provenance["versions"]


def test_measuring_again_on_other_data_is_refused(stored, spheres, tmp_path):
    folder, _ = stored
    shutil.copytree(folder / PCA.profile, tmp_path / PCA.profile)
    other = dataclasses.replace(spheres, sha256="0" * 64)
    with pytest.raises(DataError, match="dataset_sha256"):
        measure_again(PCA, tmp_path, "cpu", dataset=other)


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from small_runs import LONG
from sphere_sets import sphere_dataset
from bench3dmm.runs.execute import execute
from bench3dmm.training import losses

make = losses.make_loss

def make_slow(*arguments):
    loss = make(*arguments)

    def slow(prediction, target):  # leaves time to be killed in
        time.sleep(0.05)
        return loss(prediction, target)

    return slow

losses.make_loss = make_slow
execute(LONG, sys.argv[2], "cpu", dataset=sphere_dataset())
"""


def test_killed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, spheres, capfd):
    folder = Path(__file__).parents[1] / "helpers"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(tmp_path / "killed")])
    checkpoint = tmp_path / "killed" / "smoke" / ".partial" / LONG.run_id / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)  # into an epoch
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert checkpoint.exists()
    assert not result_path(LONG, tmp_path / "killed").exists()

    capfd.readouterr()
    resumed = execute(LONG, tmp_path / "killed", "cpu", dataset=spheres)
    whole = execute(LONG, tmp_path / "whole", "cpu", dataset=spheres, progress=False)
    one, other = (
        load_file(result_path(LONG, tmp_path / name).with_suffix(".safetensors")) for name in ("killed", "whole")
    )
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert resumed.metrics == whole.metrics
    np.testing.assert_array_equal(resumed.arrays["loss"], whole.arrays["loss"])
    assert not checkpoint.exists()
    assert "epoch 1/6" not in capfd.readouterr().err  # it went on, it did not start over
    sittings = resumed.provenance["sittings"]
    spans = [(one["first_epoch"], one["last_epoch"]) for one in sittings]
    assert spans[0][0] == 1 and spans[1] == (spans[0][1] + 1, LONG.n_epochs)
    assert all({"host", "cpu", "device", "threads", "began", "seconds"} <= one.keys() for one in sittings)
    assert resumed.provenance["training_seconds"] == pytest.approx(sum(one["seconds"] for one in sittings), abs=2e-3)
    assert [(one["first_epoch"], one["last_epoch"]) for one in whole.provenance["sittings"]] == [(1, LONG.n_epochs)]
