"""Upsampling: barycentric rows, from the nearest point of the coarse surface."""

from __future__ import annotations

import igl
import numpy as np
import pytest
from mesh_shapes import grid

from bench3dmm.mesh.geodesic import geodesic_distances
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.mesh.template import Template
from bench3dmm.mesh.upsampling import closest_on_triangles


def test_downsampling_undoes_upsampling(pair):
    _, hierarchy = pair
    for level, kept in enumerate(hierarchy.kept):
        down, up = hierarchy.downsampling(level), hierarchy.upsampling(level)
        assert np.array_equal((down @ up).toarray(), np.eye(len(kept)))
        dense = down.toarray()
        assert set(np.unique(dense)) == {0.0, 1.0}
        assert (dense.sum(1) == 1).all()
        assert np.array_equal(down @ hierarchy.levels[level].vertices, hierarchy.levels[level + 1].vertices)


def test_upsampling_rows_are_barycentric(pair):
    _, hierarchy = pair
    for level in range(2):
        index, weight = hierarchy.up_index[level], hierarchy.up_weight[level]
        n, n_coarse = hierarchy.sizes[level : level + 2]
        assert index.shape == weight.shape == (n, 3)
        assert index.dtype == np.int32
        assert weight.dtype == np.float64
        assert weight.min() >= 0
        assert np.abs(weight.sum(1) - 1).max() < 1e-12
        assert np.abs(hierarchy.upsampling(level).sum(1) - 1).max() < 1e-12
        kept = hierarchy.kept[level]
        assert (weight[kept] == [1, 0, 0]).all()
        assert (index[kept, 0] == np.arange(n_coarse)).all()
        triangles = {tuple(sorted(face)) for face in hierarchy.levels[level + 1].faces.tolist()}
        dropped = np.setdiff1d(np.arange(n), kept)
        assert {tuple(sorted(row)) for row in index[dropped].tolist()} <= triangles


def test_upsampling_is_the_dense_sum_of_its_rows(built):
    _, hierarchy = built["torus"]
    dense = np.zeros((hierarchy.sizes[0], hierarchy.sizes[1]))
    for i, (index, weight) in enumerate(zip(hierarchy.up_index[0], hierarchy.up_weight[0], strict=True)):
        for j, w in zip(index, weight, strict=True):
            dense[i, j] += w
    np.testing.assert_array_equal(hierarchy.upsampling(0).toarray(), dense)


def test_linear_functions_on_a_plane_come_back(built):
    _, hierarchy = built["flat"]
    for level in range(2):
        fine, coarse = (
            at.vertices[:, :2] @ [[0.3], [-1.7]] + 4.0 for at in (hierarchy.levels[level], hierarchy.levels[level + 1])
        )
        np.testing.assert_allclose(hierarchy.upsampling(level) @ coarse, fine, atol=1e-10)


@pytest.mark.parametrize("name", ["sheet with a hole", "sphere", "irregular sphere"])
def test_dropped_vertices_go_to_the_nearest_point_of_the_coarse_surface(built, name):
    """Against libigl, which searches all triangles; these surfaces do not come near themselves."""
    _, hierarchy = built[name]
    fine, coarse = hierarchy.levels[:2]
    squared, _, _ = igl.point_mesh_squared_distance(fine.vertices, coarse.vertices, coarse.faces.astype(np.int64))
    distance = np.linalg.norm(hierarchy.upsampling(0) @ coarse.vertices - fine.vertices, axis=1)
    np.testing.assert_allclose(distance, np.sqrt(squared), atol=1e-9 * np.ptp(fine.vertices))


def test_closed_lips_are_not_sewn_together():
    """A sheet folded onto itself at 1/50 of its edge length: nearest in space is not nearest on the surface."""
    vertices, faces = grid(41, 9, jitter=0.2)
    x, y = vertices[:, 0].copy(), vertices[:, 1]
    gap, bulge = 0.02, 0.3 * np.sin(np.minimum(x, 40 - x) / 2) * np.cos(y / 2)  # layers bulge alike
    folded = np.stack([np.abs(x - 20), y, np.where(x > 20, gap, 0.0) + bulge], axis=1)
    template = Template(folded, faces)
    hierarchy = build_hierarchy(template, (4,), cache=False)
    coarse = hierarchy.levels[1]
    far = [geodesic_distances(template, int(kept)) > 12 for kept in hierarchy.kept[0]]
    far = np.array(far).T  # (V, V'): on the other layer, and not near the fold
    assert far.any()

    used = hierarchy.up_weight[0] > 0
    assert not far[np.arange(len(folded))[:, None], hierarchy.up_index[0]][used].any()
    _, nearest, _ = igl.point_mesh_squared_distance(folded, coarse.vertices, coarse.faces.astype(np.int64))
    assert far[np.arange(len(folded))[:, None], coarse.faces[nearest]].any()  # which a search in space does


def test_closest_point_on_triangles_against_a_fine_sampling():
    rng = np.random.default_rng(5)
    points, triangles = rng.normal(size=(60, 3)), rng.normal(size=(60, 3, 3))
    triangles[:3] = triangles[:3, :1] + np.linspace(0, 1, 3)[:, None] * triangles[:3, 1:2]  # three are flat
    barycentric, squared = closest_on_triangles(points, triangles)
    assert barycentric.min() >= 0
    np.testing.assert_allclose(barycentric.sum(1), 1, atol=1e-14)
    at = (barycentric[:, :, None] * triangles).sum(1)
    np.testing.assert_allclose(((at - points) ** 2).sum(1), squared, rtol=1e-12)
    u, v = (part.ravel() for part in np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60)))
    grid_of = np.stack([1 - u - v, u, v], 1)[u + v <= 1 + 1e-12]
    for point, triangle, found in zip(points, triangles, squared, strict=True):
        sampled = ((grid_of @ triangle - point) ** 2).sum(1).min()
        step = max(np.linalg.norm(triangle - np.roll(triangle, 1, 0), axis=1)) / 59
        assert found <= sampled + 1e-12
        assert np.sqrt(sampled) <= np.sqrt(found) + step
