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


def slow_decimate(vertices, faces, target, stays=None):
    """Garland and Heckbert as one would write it down: each step tries all edges, cheapest first, and does the
    first collapse after which the surface is still a manifold of the same topology with no turned triangle. Among the
    edges stand the parts that no edge of can be collapsed any more, by the mean cost of their vertices."""
    terms, points = slow_terms(vertices, faces)
    triangles = [tuple(f) for f in faces.tolist()]
    part = parts(len(points), faces)
    area = np.bincount(
        part[faces[:, 0]], np.linalg.norm(np.cross(*np.diff(points[faces], axis=1).swapaxes(0, 1)), axis=1)
    )
    kept = {int(area.argmax())} if stays is None else set(part[stays].tolist())

    def topology():
        used, renamed = np.unique(np.array(triangles), return_inverse=True)
        renamed = renamed.reshape(-1, 3)
        return boundary_loops(renamed), euler_characteristic(len(used), renamed)

    def cost(u, v):
        return max(round(slow_cost(terms, points, u, v), decimation.COST_DIGITS), 0.0)

    def collapsed(u, v, shape=True):
        shared = [t for t in triangles if u in t and v in t]
        if u in border_of(np.array(triangles)) and len(shared) != 1:
            return None
        moved = [t for t in triangles if u in t and v not in t]
        for t in moved if shape else ():
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
        if len(left) != len(alive()) - 1:
            return None
        ids = {i: k for k, i in enumerate(left)}
        renamed = np.array([[ids[i] for i in t] for t in new])
        try:
            Template(points[left] if shape else scattered[left], renamed).check()
        except MeshError as error:
            if shape or "inside out" not in str(error):
                return None
        good = (boundary_loops(renamed), euler_characteristic(len(left), renamed)) == topology()
        return new if good else None

    def alive():
        return sorted({i for t in triangles for i in t})

    def at_its_end(members):
        return not any(collapsed(u, v, shape=False) for t in triangles for u in t for v in t if u != v and u in members)

    def vanishing():
        """Of each part: mean cost, its first vertex, and where each of its vertices goes."""
        for one in sorted(set(part[alive()].tolist()) - kept):
            members = [i for i in alive() if part[i] == one]
            if at_its_end(members) and len(alive()) - len(members) >= target:
                others = [i for i in alive() if part[i] != one]
                into = {u: min(others, key=lambda v, u=u: np.linalg.norm(points[u] - points[v])) for u in members}
                mean = sum(cost(u, v) for u, v in into.items()) / len(into)
                yield round(mean, decimation.COST_DIGITS), members[0], members[0], into

    scattered = np.random.default_rng(0).normal(size=points.shape)
    while len(alive()) > target:
        pairs = {(i, j) for t in triangles for i in t for j in t if i != j}
        steps = [(cost(u, v), u, v, None) for u, v in pairs]
        for _, u, v, into in sorted([*steps, *vanishing()], key=lambda step: step[:3]):
            if into is not None:
                triangles = [t for t in triangles if part[t[0]] != part[u]]
                for one, other in into.items():
                    terms[other] = terms[one] + terms[other]
                break
            if (done := collapsed(u, v)) is not None:
                triangles = done
                terms[v] = terms[u] + terms[v]
                break
        else:
            raise AssertionError(f"nothing more can go of {len(alive())} vertices")
    left = alive()
    ids = {i: k for k, i in enumerate(left)}
    return np.array(left), np.array([[ids[i] for i in t] for t in triangles])


def parts(n, faces):
    """Of each vertex, its part: colours that spread along edges."""
    colour = np.arange(n)
    for _ in range(n):
        for face in faces:
            colour[face] = colour[face].min()
    return np.unique(colour, return_inverse=True)[1]


def together(*shapes):
    """Meshes as the parts of one."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in shapes[:-1]])
    joined = [faces + start for (_, faces), start in zip(shapes, starts, strict=True)]
    return np.vstack([vertices for vertices, _ in shapes]), np.vstack(joined).astype(np.int32)


def moved(shape, scale, by):
    return scale * shape[0] + by, shape[1]


BALLS = together(
    random_sphere(30),
    moved(random_sphere(7, seed=0), 0.3, [1.1, 0, 0]),
    moved(random_sphere(6, seed=1), 0.2, [0, 1.2, 0]),
)
FLAKES = together(
    random_sphere(24, seed=4), *(moved(grid(2, 2), 0.1 + 0.05 * i, [0.2 * i, 1.0, 0.1 * i]) for i in range(3))
)
RNG = np.random.default_rng(5)
CLUSTER = together(  # large flakes that lie nearest to each other: where one goes, another has to look anew
    random_sphere(14),
    *(
        moved(
            grid(2, 2), RNG.uniform(0.2, 1), [1.5 + RNG.uniform(0, 1.5), RNG.uniform(-0.5, 0.5), RNG.uniform(-0.5, 0.5)]
        )
        for _ in range(3)
    ),
)


@pytest.mark.parametrize(
    ("shape", "target"),
    [
        (wavy_with_hole(7, 7), 16),
        (random_sphere(40), 8),
        (random_sphere(32, seed=1), 8),
        (icosphere(1, jitter=0.05), 8),
        (torus(7, 5), 18),
        (BALLS, 24),
        (BALLS, 12),
        (FLAKES, 20),
        (FLAKES, 6),
        *((CLUSTER, target) for target in (15, 12, 4)),
        (together(random_sphere(12), moved(random_sphere(11, seed=1), 0.9, [2.5, 0, 0])), 4),
    ],
    ids=[
        "sheet with a hole",
        "irregular sphere",
        "another",
        "sphere",
        "torus",
        "balls 24",
        "balls 12",
        "flakes 20",
        "flakes 6",
        *(f"cluster {target}" for target in (15, 12, 4)),
        "two alike",
    ],
)
def test_decimation_equals_the_slow_one(shape, target):
    kept, faces = decimate(*shape, target)
    slow_kept, slow_faces = slow_decimate(*shape, target)
    assert kept.tolist() == slow_kept.tolist()
    assert np.array_equal(faces, slow_faces)


@pytest.mark.parametrize(
    ("shape", "target", "left"),
    [(BALLS, 36, 3), (BALLS, 24, 2), (BALLS, 12, 1), (FLAKES, 30, 4), (FLAKES, 20, 3), (FLAKES, 6, 1)],
)
def test_parts_vanish_one_after_another_and_the_number_of_vertices_is_met(shape, target, left):
    kept, faces = decimate(*shape, target)
    part = parts(len(shape[0]), shape[1])
    assert len(kept) == target
    assert len(set(part[kept].tolist())) == left and 0 in part[kept]
    Template(shape[0][kept], faces).check()


def test_a_part_that_is_told_to_stay_does():
    part = parts(len(BALLS[0]), BALLS[1])
    kept, _ = decimate(*BALLS, 12, stays=part == 2)
    assert set(part[kept].tolist()) >= {2}
    kept, _ = decimate(*BALLS, 12, stays=np.ones(len(part), bool))
    assert set(part[kept].tolist()) == {0, 1, 2}
    with pytest.raises(MeshError, match="stops at 12 vertices, 11 wanted"):
        decimate(*BALLS, 11, stays=np.ones(len(part), bool))


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
