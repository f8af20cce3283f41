"""Runs, their results on disk, sweeps, and what happens when they are killed."""

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
import torch
from safetensors.numpy import load_file
from sphere_sets import sphere_dataset

from bench3dmm.data.rows import rows_of_profile
from bench3dmm.data.splits import make_split
from bench3dmm.errors import Bench3dmmError, DataError, TrainingError, UnknownNameError
from bench3dmm.record.grid import grid
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import ADDED, Run
from bench3dmm.runs.execute import execute, measure_again
from bench3dmm.runs.results import load_result, load_results, result_path
from bench3dmm.runs.sweep import sweep
from bench3dmm.tasks.published import published_run
from bench3dmm.training.weights import load_model

RUN = Run(dataset="sphere", latent=4, epochs=1)
PCA = Run(dataset="sphere", model="pca", latent=4)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, spheres):
    """One trained and one closed-form run, not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    return folder, {run: execute(run, folder, "cpu", progress=False, dataset=spheres) for run in (RUN, PCA)}


@pytest.fixture
def pca_results(tmp_path, spheres):
    execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)
    return tmp_path, result_path(PCA, tmp_path)


# --- the record -------------------------------------------------------------------------------------------------


def test_run_id_is_pinned():
    """Stored results are found by it: a change here makes all of them unreachable."""
    assert Run(dataset="mh-scan").run_id == "8113aecfb261"


def test_equal_runs_have_equal_ids_whatever_the_number_types():
    one = Run(dataset="mh-scan", latent=16, learning_rate=1)
    other = Run(dataset="mh-scan", latent=np.int64(16), learning_rate=np.float64(1.0))
    assert one == other
    assert one.run_id == other.run_id
    assert json.loads(json.dumps(other.as_dict())) == one.as_dict()


def test_every_field_changes_the_id():
    base = Run(dataset="mh-scan")
    ids = {base.run_id}
    for field in dataclasses.fields(Run):
        value = getattr(base, field.name)
        changed = value + "x" if isinstance(value, str) else value + 1
        if field.name in ("learning_rate_decay", "test_share", "warm_up"):
            changed = 0.5
        changed = {"profile": "quick", "task": "manipulation", "final_learning_rate": 1e-4}.get(field.name, changed)
        ids.add(dataclasses.replace(base, **{field.name: changed}).run_id)
    assert len(ids) == len(dataclasses.fields(Run)) + 1


def test_a_field_that_came_later_changes_no_old_id_and_may_be_missing():
    old = {name: value for name, value in Run(dataset="mh-scan").as_dict().items() if name not in ADDED}
    assert set(ADDED) == {"optimizer", "schedule", "final_learning_rate", "warm_up", "task"}
    assert Run.from_dict(old) == Run(dataset="mh-scan")
    assert Run.from_dict({**old, "optimizer": "sgd"}).run_id != Run(dataset="mh-scan").run_id


def test_published_training_is_the_models_unless_said_otherwise():
    coma = published_run(dataset="mh-scan", model="coma")
    assert (coma.optimizer, coma.learning_rate, coma.weight_decay, coma.batch_size) == ("sgd", 8e-3, 5e-4, 16)
    assert published_run(dataset="mh-scan", model="coma", optimizer="adam", learning_rate=1e-3, weight_decay=5e-5) == (
        Run("mh-scan", model="coma")
    )
    spiralnet = published_run(dataset="mh-scan", model="spiralnet")
    assert (spiralnet.optimizer, spiralnet.weight_decay, spiralnet.batch_size) == ("adam", 0.0, 32)
    assert published_run(dataset="mh-scan") == Run("mh-scan")
    with pytest.raises(UnknownNameError, match="coma"):
        published_run(dataset="mh-scan", model="komma")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", ""),
        ("dataset", 3),
        ("latent", 0),
        ("latent", 2.5),
        ("latent", "16"),
        ("latent", True),
        ("seed", -1),
        ("epochs", -1),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate_decay", 1.5),
        ("weight_decay", -1e-5),
        ("profile", "fast"),
        ("task", "editing"),
        ("warm_up", 1.0),
        ("final_learning_rate", 2e-3),
    ],
)
def test_wrong_values_are_refused_by_name(field, value):
    with pytest.raises(Bench3dmmError, match=field):
        Run(**{"dataset": "mh-scan", field: value})


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("split", "percent", "percentage"),
        ("model", "PCA", "pca"),
        ("preset", "papers", "paper"),
        ("loss", "l2", "l1"),
        ("optimizer", "adamW", "adamw"),
        ("schedule", "cosin", "cosine"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_loaded(tmp_path, field, value, hint):
    with pytest.raises(UnknownNameError, match=hint):
        execute(Run(**{"dataset": "no such", field: value}), tmp_path, progress=False)


def test_profiles_take_meshes_evenly():
    train, test = np.arange(0, 4000, 2), np.arange(1, 1001, 2)
    chosen, tested = rows_of_profile(train, test, PROFILES["smoke"])
    assert len(chosen) == 128
    assert len(tested) == 32
    assert chosen[0] == 0
    assert chosen[-1] == 3998
    assert np.diff(chosen).max() - np.diff(chosen).min() <= 2
    whole = rows_of_profile(train, test, PROFILES["paper"])
    np.testing.assert_array_equal(whole[0], train)
    np.testing.assert_array_equal(whole[1], test)
    assert [len(rows) for rows in rows_of_profile(np.arange(9000), np.arange(900), PROFILES["quick"])] == [2000, 400]


# --- results ----------------------------------------------------------------------------------------------------


def test_files_of_a_run(stored):
    folder, _ = stored
    names = {path.name for path in (folder / "smoke").iterdir() if path.is_file()}
    assert names == {f"{run.run_id}.{end}" for run in (RUN, PCA) for end in ("json", "npz", "safetensors")}
    assert not list((folder / "smoke" / ".partial").iterdir())


def test_json_says_what_and_how(stored, spheres, sphere_hierarchy):
    folder, results = stored
    document = json.loads(result_path(RUN, folder).read_text())
    assert document["run"] == RUN.as_dict()
    provenance = document["provenance"]
    assert provenance["dataset_sha256"] == spheres.sha256
    assert provenance["split_sha256"] == make_split("percentage", spheres.samples).sha256
    assert provenance["hierarchy_sha256"] == sphere_hierarchy.sha256
    assert provenance["versions"]["torch"] == torch.__version__
    assert provenance["train_meshes"] + provenance["test_meshes"] == len(spheres)
    assert set(document["metrics"]["by_expression"]) <= {"angry", "happy", "sad", "neutral"}
    assert len(results[RUN].arrays["loss"]) == provenance["epochs"] == 1
    assert results[RUN].arrays["histogram"].sum() == provenance["test_meshes"] * spheres.vertices.shape[1]


def test_loaded_result_is_the_one_returned(stored):
    folder, results = stored
    loaded = load_result(result_path(RUN, folder))
    assert loaded.run == RUN
    assert loaded.metrics == results[RUN].metrics
    assert loaded.provenance == results[RUN].provenance
    for name, array in results[RUN].arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)


def test_stored_run_is_not_trained_again_unless_forced(tmp_path, spheres, monkeypatch):
    first = execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)
    created = result_path(PCA, tmp_path).stat().st_mtime_ns
    monkeypatch.setattr("bench3dmm.training.fit.fit", lambda *_, **__: pytest.fail("trained again"))
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


def test_a_killed_forced_run_leaves_no_old_result(tmp_path, spheres, monkeypatch):
    execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench3dmm.training.fit.fit", stop)
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


def test_training_reduces_the_error(tmp_path, spheres):
    runs = grid(dataset="sphere", latent=8, epochs=[1, 10], batch_size=6, learning_rate=3e-3)
    frame = sweep(runs, tmp_path, "cpu", progress=False, datasets={"sphere": spheres})
    assert frame["mean_mm"].iloc[1] < 0.8 * frame["mean_mm"].iloc[0]
    losses = load_result(result_path(runs[1], tmp_path)).arrays["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_dataset_of_another_name_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"'sphere'.*'cube'"):
        execute(PCA, tmp_path, "cpu", progress=False, dataset=sphere_dataset("cube"))


def test_frame_has_one_row_a_run(stored):
    frame = load_results(stored[0])
    assert sorted(frame["run_id"]) == sorted([RUN.run_id, PCA.run_id])
    row = frame.set_index("model").loc["neural3dmm"]
    assert row["mean_mm"] == stored[1][RUN].metrics["mean_mm"]
    assert row["latent"] == 4


def test_no_results_give_an_empty_frame_with_columns(tmp_path):
    frame = load_results(tmp_path / "none")
    assert frame.empty
    assert {"run_id", "dataset", "mean_mm"} <= set(frame.columns)


def edit(key, value):
    def change(path):
        document = json.loads(path.read_text())
        part = document
        for name in key[:-1]:
            part = part[name]
        if value is None:
            del part[key[-1]]
        else:
            part[key[-1]] = value
        path.write_text(json.dumps(document))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text('{"run": '),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        edit(["run"], None),
        edit(["run", "latent"], 5),
        edit(["run", "latent"], "many"),
        edit(["run", "colour"], "red"),
        edit(["metrics", "mean_mm"], None),
        edit(["metrics", "mean_mm"], -1.0),
        edit(["metrics", "mean_mm"], float("nan")),
        edit(["metrics", "by_expression", "happy"], 3),
        edit(["provenance", "split_sha256"], None),
        edit(["run_id"], None),
        lambda path: path.rename(path.with_name("0123456789ab.json")),
    ],
)
def test_broken_json_is_named(pca_results, damage):
    folder, path = pca_results
    damage(path)
    with pytest.raises(DataError, match=rf"{next(path.parent.glob('*.json')).name}"):
        load_results(folder)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off"])
def test_broken_arrays_are_named(pca_results, content):
    folder, path = pca_results
    arrays = path.with_suffix(".npz")
    arrays.unlink()
    if content is not None:
        arrays.write_bytes(content)
    with pytest.raises(DataError, match=f"{arrays.name}.*--force"):
        execute(PCA, folder, "cpu", progress=False)


# --- trained weights --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [RUN, PCA], ids=["neural3dmm", "pca"])
def test_stored_weights_reconstruct_as_they_did(stored, spheres, run):
    folder, results = stored
    model, normaliser = load_model(result_path(run, folder), dataset=spheres)
    index = results[run].arrays["reconstruction_index"]
    meshes = spheres.vertices[index]
    with torch.inference_mode():
        again = normaliser.invert(model(torch.from_numpy(normaliser.apply(meshes))).numpy())
    np.testing.assert_allclose(again - meshes, results[run].arrays["reconstruction_offset"], atol=0.01)


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


def test_weights_refuse_another_template(stored):
    other = sphere_dataset()
    moved = dataclasses.replace(other.template, vertices=other.template.vertices + 1)
    with pytest.raises(DataError, match="template"):
        load_model(result_path(RUN, stored[0]), dataset=dataclasses.replace(other, template=moved))


def test_missing_or_broken_weights_are_named(tmp_path):
    with pytest.raises(DataError, match=r"abc\.safetensors"):
        load_model(tmp_path / "abc.json")
    (tmp_path / "abc.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(DataError, match=r"abc\.safetensors"):
        load_model(tmp_path / "abc.json")


# --- interruptions ----------------------------------------------------------------------------------------------

LONG = Run(dataset="sphere", latent=4, epochs=6, batch_size=6)
KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from sphere_sets import sphere_dataset
from test_run import LONG
from bench3dmm import losses
from bench3dmm.run import execute

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
    folder = Path(__file__).parent
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


def test_sweep_goes_on_after_a_failure_and_skips_what_is_stored(tmp_path, spheres, capsys):
    runs = [PCA, dataclasses.replace(RUN, learning_rate=1e30), dataclasses.replace(PCA, latent=2)]
    with pytest.raises(TrainingError, match=r"(?s)1 of 3 runs failed.*learning_rate=1e\+30.*epoch"):
        sweep(runs, tmp_path, "cpu", datasets={"sphere": spheres})
    capsys.readouterr()
    frame = sweep([runs[2], runs[0], runs[2]], tmp_path, "cpu", datasets={"sphere": spheres})
    assert frame["latent"].tolist() == [2, 4]
    said = capsys.readouterr().err
    assert "2 of 2 runs are stored" in said and "training" not in said


def test_grid_is_the_product_of_its_axes():
    runs = grid(dataset="mh-scan", latent=[8, 16], seed=range(2))
    assert [(run.latent, run.seed) for run in runs] == [(8, 0), (8, 1), (16, 0), (16, 1)]
