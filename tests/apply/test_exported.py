"""Exported models: what was measured comes out again, anywhere; what does not belong is refused by name."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from exported_models import MODELS, run_of
from sphere_sets import sphere_dataset

import bench3dmm
from bench3dmm.apply.exported import _document_sha256, export
from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.runs.results import result_path
from bench3dmm.system.storage import hash_file
from bench3dmm.training.weights import read_weights, write_weights

# --- what comes out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_exported_model_has_the_errors_that_were_measured(name, results, exported, marked):
    result = results[1][name]
    model = bench3dmm.load(exported[name])
    rows = result.arrays["sample_index"]
    offset = model.reconstruct(marked.vertices[rows]) - marked.vertices[rows]
    errors = np.sqrt(np.einsum("mvc,mvc->mv", offset, offset)).mean(axis=1, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(errors, result.arrays["sample_error"])
    assert model.metrics == result.metrics
    assert model.metrics["mean_mm"] == pytest.approx(errors.mean(dtype=np.float64), abs=1e-6)
    assert (model.run, model.provenance) == (result.run, result.provenance)
    assert model.latent == 4
    for key in ("vertices", "faces", "landmarks"):
        np.testing.assert_array_equal(getattr(model.template, key), getattr(marked.template, key))


THREE_LINES = """
import sys
import numpy as np
meshes = np.load(sys.argv[2])

import bench3dmm
assert not {"torch", "scipy", "pandas"} & set(sys.modules)
model = bench3dmm.load(sys.argv[1])
np.save(sys.argv[3], model.reconstruct(meshes))
"""


def test_three_lines_in_a_fresh_process(tmp_path, exported, marked, monkeypatch):
    """Which knows neither the dataset nor a cache, and has none afterwards."""
    monkeypatch.setenv("BENCH3DMM_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "meshes.npy", marked.vertices)
    folder = shutil.copytree(exported["neural3dmm"], tmp_path / "elsewhere")
    arguments = [str(folder), str(tmp_path / "meshes.npy"), str(tmp_path / "out.npy")]
    subprocess.run([sys.executable, "-c", THREE_LINES, *arguments], check=True, cwd=tmp_path)
    here = bench3dmm.load(exported["neural3dmm"]).reconstruct(marked.vertices)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), here)
    assert not (tmp_path / "cache").exists()


def test_either_file_of_the_pair_is_enough_to_name(exported):
    folder = exported["pca"]
    for path in (folder / "model.json", folder / "model.safetensors"):
        assert bench3dmm.load(path).run == run_of("pca")


def test_json_can_be_read(exported, results, marked):
    document = json.loads((exported["coma"] / "model.json").read_text())
    result = results[1]["coma"]
    assert document["run"] == result.run.as_dict()
    assert document["metrics"]["mean_mm"] == result.metrics["mean_mm"]
    template = document["template"]
    assert (template["vertices"], template["landmarks"]) == (marked.template.n_vertices, 2)
    assert template["sha256"] == marked.template.sha256
    assert document["hierarchy"]["sha256"] == result.provenance["hierarchy_sha256"]
    assert document["provenance"]["versions"] == result.provenance["versions"]
    assert document["tensors"]["bytes"] == (exported["coma"] / "model.safetensors").stat().st_size


# --- files that are refused -------------------------------------------------------------------------------------


def rewritten(folder, **changes) -> None:
    """The JSON with other content and a hash that fits it: what an older or newer version would have written."""
    path = folder / "model.json"
    document = json.loads(path.read_text()) | changes
    del document["sha256"]
    path.write_text(json.dumps({**document, "sha256": _document_sha256(document)}))


def edited(folder, old: str, new: str) -> None:
    path = folder / "model.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def flipped(path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model.json").unlink(), r"model\.json: missing.*two files"),
        (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: missing.*two files"),
        (lambda f: [path.unlink() for path in f.iterdir()], "holds no exported model"),
        (shutil.rmtree, "no such file or folder; bench3dmm export"),
        (lambda f: edited(f, '"latent": 4', '"latent": 5'), r"model\.json: edited"),
        (lambda f: edited(f, '"mean_mm": ', '"mean_mm": 0'), "not the JSON of an exported model|edited"),
        (lambda f: edited(f, '"version": 1', '"version": 2'), "format version 2, bench3dmm .* reads 1"),
        (lambda f: rewritten(f, version=0), "format version 0"),
        (lambda f: (f / "model.json").write_text("[]"), "not the JSON of an exported model"),
        (lambda f: (f / "model.json").write_text("{"), "not the JSON of an exported model"),
        (lambda f: flipped(f / "model.safetensors"), r"model\.safetensors: not the tensors that model\.json"),
    ],
)
def test_damaged_exports_are_refused(copy, damage, message):
    damage(copy)
    with pytest.raises(DataError, match=message):
        bench3dmm.load(copy)


def test_a_layout_of_ones_own_is_no_edit(copy):
    path = copy / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    assert bench3dmm.load(copy).latent == 4


def test_pairs_are_not_mixed(copy, exported):
    shutil.copy(exported["coma"] / "model.safetensors", copy)
    with pytest.raises(DataError, match=r"not the tensors that model\.json was written with"):
        bench3dmm.load(copy)


@pytest.mark.parametrize("name", ["model.pt", "checkpoint.PTH", "model.pkl", "model.ckpt"])
def test_no_pickle_is_loaded(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(DataError, match=f"{name}: .*pickles.*none is read"):
        bench3dmm.load(tmp_path / name)


def test_another_file_and_a_stored_result_are_named(tmp_path, results):
    (tmp_path / "model.onnx").touch()
    with pytest.raises(DataError, match=r"model\.onnx: not an exported model"):
        bench3dmm.load(tmp_path / "model.onnx")
    with pytest.raises(DataError, match=rf"stored result; bench3dmm export {run_of('pca').run_id}"):
        bench3dmm.load(result_path(run_of("pca"), results[0]))


def test_a_model_that_is_not_installed_is_named(copy):
    tensors = copy / "model.safetensors"
    weights = read_weights(tensors)
    write_weights(tensors, dataclasses.replace(weights, run=dataclasses.replace(weights.run, model="my-mlp")))
    document = json.loads((copy / "model.json").read_text())
    described = {**document["model"], "name": "my-mlp", "module": "my_package.mlp"}
    stored = {**document["tensors"], "sha256": hash_file(tensors)}
    rewritten(copy, model=described, tensors=stored)
    with pytest.raises(DataError, match=r"'my-mlp'.*module my_package\.mlp, which is not installed"):
        bench3dmm.load(copy)


# --- export -----------------------------------------------------------------------------------------------------


def test_half_the_size_is_half_as_exact_and_no_less(results, exported, marked, tmp_path):
    """A half has 11 binary digits: PCA's meshes, sums of components times numbers, keep a 2,000th of their size."""
    whole = bench3dmm.load(exported["pca"])
    half = bench3dmm.load(export(run_of("pca").run_id, results[0], tmp_path / "half", half=True))
    assert (tmp_path / "half/model.safetensors").stat().st_size < (exported["pca"] / "model.safetensors").stat().st_size
    assert json.loads((tmp_path / "half/model.json").read_text())["precision"] == "float16"
    assert {tensor.dtype for tensor in half.network.state_dict().values() if tensor.is_floating_point()} == {
        torch.float32
    }
    wanted = whole.reconstruct(marked.vertices)
    offset = np.abs(half.reconstruct(marked.vertices) - wanted)
    deviation = np.abs(wanted - whole.normaliser.mean).max()
    assert 0 < offset.max() < 4 * deviation * 2.0**-11 * whole.latent


def test_export_goes_where_it_should_and_keeps_other_models(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = {name: run_of(name).run_id for name in ("pca", "coma")}
    folder = export(ids["pca"], results[0])
    assert folder.resolve() == tmp_path / "exported" / ids["pca"]
    export(ids["pca"], results[0])  # once more
    with pytest.raises(DataError, match=r"holds another model already.*--output"):
        export(ids["coma"], results[0], folder)
    assert bench3dmm.load(folder).run == run_of("pca")
    with pytest.raises(UnknownNameError, match="Did you mean"):
        export(f"{ids['pca'][:-1]}x", results[0])


def test_weights_that_are_missing_or_another_runs_are_not_exported(results, tmp_path):
    copied = shutil.copytree(results[0], tmp_path / "results")
    run = run_of("pca")
    weights = result_path(run, copied).with_suffix(".safetensors")
    shutil.copy(result_path(run_of("coma"), copied).with_suffix(".safetensors"), weights)
    with pytest.raises(DataError, match=f"not the weights of {run.run_id}"):
        export(run.run_id, copied, tmp_path / "out")
    weights.unlink()
    with pytest.raises(DataError, match=rf"{run.run_id}\.json: stored without its weights.*bench3dmm run .*--force"):
        export(run.run_id, copied, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_from_before_landmarks_were_stored_take_the_datasets(results, marked, tmp_path):
    copied = shutil.copytree(results[0], tmp_path / "results")
    run = run_of("pca")
    path = result_path(run, copied).with_suffix(".safetensors")
    write_weights(path, dataclasses.replace(read_weights(path), landmarks=None))
    folder = export(run.run_id, copied, tmp_path / "out", dataset=marked)
    assert bench3dmm.load(folder).template.landmarks.tolist() == [3, 700]
    with pytest.raises(DataError, match="landmarks and finest level are not the template"):
        export(run.run_id, copied, tmp_path / "other", dataset=sphere_dataset())


def test_export_says_what_it_wrote(command, results, tmp_path):
    code, said, err = command(
        "export", run_of("coma").run_id, "--results-dir", results[0], "--output", tmp_path / "out"
    )
    assert code == 0, err
    assert [line.split("   ")[0] for line in said.splitlines()] == [
        str(tmp_path / "out" / name) for name in ("model.json", "model.safetensors")
    ]
