"""Specificity and compactness against slow formulations and closed forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bench3dmm.data.normaliser import Normaliser
from bench3dmm.errors import TrainingError
from bench3dmm.models import build_model
from bench3dmm.tasks.parts.shape_model import SAMPLES, measure_shape_model, nearest_distances
from bench3dmm.training.fit import load_normalised

CPU = torch.device("cpu")


def smooth_meshes(n=60, v=90, modes=6, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.uniform(-50, 50, (v, 3))
    waves = np.sin(base @ rng.normal(0, 0.05, (3, modes)) + rng.uniform(0, 6, modes))
    fields = waves.T[:, :, None] * rng.normal(0, 1, (modes, 1, 3))
    return (base + np.tensordot(rng.normal(0, 3, (n, modes)), fields, 1)).astype(np.float32)


def fitted_pca(meshes, rows, latent):
    normaliser = Normaliser.fit(meshes, rows, scale=False)
    model = build_model("pca", SimpleNamespace(levels=(SimpleNamespace(vertices=meshes[0]),)), latent)
    model.fit_closed_form(load_normalised(meshes, rows, normaliser, CPU))
    return model, normaliser


def test_nearest_distance_is_that_of_looking_at_all_of_them():
    meshes = smooth_meshes()
    shapes = smooth_meshes(n=9, seed=1)
    rows = np.arange(5, 60, 2)
    expected = [min(np.linalg.norm(meshes[row] - shape, axis=1).mean() for row in rows) for shape in shapes]
    np.testing.assert_allclose(nearest_distances(shapes, meshes, rows), expected, rtol=1e-5)


def test_a_training_mesh_is_at_distance_zero_and_one_that_is_not_trained_on_does_not_count():
    meshes = smooth_meshes()
    rows = np.arange(30)
    near = nearest_distances(meshes[[3, 40]], meshes, rows)
    assert near[0] == 0
    assert near[1] > 0.1


@pytest.mark.parametrize("latent", [2, 4, 6])
def test_compactness_of_pca_is_its_share_of_the_variance(latent):
    meshes, rows = smooth_meshes(), np.arange(40)
    model, normaliser = fitted_pca(meshes, rows, latent)
    variance = np.linalg.svd((meshes[rows] - meshes[rows].mean(0)).reshape(40, -1), compute_uv=False) ** 2
    measured = measure_shape_model(model, meshes, rows, normaliser, CPU)
    assert measured.compactness == pytest.approx(variance[:latent].sum() / variance.sum(), abs=1e-5)
    assert measured.specificity.shape == (SAMPLES,)


class Constant(nn.Module):
    """Knows one mesh, the mean."""

    def encode(self, x):
        return x.new_zeros(len(x), 2)

    def decode(self, z):
        return z.new_zeros(len(z), 90, 3)


def test_a_model_of_the_mean_alone_explains_nothing_and_is_as_specific_as_the_mean():
    meshes, rows = smooth_meshes(), np.arange(40)
    normaliser = Normaliser.fit(meshes, rows)
    measured = measure_shape_model(Constant(), meshes, rows, normaliser, CPU)
    assert measured.compactness == pytest.approx(0, abs=1e-6)
    expected = np.linalg.norm(meshes[rows] - normaliser.mean, axis=2).mean(axis=1).min()
    np.testing.assert_allclose(measured.specificity, expected, rtol=1e-5)


class Diverged(Constant):
    def decode(self, z):
        return super().decode(z) + float("inf")


def test_shapes_that_are_not_finite_are_refused():
    meshes, rows = smooth_meshes(), np.arange(40)
    with pytest.raises(TrainingError, match="not finite"):
        measure_shape_model(Diverged(), meshes, rows, Normaliser.fit(meshes, rows), CPU)
