"""Regions of a template and their control vertices."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_shapes import icosphere
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from bench3dmm.data.faces import partition_of
from bench3dmm.data.synthetic.sizes import template_of
from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.mesh.partition import PATCH_CONTROLS, Partition, patches

SIDES = {"right eye": "left eye", "right brow": "left brow", "right cheek": "left cheek"}
MIRRORED = SIDES | {left: right for right, left in SIDES.items()}


@pytest.fixture(scope="module", params=["mh-seq", "mh-scan"])
def face(request):
    template = template_of(request.param)
    return template, partition_of(template.vertices, template.faces)


def test_a_face_has_eleven_regions_of_which_eight_are_controlled(face):
    template, partition = face
    assert len(partition.names) == 11 and len(partition.controls) == 8
    assert sorted(np.concatenate(partition.vertices)) == list(range(template.n_vertices))
    assert all(3 <= len(ids) <= 16 for ids in partition.controls.values())
    for name, ids in partition.controls.items():
        assert (partition.labels[ids] == partition.names.index(name)).all() and len(set(ids)) == len(ids)


def test_left_and_right_mirror_each_other(face):
    template, partition = face
    distance, mirror = cKDTree(template.vertices).query(template.vertices * (-1, 1, 1))
    paired = distance < 0.5  # the seq template is not quite symmetric
    swapped = np.array([partition.names.index(MIRRORED.get(name, name)) for name in partition.names])
    agree = swapped[partition.labels[paired]] == partition.labels[mirror[paired]]
    assert paired.mean() > 0.9 and agree.mean() > 0.99


def test_regions_lie_where_their_names_say(face):
    template, partition = face
    named = partition.names, partition.vertices
    middle = {name: template.vertices[ids].mean(axis=0) for name, ids in zip(*named, strict=True)}
    for right, left in SIDES.items():
        assert middle[right][0] < -5 < 5 < middle[left][0]
    heights = [middle[name][1] for name in ("chin", "mouth", "nose", "left eye", "left brow", "forehead")]
    assert heights == sorted(heights)
    assert middle["nose"][2] > middle["left cheek"][2]


def test_each_region_but_the_skull_is_in_one_piece(face):
    template, partition = face
    graph = edge_graph(template.vertices, template.faces)
    for name, ids in zip(partition.names[:-1], partition.vertices[:-1], strict=True):
        _, pieces = csgraph.connected_components(graph[ids][:, ids], directed=False)
        assert np.bincount(pieces).max() >= 0.98 * len(ids), name


def test_a_moved_face_without_landmarks_has_the_same_regions():
    template = template_of("mh-seq")
    angle = 0.2
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    moved = 0.7 * template.vertices @ turn.T + (5, -20, 40)
    own, found = (partition_of(points, template.faces) for points in (template.vertices, moved))
    assert found.names == own.names and (found.labels == own.labels).mean() > 0.98


def test_what_is_no_face_is_divided_into_patches():
    vertices, faces = icosphere(3, radius=50.0)
    partition = partition_of(vertices, faces)
    assert partition.names[0] == "patch 1" and len(partition.names) == 11 and len(partition.controls) == 8


def test_patches_are_the_nearest_of_vertices_far_from_each_other():
    vertices, faces = icosphere(3, radius=50.0)
    partition = patches(vertices, faces, count=5, controlled=2)
    graph = edge_graph(vertices, faces)
    every = csgraph.dijkstra(graph, directed=False)
    centres = []
    for _ in range(5):  # furthest points, written out
        to_chosen = every[centres].min(axis=0) if centres else every[0]
        centres.append(int(to_chosen.argmax()))
    np.testing.assert_array_equal(partition.labels, every[centres].argmin(axis=0))
    assert [len(ids) for ids in partition.controls.values()] == [PATCH_CONTROLS] * 2


def test_a_mesh_in_two_parts_is_covered():
    vertices, faces = icosphere(2, radius=20.0)
    two = np.concatenate([vertices, vertices + np.array([100, 0, 0])]), np.concatenate([faces, faces + len(vertices)])
    partition = patches(*two, count=4)
    assert len(np.unique(partition.labels[: len(vertices)])) + len(np.unique(partition.labels[len(vertices) :])) == 4


def test_spans_and_border_edges():
    partition = Partition(("a", "b"), np.array([0, 0, 1, 1]), {"b": np.array([3]), "a": np.array([1, 0])})
    assert partition.control_ids.tolist() == [3, 1, 0]
    assert partition.control_spans == {"b": slice(0, 1), "a": slice(1, 3)}
    faces = np.array([[0, 1, 2], [1, 3, 2]])
    assert sorted(map(tuple, partition.border_edges(faces, "a"))) == [(0, 2), (1, 2), (1, 3)]
    assert sorted(map(tuple, partition.border_edges(faces, "b"))) == [(2, 0), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("labels", "controls", "message"),
    [
        ([0, 0, 0], {}, "no vertex is in b"),
        ([0, 1, 2], {}, "labels go up to 2"),
        ([0, 1, 1], {"c": np.array([0])}, "control vertices of 'c'"),
        ([0, 1, 1], {"a": np.array([1])}, "control vertices of a must lie in it"),
        ([0, 1, 1], {"a": np.array([], dtype=int)}, "at least one"),
    ],
)
def test_what_is_no_partition_is_refused(labels, controls, message):
    with pytest.raises(MeshError, match=message):
        Partition(("a", "b"), np.array(labels), controls)
