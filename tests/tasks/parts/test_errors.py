"""The metric on errors that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from bench3dmm.data.faces import face_regions
from bench3dmm.data.normaliser import Normaliser
from bench3dmm.data.rows import even_positions
from bench3dmm.data.synthetic.sizes import face
from bench3dmm.errors import TrainingError
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.mesh.regions import REGIONS
from bench3dmm.tasks.parts.errors import evaluate, level_labels, summary

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


# --- where and when ------------------------------------------------------------------------------------------------


def small_face(n_vertices=1200):
    """mh-scan's template with fewer vertices, without landmarks."""
    return face(n_vertices)


def around(template, n=12, seed=0):
    """Meshes (n, V, 3) of the template, each moved as a whole, with samples of five intensities."""
    rng = np.random.default_rng(seed)
    vertices = (template.vertices + rng.normal(0, 3, (n, 1, 3))).astype(np.float32)
    samples = pd.DataFrame({"expression": ["happy"] * n, "level": [0.0, 0.25, 0.5, 1.0] * (n // 4)})
    return vertices, samples, Normaliser(template.vertices.astype(np.float32), np.ones_like(template.vertices))


class Bump(nn.Module):
    """Moves the vertices of one region towards the viewer, in mm."""

    def __init__(self, where, by=2.0):
        super().__init__()
        self.by = torch.zeros(len(where), 3)
        self.by[torch.from_numpy(where), 2] = by

    def forward(self, x):
        return x + self.by


@pytest.mark.parametrize("name", ["nose", "mouth"])
def test_error_of_a_region_is_found_there(name):
    template = small_face()
    vertices, samples, normaliser = around(template)
    where = face_regions(template) == REGIONS.index(name)
    metrics, arrays = evaluate(Bump(where), vertices, samples, np.arange(12), normaliser, CPU, template)
    expected = {region: 2.0 if region == name else 0.0 for region in REGIONS}
    assert metrics["by_region"] == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(arrays["sample_region_error"][:, REGIONS.index(name)], 2, atol=1e-4)
    assert metrics["mean_mm"] == pytest.approx(2 * where.mean(), abs=1e-4)


class Turn(nn.Module):
    """Turns every mesh about the vertical axis."""

    def __init__(self, degrees, middle):
        super().__init__()
        angle = np.radians(degrees)
        matrix = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        self.matrix, self.middle = torch.tensor(matrix, dtype=torch.float32), torch.from_numpy(middle)

    def forward(self, x):
        return (x + self.middle) @ self.matrix.T - self.middle


def test_normals_turn_with_the_mesh_and_not_when_it_only_moves():
    template = small_face()
    vertices, samples, normaliser = around(template)
    mean = template.vertices.astype(np.float32)
    turned, arrays = evaluate(Turn(7.0, mean), vertices, samples, np.arange(12), normaliser, CPU, template)
    # Less than 7 degrees, by as much as normals point along the axis: 2 asin(|sin(3.5)| r) for distance r from it.
    flat = np.linalg.norm(vertex_normals(template.vertices, template.faces)[:, [0, 2]], axis=1)
    expected = np.degrees(2 * np.arcsin(np.sin(np.radians(3.5)) * flat)).mean()
    assert turned["normal_deg"] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(arrays["sample_normal_error"], expected, rtol=1e-3)
    moved, _ = evaluate(Shift((1.0, 2.0, 3.0)), vertices, samples, np.arange(12), normaliser, CPU, template)
    assert moved["normal_deg"] == pytest.approx(0, abs=0.01)


def test_errors_by_intensity_are_those_of_its_meshes():
    template = small_face()
    vertices, samples, normaliser = around(template)
    rows = np.arange(1, 12)
    metrics, arrays = evaluate(Bump(np.arange(1200) < 300), vertices, samples, rows, normaliser, CPU, template)
    assert list(metrics["by_level"]) == ["0", "0.25", "0.5", "1"]
    assert [entry["meshes"] for entry in metrics["by_level"].values()] == [2, 3, 3, 3]
    assert sum(e["meshes"] * e["mean_mm"] for e in metrics["by_level"].values()) == pytest.approx(
        arrays["sample_error"].sum(), rel=1e-5
    )


def test_many_intensities_are_put_into_quarters():
    labels = level_labels(np.array([0.0, 0.24, 0.25, 0.49, 0.5, 0.74, 0.75, 0.99, 1.0]))
    assert list(labels) == ["0 to 0.25"] * 2 + ["0.25 to 0.5"] * 2 + ["0.5 to 0.75"] * 2 + ["0.75 to 1"] * 3


def test_as_many_reconstructions_are_kept_as_are_asked_for():
    vertices, samples = example()
    normaliser = Normaliser(np.zeros((7, 3), np.float32), np.ones((7, 3), np.float32))
    for count in (0, 1, 6):
        by = (0.1234, 0.0, -1.0)
        _, arrays = evaluate(Shift(by), vertices, samples, np.arange(90), normaliser, CPU, reconstructions=count)
        assert arrays["reconstruction_offset"].shape == (count, 7, 3)
        assert len(arrays["reconstruction_index"]) == count
        np.testing.assert_allclose(arrays["reconstruction_offset"], np.full((count, 7, 3), (0.12, 0, -1)), atol=1e-3)
