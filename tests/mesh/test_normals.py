"""Vertex normals of many meshes at once, and angles between them."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_shapes import icosphere

from bench3dmm.mesh.normals import Normals, angles_between, vertex_normals


def one_by_one(vertices, faces):
    """The sum of the cross products of a vertex's faces, to unit length."""
    normals = np.zeros_like(vertices)
    for a, b, c in faces:
        cross = np.cross(vertices[b] - vertices[a], vertices[c] - vertices[a])
        for corner in (a, b, c):
            normals[corner] += cross
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def test_batch_is_the_sum_over_faces():
    vertices, faces = icosphere(2)
    meshes = vertices + np.random.default_rng(0).normal(0, 0.05, (4, *vertices.shape))
    expected = np.stack([one_by_one(mesh, faces) for mesh in meshes])
    np.testing.assert_allclose(Normals.of(faces, len(vertices))(meshes), expected, atol=1e-12)
    np.testing.assert_allclose(vertex_normals(meshes[2], faces), expected[2], atol=1e-12)


def test_a_vertex_without_a_face_has_no_normal():
    vertices, faces = icosphere(1)
    normals = vertex_normals(np.vstack([vertices, [[9, 9, 9]]]), faces)
    assert not normals[-1].any()


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 0.5, 90.0, 180.0])
def test_angle_of_a_rotation(degrees):
    angle = np.radians(degrees)
    turned = np.array([np.cos(angle), np.sin(angle), 0])
    assert angles_between(np.array([1.0, 0, 0]), turned) == pytest.approx(degrees, abs=1e-9)
