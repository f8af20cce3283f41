"""Samples, latent lines and transfer: against closed forms of a linear model, and of data whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from bench3dmm.apply import generative
from bench3dmm.errors import DataError

VERTICES = 30


rng = np.random.default_rng(0)


class Linear:
    """PCA of given meshes, in NumPy."""

    def __init__(self, meshes: np.ndarray, latent: int) -> None:
        self.mean = meshes.mean(axis=0)
        flat = (meshes - self.mean).reshape(len(meshes), -1)
        self.axes = np.linalg.svd(flat, full_matrices=False)[2][:latent]

    def encode(self, meshes):
        return (meshes - self.mean).reshape(len(meshes), -1) @ self.axes.T

    def decode(self, codes):
        return self.mean + (codes @ self.axes).reshape(len(codes), *self.mean.shape)


class Curved(Linear):
    """The same behind a nonlinearity that is undone: lines between codes are no longer lines between meshes."""

    def encode(self, meshes):
        return np.sinh(super().encode(meshes) / 10)

    def decode(self, codes):
        return super().decode(10 * np.arcsinh(codes))


@pytest.fixture(scope="module")
def meshes():
    return np.random.default_rng(1).normal(0, 3, (20, VERTICES, 3))


def additive(subjects=5, levels=(0.5, 1.0), curve=1.0):
    """People and expressions that add up: mesh = person + level ** curve * expression; each person's neutral first."""
    made = np.random.default_rng(2)
    person, expression = made.normal(0, 5, (subjects, VERTICES, 3)), made.normal(0, 2, (2, VERTICES, 3))
    rows, vertices = [], []
    for s in range(subjects):
        rows.append((f"S{s}", "neutral", 0.0))
        vertices.append(person[s])
        for e, name in enumerate(("happy", "sad")):
            for level in levels:
                rows.append((f"S{s}", name, level))
                vertices.append(person[s] + level**curve * expression[e])
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level"]).assign(frame=0)
    return np.array(vertices), samples


def test_samples_repeat_and_shrink_to_the_mean_code(meshes):
    model = Curved(meshes, 4)
    codes = model.encode(meshes)
    shapes = generative.sample_shapes(model, codes, 5, seed=1)
    assert shapes.shape == (5, VERTICES, 3)
    np.testing.assert_array_equal(shapes, generative.sample_shapes(model, codes, 5, seed=1))
    assert not np.allclose(shapes, generative.sample_shapes(model, codes, 5, seed=2))
    mean = model.decode(codes.mean(axis=0)[None])
    np.testing.assert_allclose(generative.sample_shapes(model, codes, 2, scale=0), np.repeat(mean, 2, axis=0))


def test_samples_of_pca_vary_as_the_meshes_do_that_it_was_fitted_to(meshes):
    model = Linear(meshes, 19)  # of full rank
    shapes = generative.sample_shapes(model, model.encode(meshes), 50_000)
    np.testing.assert_allclose(shapes.mean(axis=0), meshes.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(shapes.std(axis=0), meshes.std(axis=0, ddof=1), rtol=0.03)


# --- latent arithmetic --------------------------------------------------------------------------------------------


def test_for_pca_a_latent_line_is_the_line_between_reconstructions(meshes):
    model, places = Linear(meshes, 4), [-0.5, 0, 0.3, 1, 1.5]
    first, last = model.decode(model.encode(meshes[:2]))
    np.testing.assert_allclose(
        generative.extrapolate(model, *meshes[:2], places), generative.line(first, last, places), atol=1e-9
    )
    middle = generative.interpolate(model, *meshes[:2], steps=3)
    np.testing.assert_allclose(middle, [first, (first + last) / 2, last], atol=1e-9)


def test_for_pca_transfer_is_the_projected_offset(meshes):
    model = Linear(meshes, 4)
    neutral, expressive, other = meshes[:3, None]
    offset = (expressive - neutral).reshape(1, -1) @ model.axes.T @ model.axes
    expected = model.decode(model.encode(other)) + offset.reshape(other.shape)
    np.testing.assert_allclose(generative.transfer(model, neutral, expressive, other), expected, atol=1e-9)
    exact = Linear(meshes, 19)
    by_offsets = generative.transfer_offsets(neutral, expressive, other)
    np.testing.assert_allclose(generative.transfer(exact, neutral, expressive, other), by_offsets, atol=1e-9)


def test_for_any_model_a_line_ends_in_reconstructions_and_transfer_to_oneself_is_one(meshes):
    model = Curved(meshes, 4)
    reconstructed = model.decode(model.encode(meshes))
    path = generative.interpolate(model, *meshes[:2], steps=5)
    np.testing.assert_allclose(path[[0, -1]], reconstructed[:2])
    assert not np.allclose(path[1], 0.75 * path[0] + 0.25 * path[-1], atol=0.01)
    np.testing.assert_allclose(generative.transfer(model, meshes[:3], meshes[3:6], meshes[:3]), reconstructed[3:6])
    np.testing.assert_allclose(generative.transfer(model, meshes[:3], meshes[:3], meshes[3:6]), reconstructed[3:6])


# --- measures -----------------------------------------------------------------------------------------------------


def test_alignment_undoes_rigid_motion_and_nothing_else(meshes):
    moved = meshes[:4] @ Rotation.random(4, random_state=0).as_matrix() + rng.normal(size=(4, 1, 3))
    np.testing.assert_allclose(generative.align(moved, meshes[:4]), meshes[:4], atol=1e-9)
    np.testing.assert_allclose(generative.shape_error(moved, meshes[:4]), 0, atol=1e-9)
    np.testing.assert_allclose(
        generative.align(meshes[:1] @ Rotation.random(random_state=1).as_matrix(), meshes[0])[0], meshes[0]
    )
    mirrored, larger = meshes[:4] * [-1, 1, 1], 1.1 * meshes[:4]
    assert (generative.shape_error(mirrored, meshes[:4]) > 1).all()
    radius = np.linalg.norm(meshes[:4] - meshes[:4].mean(axis=1, keepdims=True), axis=2).mean(axis=1)
    np.testing.assert_allclose(generative.shape_error(larger, meshes[:4]), 0.1 * radius)


def test_alignment_is_scipys(meshes):
    for mesh, target in (meshes[:2], meshes[2:4], (meshes[4] * [1, 1, -1], meshes[4])):
        centred = mesh - mesh.mean(axis=0)
        rotation, _ = Rotation.align_vectors(target - target.mean(axis=0), centred)
        expected = rotation.apply(centred) + target.mean(axis=0)
        np.testing.assert_allclose(generative.align(mesh[None], target)[0], expected, atol=1e-6)


def test_neutral_meshes_are_found_by_name_or_level():
    samples = pd.DataFrame(
        [
            ("a", "happy", 0.5),
            ("a", "neutral", 0.3),
            ("b", "happy", 0.04),
            ("b", "sad", 0.0),
            ("b", "sad", 0.0),
            ("c", "happy", 0.5),
        ],
        columns=["subject", "expression", "level"],
        index=[9, 8, 7, 6, 5, 4],
    )
    assert generative.neutral_rows(samples) == {"a": 1, "b": 3}
    assert generative.expressive_rows(samples, np.arange(6)).tolist() == [0]


def test_what_is_transferred_has_a_truth_and_another_persons_example():
    _, samples = additive(subjects=4)
    samples.loc[samples["subject"] == "S1", "expression"] = "other"  # nobody else has it, and no neutral mesh
    test = np.arange(1, len(samples), 2)
    found = generative.transfer_rows(samples, test)
    row = samples.to_dict("records")
    for neutral_a, example, neutral_b, truth in found:
        assert row[neutral_a]["expression"] == row[neutral_b]["expression"] == "neutral"
        assert row[neutral_a]["subject"] == row[example]["subject"] != row[truth]["subject"]
        assert row[neutral_b]["subject"] == row[truth]["subject"]
        assert all(row[example][name] == row[truth][name] for name in ("expression", "level"))
        assert row[truth]["expression"] != "neutral" and truth in test
    expected = [i for i in test if row[i]["expression"] in ("happy", "sad")]
    assert found[:, 3].tolist() == expected
    assert {(row[a]["subject"], row[b]["subject"]) for _, a, _, b in found} == {
        ("S2", "S0"),
        ("S3", "S2"),
        ("S0", "S3"),
    }
    with pytest.raises(DataError, match="no test mesh has"):
        generative.transfer_rows(samples, np.array([0]))


def test_paths_go_from_neutral_through_a_test_mesh_to_the_strongest():
    _, samples = additive(subjects=2, levels=(0.25, 0.5, 1.0))
    found = generative.path_rows(samples, np.array([0, 2, 3, 8]))
    assert found.tolist() == [[0, 2, 3], [7, 8, 10]], "neither a neutral mesh nor the strongest is between"
    with pytest.raises(DataError, match="no test mesh lies between"):
        generative.path_rows(samples, np.array([3]))


def test_where_expressions_add_up_offsets_transfer_them_exactly():
    vertices, samples = additive()
    rows = generative.transfer_rows(samples, np.arange(len(samples)))
    np.testing.assert_allclose(generative.transfer_errors(None, vertices, rows), 0, atol=1e-9)
    np.testing.assert_allclose(generative.transfer_errors(Linear(vertices, 24), vertices, rows), 0, atol=1e-9)
    lossy = Linear(vertices, 2)
    expected = [generative.shape_error(lossy.decode(lossy.encode(vertices[[t]])), vertices[t])[0] for t in rows[:, 3]]
    np.testing.assert_allclose(generative.reconstruction_errors(lossy, vertices, rows[:, 3]), expected)
    # for a linear model b + (a's offset) is the truth also among the codes, so that nothing but its loss is left
    np.testing.assert_allclose(generative.transfer_errors(lossy, vertices, rows), expected)
    assert min(expected) > 0.1


@pytest.mark.parametrize("curve", [1, 2])
def test_a_straight_path_meets_what_lies_on_it_at_whatever_level(curve):
    vertices, samples = additive(levels=(0.5, 1.0), curve=curve)  # 0.5 and 0.25 of the way: both are among 21 steps
    rows = generative.path_rows(samples, np.arange(len(samples)))
    np.testing.assert_allclose(generative.path_errors(None, vertices, rows), 0, atol=1e-9)
    beside = vertices.copy()
    beside[rows[:, 1]] += rng.normal(0, 1, (VERTICES, 3))
    assert (generative.path_errors(None, beside, rows) > 0.5).all()
    np.testing.assert_allclose(generative.path_errors(Linear(vertices, 24), vertices, rows), 0, atol=1e-9)
