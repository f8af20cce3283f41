"""Decimation against a slow oracle, and what it must not depend on."""

from __future__ import annotations

import igl
import numpy as np
import pytest
from mesh_shapes import (
    border_of,
    boundary_loops,
    euler_characteristic,
    grid,
    icosphere,
    random_sphere,
    torus,
    wavy_with_hole,
)

from bench3dmm.errors import MeshError
from bench3dmm.mesh import decimation
from bench3dmm.mesh.decimation import decimate
from bench3dmm.mesh.template import Template


def slow_terms(vertices, faces):
    """For each vertex what its quadric adds up: (weight, normal, point) of a plane, (weight, None, point) of a
    point; and the vertices in units of the mean edge."""
    edge = [np.linalg.norm(vertices[f[i]] - vertices[f[i - 1]]) for f in faces for i in range(3)]
    points = (vertices - vertices.mean(0)) / np.mean(edge)
    terms = {i: [] for i in range(len(points))}
    for a, b, c in faces:
        normal = np.cross(points[b] - points[a], points[c] - points[a])
        area, normal = np.linalg.norm(normal) / 2, normal / np.linalg.norm(normal)
        for i in (a, b, c):
            terms[i] += [(area, normal, points[a]), (decimation.POINT_WEIGHT * area / 3, None, points[i])]
        for i, j in ((a, b), (b, c), (c, a)):
            if sum(i in f and j in f for f in faces) == 1:
                wall = np.cross(points[j] - points[i], normal)
                for k in (i, j):
                    terms[k].append((decimation.BORDER_WEIGHT * (wall @ wall), wall / np.linalg.norm(wall), points[i]))
    return terms, points


def slow_cost(terms, points, u, v):
    away = [(w, points[v] - p if n is None else n @ (points[v] - p)) for w, n, p in terms[u] + terms[v]]
    return sum(w * np.sum(d**2) for w, d in away)


def test_costs_are_the_weighted_squared_distances():
    vertices, faces = wavy_with_hole(9, 8)
    terms, points = slow_terms(vertices, faces)
    heap = decimation._Collapsing(vertices, faces).heap
    assert len(heap) == 2 * igl.edges(faces.astype(np.int64)).shape[0]
    for cost, u, v, _ in heap:
        assert cost == pytest.approx(slow_cost(terms, points, u, v), abs=2 * 10.0**-decimation.COST_DIGITS)


def slow_decimate(vertices, faces, target):
    """Garland and Heckbert as one would write it down: each step tries all edges, cheapest first, and does the
    first collapse after which the surface is still a manifold of the same topology with no turned triangle."""
    terms, points = slow_terms(vertices, faces)
    triangles = [tuple(f) for f in faces.tolist()]
    loops, euler = boundary_loops(faces), euler_characteristic(len(points), faces)

    def cost(u, v):
        return max(round(slow_cost(terms, points, u, v), decimation.COST_DIGITS), 0.0)

    def collapsed(u, v):
        shared = [t for t in triangles if u in t and v in t]
        if u in border_of(np.array(triangles)) and len(shared) != 1:
            return None
        moved = [t for t in triangles if u in t and v not in t]
        for t in moved:
            before, after = (np.array([points[v if i == u and new else i] for i in t]) for new in (False, True))
            n0, n1 = (np.cross(p[1] - p[0], p[2] - p[0]) for p in (before, after))
            longest = max(np.linalg.norm(after - np.roll(after, 1, 0), axis=1))
            cosine, height = decimation.LIMITS[0]
            if np.linalg.norm(n1) <= height * longest**2:
                return None
            if n0 @ n1 <= cosine * np.linalg.norm(n0) * np.linalg.norm(n1):
                return None
        new = [tuple(v if i == u else i for i in t) for t in triangles if t not in shared]
        left = sorted({i for t in new for i in t})
        if len(left) != n_alive - 1:
            return None
        ids = {i: k for k, i in enumerate(left)}
        renamed = np.array([[ids[i] for i in t] for t in new])
        try:
            Template(points[left], renamed).check()
        except MeshError:
            return None
        good = boundary_loops(renamed) == loops and euler_characteristic(len(left), renamed) == euler
        return (new, left, renamed) if good else None

    n_alive, left, renamed = len(points), list(range(len(points))), faces
    while n_alive > target:
        pairs = {(i, j) for t in triangles for i in t for j in t if i != j}
        for _, u, v in sorted((cost(u, v), u, v) for u, v in pairs):
            if (done := collapsed(u, v)) is not None:
                break
        triangles, left, renamed = done
        terms[v] = terms[u] + terms[v]
        n_alive -= 1
    return np.array(left), renamed


@pytest.mark.parametrize(
    ("shape", "target"),
    [
        (wavy_with_hole(7, 7), 16),
        (random_sphere(40), 8),
        (random_sphere(32, seed=1), 8),
        (icosphere(1, jitter=0.05), 8),
        (torus(7, 5), 18),
    ],
    ids=["sheet with a hole", "irregular sphere", "another", "sphere", "torus"],
)
def test_decimation_equals_the_slow_one(shape, target):
    kept, faces = decimate(*shape, target)
    slow_kept, slow_faces = slow_decimate(*shape, target)
    assert kept.tolist() == slow_kept.tolist()
    assert np.array_equal(faces, slow_faces)


def three_holes():
    """A sheet without three of its faces, apart from each other and from the border: holes of three edges."""
    vertices, faces = grid(7, 6)
    return vertices, np.delete(faces, [14, 30, 40], axis=0)


@pytest.mark.parametrize(
    "shape",
    [
        (np.vstack([np.eye(3), -np.ones(3)]), np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])),
        (np.eye(3), np.array([[0, 1, 2]])),
        icosphere(0),
        random_sphere(9),
        torus(7, 3),
        grid(2, 2),
        grid(5, 2),
        three_holes(),
        wavy_with_hole(7, 7),
    ],
    ids=["tetrahedron", "triangle", "icosahedron", "irregular", "thin torus", "two", "strip", "three holes", "hole"],
)
def test_the_topology_check_allows_what_leaves_the_topology_as_it_is(shape):
    vertices, faces = shape
    Template(vertices, faces).check()
    loops, euler, border = boundary_loops(faces), euler_characteristic(len(vertices), faces), border_of(faces)
    mesh = decimation._Collapsing(vertices, faces)
    scattered = np.random.default_rng(0).normal(size=vertices.shape)  # the outcome's shape is not the question
    for u, v in [(i, j) for i, beside in enumerate(mesh.neighbours) for j in beside]:
        shared = [f for f in faces.tolist() if u in f and v in f]
        left = np.array([[v if i == u else i for i in f] for f in faces.tolist() if f not in shared], int)
        left = left.reshape(-1, 3)
        used, renamed = np.unique(left, return_inverse=True)
        renamed = renamed.reshape(left.shape)
        try:
            Template((scattered if loops else vertices)[used], renamed).check()
            expected = len(used) == len(vertices) - 1
            expected &= boundary_loops(renamed) == loops and euler_characteristic(len(used), renamed) == euler
        except MeshError as error:
            assert "inside out" not in str(error)
            assert "zero area" not in str(error)
            expected = False
        expected &= u not in border or len(shared) == 1  # and a border vertex moves along its border
        assert mesh.keeps_topology(u, v) == expected, (u, v)


def test_flat_parts_go_first():
    vertices, faces = grid(16, 16, jitter=0.2)
    vertices[:, 2] = np.where(vertices[:, 0] > 8, np.sin(2 * vertices[:, 0]) * np.cos(2 * vertices[:, 1]), 0)
    kept, _ = decimate(vertices, faces, 128)
    assert (vertices[kept, 0] > 8).mean() > 0.75
