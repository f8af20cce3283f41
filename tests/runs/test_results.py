"""Results on disk: complete, readable, and named where they are broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from small_runs import PCA, RUN, train_both

from bench3dmm.data.splits import make_split
from bench3dmm.errors import DataError
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import load_result, load_results, result_path


@pytest.fixture(scope="module")
def stored(tmp_path_factory, spheres):
    """One trained and one closed-form run, not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    return folder, train_both(folder, spheres)


@pytest.fixture
def pca_results(tmp_path, spheres):
    execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)
    return tmp_path, result_path(PCA, tmp_path)


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
