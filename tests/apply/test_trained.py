"""A trained model: codes and meshes in, codes and meshes out; what does not belong is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from exported_models import MODELS, ROUNDING

import bench3dmm
from bench3dmm.data.splits import make_split
from bench3dmm.errors import DataError
from bench3dmm.tasks.parts.errors import BATCH


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
