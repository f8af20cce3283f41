"""Trained weights on disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_runs import PCA, RUN, train_both
from sphere_sets import sphere_dataset

from bench3dmm.errors import DataError
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.training.weights import _packed, _unpacked, load_model, read_weights, write_weights


@pytest.fixture(scope="module")
def stored(tmp_path_factory, spheres):
    """One trained and one closed-form run, not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    return folder, train_both(folder, spheres)


@pytest.mark.parametrize("run", [RUN, PCA], ids=["neural3dmm", "pca"])
def test_stored_weights_reconstruct_as_they_did(stored, spheres, run):
    folder, results = stored
    model, normaliser = load_model(result_path(run, folder), dataset=spheres)
    index = results[run].arrays["reconstruction_index"]
    meshes = spheres.vertices[index]
    with torch.inference_mode():
        again = normaliser.invert(model(torch.from_numpy(normaliser.apply(meshes))).numpy())
    np.testing.assert_allclose(again - meshes, results[run].arrays["reconstruction_offset"], atol=0.01)


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


@pytest.mark.parametrize("largest", [0, 2**15 - 1, 2**15])
def test_packed_ids_come_back(largest):
    ids = np.array([[-1, 0, largest]], dtype=np.int32)
    packed = _packed(ids)
    assert packed.itemsize == (2 if largest < 2**15 else 4)
    back = _unpacked(packed)
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, ids)


def test_equal_weights_are_one_file_and_one_hash(stored, tmp_path):
    folder, _ = stored
    path = result_path(RUN, folder).with_suffix(".safetensors")
    weights = read_weights(path)
    assert load_result(result_path(RUN, folder)).provenance["tensors_sha256"] == weights.tensors_sha256
    for i in range(8):
        write_weights(tmp_path / f"{i}.safetensors", weights)
        assert (tmp_path / f"{i}.safetensors").read_bytes() == path.read_bytes()
    other = dataclasses.replace(weights, model={name: array + 1e-6 for name, array in weights.model.items()})
    assert other.tensors_sha256 != weights.tensors_sha256
