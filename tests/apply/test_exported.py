"""Exported models: what was measured comes out again, anywhere; what does not belong is refused by name."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from sphere_sets import sphere_dataset

import bench3dmm
from bench3dmm import checkpoint
from bench3dmm.apply.exported import export
from bench3dmm.data.splits import make_split
from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.mesh.files import read_mesh, write_mesh
from bench3dmm.models import model_names
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import result_path
from bench3dmm.system.storage import hash_file
from bench3dmm.tasks.parts.errors import BATCH
from bench3dmm.tasks.published import published_run
from bench3dmm.training.weights import _packed, _unpacked, read_weights, write_weights

MODELS = model_names()
ROUNDING = 1e-5
"""Of a code whose deviation is about 1, float32: how far the size of a batch may move it."""


def run_of(model: str) -> Run:
    return published_run(dataset="sphere", model=model, latent=4, epochs=1)


@pytest.fixture(scope="module")
def marked():
    """The spheres with landmarks, which the hierarchy's levels do not hold."""
    spheres = sphere_dataset()
    return dataclasses.replace(spheres, template=dataclasses.replace(spheres.template, landmarks=np.array([3, 700])))


@pytest.fixture(scope="module")
def results(tmp_path_factory, marked):
    """One run of every model, and the folder they are stored in; not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    return folder, {name: execute(run_of(name), folder, "cpu", progress=False, dataset=marked) for name in MODELS}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, results):
    folder = tmp_path_factory.mktemp("exported")
    return {name: export(run_of(name).run_id, results[0], folder / name) for name in MODELS}


@pytest.fixture
def copy(tmp_path, exported):
    """PCA's folder, to be damaged."""
    return shutil.copytree(exported["pca"], tmp_path / "copy")


@pytest.fixture
def model(exported):
    return bench3dmm.load(exported["pca"])


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


@pytest.mark.parametrize("name", MODELS)
def test_one_mesh_and_many_give_the_same(name, exported, marked):
    model = bench3dmm.load(exported[name])
    meshes = marked.vertices[: 2 * BATCH["cpu"] + 3]
    codes = model.encode(meshes)
    assert codes.shape == (len(meshes), 4) and codes.dtype == np.float32
    assert codes.std() > 100 * ROUNDING
    alone = [model.encode(mesh) for mesh in meshes[-4:]]
    assert alone[0].shape == (4,)
    np.testing.assert_allclose(alone, codes[-4:], rtol=0, atol=ROUNDING)
    decoded = model.decode(codes)
    np.testing.assert_allclose(decoded, model.reconstruct(meshes), rtol=0, atol=1e-4)  # mm
    np.testing.assert_allclose(model.decode(codes[5]), decoded[5], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(model.encode(meshes.astype(np.float64)), codes)


def test_pca_is_what_its_formula_says(model, results, marked):
    """Mean plus codes times deviations times components, with the mean and the axes of NumPy's own decomposition."""
    split = make_split("percentage", marked.samples, 0, 0.0)
    training = marked.vertices[split.train].astype(np.float64).reshape(len(split.train), -1)
    mean = training.mean(axis=0)
    axes = np.linalg.svd(training - mean, full_matrices=False)[2][:4]
    meshes = marked.vertices[split.test]
    centred = meshes.reshape(len(meshes), -1) - mean
    wanted = (mean + centred @ axes.T @ axes).reshape(meshes.shape)
    np.testing.assert_allclose(model.reconstruct(meshes), wanted, atol=1e-3)


def test_meshes_go_through_batch_by_batch(exported, marked, monkeypatch):
    model = bench3dmm.load(exported["pca"])
    seen = []
    encode = model.network.encode
    monkeypatch.setattr(model.network, "encode", lambda x: seen.append(len(x)) or encode(x), raising=False)
    model.encode(np.repeat(marked.vertices, 3, axis=0))
    assert sum(seen) == 3 * len(marked) and max(seen) == BATCH["cpu"]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_gives_nothing(exported, name):
    model = bench3dmm.load(exported[name])
    assert model.encode(np.empty((0, model.template.n_vertices, 3))).shape == (0, 4)
    assert model.decode(np.empty((0, 4))).shape == (0, model.template.n_vertices, 3)


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


@pytest.mark.parametrize("largest", [0, 2**15 - 1, 2**15])
def test_packed_ids_come_back(largest):
    ids = np.array([[-1, 0, largest]], dtype=np.int32)
    packed = _packed(ids)
    assert packed.itemsize == (2 if largest < 2**15 else 4)
    back = _unpacked(packed)
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, ids)


# --- meshes and codes that are refused --------------------------------------------------------------------------


def changed(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[-1, 7] = value
    return array


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: m[:, :-9], r"a mesh has {less} vertices, the model was trained on {all} \(sphere\)"),
        (lambda m: m[0, :-9], r"a mesh has {less} vertices, the model was trained on {all}"),
        (lambda m: m[..., :2], r"shape \(V, 3\) or \(N, V, 3\)"),
        (lambda m: m[None], r"shape \(V, 3\) or \(N, V, 3\)"),
        (lambda m: m.astype(str), "meshes are numbers"),
        (lambda m: m / 1000, "first mesh measures 0.*to millimetres"),
        (lambda m: m * 25.4, "first mesh measures.*to millimetres"),
        (lambda m: changed(m, np.nan), "number 19 of what is given has values that are NaN"),
    ],
)
def test_other_meshes_are_refused(model, marked, damage, message):
    count = model.template.n_vertices
    message = message.replace("{less}", f"{count - 9:,}").replace("{all}", f"{count:,}")
    for take in (model.encode, model.reconstruct):
        with pytest.raises(DataError, match=message):
            take(damage(marked.vertices[:20]))


@pytest.mark.parametrize("codes", [np.zeros(5), np.zeros((2, 3)), np.zeros((1, 1, 4)), np.array(["a"] * 4)])
def test_other_codes_are_refused(model, codes):
    with pytest.raises(DataError, match=r"shape \(4,\) or \(N, 4\)"):
        model.decode(codes)
    with pytest.raises(DataError, match="NaN or infinite"):
        model.decode([0, 0, np.inf, 0])


# --- files that are refused -------------------------------------------------------------------------------------


def rewritten(folder, **changes) -> None:
    """The JSON with other content and a hash that fits it: what an older or newer version would have written."""
    path = folder / "model.json"
    document = json.loads(path.read_text()) | changes
    del document["sha256"]
    path.write_text(json.dumps({**document, "sha256": checkpoint._document_sha256(document)}))


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


# --- a folder of meshes -----------------------------------------------------------------------------------------


@pytest.fixture
def faces(tmp_path, marked):
    """Three files in metres, with the connectivity's triangles begun at another corner."""
    folder = tmp_path / "faces"
    turned = np.roll(marked.template.faces, 1, axis=1)[::-1]
    for name, row in (("face10.ply", 0), ("face9.obj", 7), ("more/face1.ply", 30)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_mesh(folder / name, marked.vertices[row].astype(np.float64) / 1000, turned)
    return folder


def rows_of(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("unit", [None, "m"])
def test_a_folder_is_reconstructed(command, exported, faces, marked, tmp_path, unit):
    out = tmp_path / "out"
    given = ["--unit", unit] if unit else []
    code, said, err = command("reconstruct", exported["pca"], faces, "--output", out, "--codes", *given)
    assert code == 0, err
    model = bench3dmm.load(exported["pca"])
    names, meshes = ["face9.obj", "face10.ply", "more/face1.ply"], marked.vertices[[7, 0, 30]]
    wanted = model.reconstruct(meshes)
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert written == sorted([*names, "errors.csv", "codes.csv"])
    for name, mesh in zip(names, wanted, strict=True):
        vertices, triangles = read_mesh(out / name)
        np.testing.assert_allclose(vertices * 1000, mesh, atol=2e-4)
        np.testing.assert_array_equal(triangles, marked.template.faces)
    distance = np.linalg.norm(wanted - meshes, axis=2)
    header, *rows = rows_of(out / "errors.csv")
    assert header == ["file", "mean_mm", "median_mm", "p95_mm", "max_mm"]
    assert [row[0] for row in rows] == names
    expected = [[d.mean(), np.median(d), np.quantile(d, 0.95), d.max()] for d in distance]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), expected, atol=1e-4)
    header, *rows = rows_of(out / "codes.csv")
    assert header == ["file", "z1", "z2", "z3", "z4"]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], np.float32), model.encode(meshes), atol=ROUNDING)
    assert f"3 meshes in m: mean error {distance.mean():.3f} mm" in said
    assert f"{model.metrics['mean_mm']:.3f} mm (dataset sphere, split percentage, profile smoke" in said


def without_a_corner(faces):
    vertices, triangles = read_mesh(faces / "face10.ply")
    keep = np.arange(len(vertices) - 1)
    write_mesh(faces / "face10.ply", vertices[keep], triangles[(triangles < len(keep)).all(1)])


def with_other_faces(faces):
    vertices, triangles = read_mesh(faces / "face10.ply")
    write_mesh(faces / "face10.ply", vertices, triangles[:, ::-1])


def with_a_hole(faces):
    vertices, triangles = read_mesh(faces / "face10.ply")
    write_mesh(faces / "face10.ply", vertices, triangles[1:])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_a_corner, r"face10\.ply: {less} vertices, the model's template \(sphere\) has {all}"),
        (with_other_faces, r"face10\.ply: other faces than the model's template"),
        (with_a_hole, r"face10\.ply: .* faces, the model's template \(sphere\) has"),
        (lambda faces: (faces / "face10.ply").write_text("ply\n"), r"face10\.ply: line 2"),
    ],
)
def test_one_bad_file_is_refused_before_anything_is_written(
    command, exported, faces, marked, tmp_path, damage, message
):
    damage(faces)
    count = marked.template.n_vertices
    message = message.replace("{less}", f"{count - 1:,}").replace("{all}", f"{count:,}")
    code, _, err = command("reconstruct", exported["pca"], faces, "--output", tmp_path / "out")
    assert code == 1
    assert re.search(message + ".*nothing is written yet", " ".join(err.split())), err
    assert "file 2 of 3" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "output", "options", "message"),
    [
        ("nowhere", "out", [], "nowhere: no such folder"),
        ("empty", "out", [], "no PLY or OBJ files"),
        ("faces", "faces", [], "apart from it"),
        ("faces", "faces/out", [], "apart from it"),
        ("faces", "full", [], "not an empty folder"),
        ("faces", "out", ["--unit", "mm"], "--unit mm, cm, m"),
        ("faces", "out", ["--unit", "metre"], "Known: .*mm"),
    ],
)
def test_folders_and_units_that_do_not_fit(command, exported, faces, tmp_path, source, output, options, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    code, _, err = command("reconstruct", exported["pca"], tmp_path / source, "--output", tmp_path / output, *options)
    assert code in (1, 2) and re.search(message, " ".join(err.split())), err
    assert len(list(faces.rglob("*.*"))) == 3 and not (tmp_path / "out").exists()


def test_export_says_what_it_wrote(command, results, tmp_path):
    code, said, err = command(
        "export", run_of("coma").run_id, "--results-dir", results[0], "--output", tmp_path / "out"
    )
    assert code == 0, err
    assert [line.split("   ")[0] for line in said.splitlines()] == [
        str(tmp_path / "out" / name) for name in ("model.json", "model.safetensors")
    ]
