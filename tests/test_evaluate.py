"""The metric on errors that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from bench3dmm.errors import TrainingError
from bench3dmm.evaluate import evaluate, even_positions, summary
from bench3dmm.train import Normaliser

CPU = torch.device("cpu")


class Shift(nn.Module):
    """Moves every vertex, in normalised space."""

    def __init__(self, by):
        super().__init__()
        self.by = torch.tensor(by)

    def forward(self, x):
        return x + self.by


def example(n=90, v=7, seed=0):
    rng = np.random.default_rng(seed)
    vertices = (rng.normal(size=(n, v, 3)) * 20).astype(np.float32)
    samples = pd.DataFrame({"subject": ["a", "b", "c"] * (n // 3), "expression": (["happy", "sad"] * n)[:n]})
    return vertices, samples


def test_error_is_in_millimetres_after_undoing_the_normalisation():
    vertices, samples = example()
    normaliser = Normaliser(np.full((7, 3), 5, np.float32), np.full((7, 3), 2, np.float32))
    metrics, arrays = evaluate(Shift((0.0, 1.5, 2.0)), vertices, samples, np.arange(90), normaliser, CPU)
    # 2 · (0, 1.5, 2) = (0, 3, 4): a distance of 5 mm at each vertex
    for values in (metrics, *metrics["by_expression"].values()):
        for name in ("mean_mm", "median_mm", "p95_mm"):
            assert values[name] == pytest.approx(5, abs=1e-4)
        assert values["std_mm"] == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(arrays["sample_error"], 5, atol=1e-4)
    np.testing.assert_allclose(arrays["reconstruction_offset"], np.broadcast_to([0, 3, 4], (6, 7, 3)), atol=2e-3)


def known_errors():
    """One-vertex meshes, each moved along x by its own distance."""
    rng = np.random.default_rng(1)
    distance = rng.gamma(2, 2, size=150).astype(np.float32)
    vertices = np.zeros((150, 1, 3), np.float32)
    vertices[:, 0, 1] = distance
    samples = pd.DataFrame({"expression": rng.choice(["angry", "fear", "happy"], 150)})
    normaliser = Normaliser(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32))
    return distance, vertices, samples, normaliser


class Flatten(nn.Module):
    """Reconstructs 0: the error is each vertex's distance to the origin."""

    def forward(self, x):
        return torch.zeros_like(x)


def test_metrics_are_those_of_all_errors_and_of_each_expression():
    distance, vertices, samples, normaliser = known_errors()
    rows = np.arange(10, 150)
    metrics, arrays = evaluate(Flatten(), vertices, samples, rows, normaliser, CPU)
    chosen = distance[10:].astype(np.float64)
    groups = {"": slice(None)} | {name: (samples["expression"] == name).to_numpy()[10:] for name in ("angry", "fear")}
    for name, group in groups.items():
        values = metrics["by_expression"][name] if name else metrics
        assert values["mean_mm"] == pytest.approx(chosen[group].mean(), rel=1e-6)
        assert values["median_mm"] == pytest.approx(np.median(chosen[group]), rel=1e-6)
        assert values["std_mm"] == pytest.approx(chosen[group].std(), rel=1e-5)
        assert values["p95_mm"] == pytest.approx(np.quantile(chosen[group], 0.95), rel=1e-6)
    assert sum(values["meshes"] for values in metrics["by_expression"].values()) == metrics["meshes"] == 140
    assert arrays["histogram"].sum() == 140
    assert arrays["histogram"][-1] == (chosen > 10).sum() > 0
    assert len(arrays["histogram"]) == 1001
    assert arrays["histogram"][:300].sum() == (chosen < arrays["histogram_edges"][300]).sum()
    np.testing.assert_array_equal(arrays["sample_index"], rows)
    np.testing.assert_allclose(arrays["sample_error"], chosen, rtol=1e-6)


def test_reconstructions_are_of_the_rows_named():
    _, vertices, samples, normaliser = known_errors()
    rows = np.arange(10, 150)
    _, arrays = evaluate(Flatten(), vertices, samples, rows, normaliser, CPU)
    index = arrays["reconstruction_index"]
    np.testing.assert_array_equal(index, [10, 38, 66, 93, 121, 149])
    np.testing.assert_allclose(vertices[index] + arrays["reconstruction_offset"], 0, atol=0.01)


def test_even_positions():
    assert even_positions(5, 6).tolist() == [0, 1, 2, 3, 4]
    assert even_positions(11, 3).tolist() == [0, 5, 10]
    assert even_positions(1, 6).tolist() == [0]


def test_diverged_model_is_refused():
    vertices, samples = example()
    normaliser = Normaliser(np.zeros((7, 3), np.float32), np.ones((7, 3), np.float32))
    with pytest.raises(TrainingError, match="test mesh 4 is not finite"):
        evaluate(Shift((0.0, float("nan"), 0.0)), vertices, samples, np.arange(4, 20), normaliser, CPU)


def test_summary_sums_many_float32_errors_in_float64():
    errors = np.full((2000, 2000), 0.1, dtype=np.float32)
    assert summary(errors)["mean_mm"] == pytest.approx(float(np.float32(0.1)), rel=1e-12)
