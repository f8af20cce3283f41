"""Distances on the surface against closed forms, and landmark weights against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mesh_shapes import grid, icosphere, neighbours, rotation, wavy_with_hole

from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import edge_graph, geodesic_distances, graph_distances, landmark_weights
from bench3dmm.mesh.template import Template


def test_edge_graph_holds_each_edge_with_its_length():
    vertices, faces = wavy_with_hole()
    graph = edge_graph(vertices, faces).toarray()
    expected = np.zeros_like(graph)
    for i, others in enumerate(neighbours(len(vertices), faces)):
        for j in others:
            expected[i, j] = math.dist(vertices[i], vertices[j])
    np.testing.assert_allclose(graph, expected, rtol=1e-14)


def test_edge_paths_on_a_grid_have_their_closed_form():
    vertices, faces = grid(6, 5)
    template = Template(vertices, faces)
    # Steps right, up and along the diagonal up right: from the corner √2 · min + |difference|.
    x, y = vertices[:, 0], vertices[:, 1]
    expected = math.sqrt(2) * np.minimum(x, y) + np.abs(x - y)
    np.testing.assert_allclose(graph_distances(template, 0), expected, atol=1e-12)
    # Against the diagonals (from the corner at the right), only steps right and up help.
    np.testing.assert_allclose(graph_distances(template, 5), (5 - x) + y, atol=1e-12)


def test_geodesics_on_a_plane_are_euclidean():
    vertices, faces = grid(7, 6, jitter=0.3)
    template = Template(vertices @ rotation().T * 13.0, faces)
    for source in (0, 16, 41):
        expected = 13.0 * np.linalg.norm(vertices - vertices[source], axis=1)
        np.testing.assert_allclose(geodesic_distances(template, source), expected, atol=1e-9)


def test_geodesics_around_a_hole_bend_at_its_corner():
    vertices, faces = grid(5, 5)
    template = Template(vertices, faces[~(faces == 12).any(1)]).keep(np.delete(np.arange(25), 12))
    # Over the middle vertex the plane had a straight line of length 4; its ring of neighbours stays.
    distance = geodesic_distances(template, 10)
    # Straight to the hole's lower edge, along it, and on: (0,2) → (1,1) → (2,1) → (4,2).
    lower = math.dist((0, 2), (1, 1)) + 1 + math.dist((2, 1), (4, 2))
    upper = math.dist((0, 2), (2, 3)) + 1 + math.dist((3, 3), (4, 2))
    assert distance[13] == pytest.approx(min(lower, upper), abs=1e-12)  # vertex 14 before the middle one went


def test_geodesics_on_a_fine_sphere_are_close_to_great_circles():
    vertices, faces = icosphere(4, radius=90.0)
    distance = geodesic_distances(Template(vertices, faces), 0)
    angle = np.arccos(np.clip(vertices @ vertices[0] / 90.0**2, -1, 1))
    assert np.abs(distance - 90.0 * angle).max() < 0.005 * 90.0 * np.pi
    assert (distance <= 90.0 * angle + 1e-9).all()  # the facets lie inside the sphere


def test_geodesics_lie_between_the_straight_line_and_the_edge_path():
    vertices, faces = wavy_with_hole()
    template = Template(vertices, faces)
    exact, path = geodesic_distances(template, 7), graph_distances(template, 7)
    straight = np.linalg.norm(vertices - vertices[7], axis=1)
    assert (straight <= exact + 1e-9).all()
    assert (exact <= path + 1e-9).all()
    assert exact.sum() < 0.99 * path.sum()


@pytest.mark.parametrize("distances", [graph_distances, geodesic_distances])
def test_several_sources_give_the_distance_from_the_nearest(distances):
    vertices, faces = wavy_with_hole()
    template = Template(vertices, faces)
    sources = [3, 120, 250]
    one_by_one = np.min([distances(template, source) for source in sources], axis=0)
    np.testing.assert_allclose(distances(template, sources), one_by_one, atol=1e-9)
    assert distances(template, np.array(sources)).shape == (len(vertices),)


@pytest.mark.parametrize("distances", [graph_distances, geodesic_distances])
@pytest.mark.parametrize("source", [-1, 9, [0, 9], [], 1.5])
def test_sources_that_are_not_vertices_are_refused(distances, source):
    with pytest.raises(MeshError, match="vertex ids in 0 … 8"):
        distances(Template(*grid(3, 3)), source)


def test_landmark_weights_are_equation_6():
    vertices, faces = wavy_with_hole()
    landmarks = [5, 77, 200]
    inverse = {}
    for i, p in enumerate(vertices):
        nearest = min(math.dist(p, vertices[j]) for j in landmarks)
        if nearest > 0:
            inverse[i] = 1 / nearest
    largest = max(inverse.values())
    expected = [inverse.get(i, largest) / largest for i in range(len(vertices))]

    weights = landmark_weights(Template(vertices, faces, np.array(landmarks)))
    np.testing.assert_allclose(weights, expected, rtol=1e-12)
    assert (weights[landmarks] == 1).all()
    assert weights.min() > 0 and weights.max() == 1
    assert set(inverse) == set(range(len(vertices))) - set(landmarks)


def test_landmark_weights_depend_on_neither_pose_nor_unit():
    vertices, faces = wavy_with_hole()
    moved = 1000 * vertices @ rotation(3).T + [5.0, -300.0, 2.0]
    weights = landmark_weights(Template(vertices, faces, np.array([5, 77])))
    np.testing.assert_allclose(landmark_weights(Template(moved, faces, np.array([5, 77]))), weights, rtol=1e-9)


def test_landmark_weights_where_every_vertex_is_a_landmark():
    assert (landmark_weights(Template(*grid(2, 2), np.arange(4))) == 1).all()


def test_landmark_weights_need_landmarks():
    with pytest.raises(MeshError, match="bare: the weighted loss needs landmarks"):
        landmark_weights(Template(*grid(3, 3), name="bare"))
