"""Meshes normalised vertex by vertex, and back."""

from __future__ import annotations

import numpy as np
import torch

from bench3dmm.data.normaliser import Normaliser
from bench3dmm.training.fit import load_normalised


def test_normaliser_is_mean_and_deviation_of_the_rows():
    rng = np.random.default_rng(0)
    vertices = (rng.normal(size=(700, 4, 3)) * [1, 5, 0.01] + [100, -40, 3]).astype(np.float32)
    vertices[:, 2, 1] = 7.3  # never moves
    rows = np.sort(rng.permutation(700)[:600])
    normaliser = Normaliser.fit(vertices, rows)
    chosen = vertices[rows].astype(np.float64)
    np.testing.assert_allclose(normaliser.mean, chosen.mean(0), rtol=1e-6)
    np.testing.assert_allclose(normaliser.deviation, chosen.std(0, ddof=0), rtol=1e-5)
    assert normaliser.deviation[2, 1] == 0
    normalised = normaliser.apply(vertices[rows])
    assert normalised.dtype == np.float32
    assert (normalised[:, 2, 1] == 0).all()
    np.testing.assert_allclose(normalised.std(0, dtype=np.float64).ravel()[[0, 4, 11]], 1, rtol=1e-3)
    np.testing.assert_allclose(normaliser.invert(normalised), vertices[rows], atol=2e-5)
    tensor = load_normalised(vertices, rows, normaliser, torch.device("cpu"))
    np.testing.assert_array_equal(tensor.numpy(), normalised)


def test_centring_only():
    x = np.random.default_rng(0).normal(size=(10, 5, 3)).astype(np.float32)
    normaliser = Normaliser.fit(x, np.arange(10), scale=False)
    np.testing.assert_allclose(normaliser.apply(x), x - x.mean(0), atol=1e-6)
