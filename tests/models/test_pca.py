"""PCA against NumPy's SVD."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench3dmm.models import build_model
from bench3dmm.models.pca import principal_axes


def centred(n, v, seed=0, rank=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3 * v)) * np.linspace(3, 0.1, 3 * v)
    if rank is not None:
        x = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, 3 * v))
    return x - x.mean(0)


def pca(n_vertices, latent):
    return build_model("pca", SimpleNamespace(levels=(SimpleNamespace(vertices=np.zeros((n_vertices, 3))),)), latent)


def projection_by_svd(x, latent):
    axes = np.linalg.svd(x, full_matrices=False)[2][:latent]
    return x @ axes.T @ axes


@pytest.mark.parametrize(("n", "v"), [(20, 30), (200, 15)], ids=["fewer meshes", "more meshes"])
def test_reconstruction_is_that_of_the_svd(n, v):
    x = centred(n, v)
    model = pca(v, 7).double()
    model.fit_closed_form(torch.from_numpy(x).view(n, v, 3))
    got = model(torch.from_numpy(x).view(n, v, 3)).reshape(n, -1).numpy()
    np.testing.assert_allclose(got, projection_by_svd(x, 7), atol=1e-9)
    np.testing.assert_allclose(model.components @ model.components.T, np.eye(7), atol=1e-10)


def test_more_components_than_rank_are_zero_and_harmless():
    x = centred(40, 20, rank=4)
    model = pca(20, 12).double()
    model.fit_closed_form(torch.from_numpy(x).view(40, 20, 3))
    assert torch.count_nonzero(model.components.abs().sum(1)) == 4
    got = model(torch.from_numpy(x).view(40, 20, 3)).reshape(40, -1).numpy()
    np.testing.assert_allclose(got, x, atol=1e-8)


def test_no_more_components_than_meshes_less_one():
    x = centred(6, 20)
    model = pca(20, 12).double()
    model.fit_closed_form(torch.from_numpy(x).view(6, 20, 3))
    assert torch.count_nonzero(model.components.abs().sum(1)) == 5


def test_subspace_iteration_finds_the_same_space():
    x = torch.from_numpy(centred(300, 40, seed=1, rank=10) + 0.01 * centred(300, 40, seed=2))
    exact = principal_axes(x, 8)
    iterated = principal_axes(x, 8, exact_limit=100)
    np.testing.assert_allclose(iterated.T @ iterated, exact.T @ exact, atol=1e-4)
    np.testing.assert_allclose(iterated @ iterated.T, np.eye(8), atol=1e-10)


def test_codes_of_the_training_meshes_have_unit_variance():
    """Equation 1 of the paper: coefficients count standard deviations."""
    x = centred(50, 20, rank=5)
    model = pca(20, 7).double()
    meshes = torch.from_numpy(x).view(50, 20, 3)
    model.fit_closed_form(meshes)
    codes = model.encode(meshes).numpy()
    singular = np.linalg.svd(x, compute_uv=False)
    np.testing.assert_allclose(model.deviations[:5], singular[:5] / np.sqrt(50), rtol=1e-9)
    np.testing.assert_allclose(codes.T @ codes / 50, np.diag([1.0] * 5 + [0.0] * 2), atol=1e-9)
