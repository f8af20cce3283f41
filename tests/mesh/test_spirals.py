"""Spirals: a hand-computed grid, a slow oracle that sorts rings by angle, and what must not change them."""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np
import pytest
from mesh_shapes import grid, head_with_eyes, icosphere, neighbours, random_sphere, rotation, torus, wavy_with_hole
from scipy.sparse import csgraph

from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.mesh.spirals import PADDING, spirals
from bench3dmm.mesh.template import Template

UNCUT = 10_000


def rows_of(array: np.ndarray) -> list[list[int]]:
    """Spirals as lists, without what pads them to one length (a gap's own -1 at the end goes with it)."""
    return [row[: np.flatnonzero(row >= 0)[-1] + 1].tolist() for row in array]


def hops_from(vertex: int, beside: list[set[int]]) -> dict[int, int]:
    """Number of edges from a vertex to each other one, breadth first."""
    found, ring = {vertex: 0}, {vertex}
    while ring:
        ring = {j for i in ring for j in beside[i]} - found.keys()
        found |= dict.fromkeys(ring, max(found.values()) + 1)
    return found


# --- by hand -------------------------------------------------------------------------------------------

# 6 7 8
# 3 4 5     diagonals 0–4–8, 1–5, 3–7
# 0 1 2
ONE_HOP = [
    [0, 1, 4, 3, -1, -1, -1],  # the reference itself: 1 and 3 are equally near, 1 is the lower
    [1, 0, -1, 2, 5, 4, -1],  # the gap below comes right after the start
    [2, 1, -1, 5, -1, -1, -1],
    [3, 0, 4, 7, 6, -1, -1],
    [4, 0, 1, 5, 8, 7, 3],
    [5, 1, 2, -1, 8, 4, -1],  # 5–1–0 and 5–4–0 are equally long
    [6, 3, 7, -1, -1, -1, -1],
    [7, 3, 4, 8, -1, 6, -1],
    [8, 4, 5, -1, 7, -1, -1],
]


def test_one_hop_on_a_grid_by_hand():
    # Lengths with the gaps: 5 6 4 6 7 6 4 6 5; int(5.44 + 2 · 0.96) = 7.
    result = spirals(*grid(3, 3), reference=0)
    assert result.dtype == np.int32
    assert result.tolist() == ONE_HOP


def test_two_hops_on_a_grid_by_hand():
    two = spirals(*grid(3, 3), hops=2, reference=0, length=11)
    assert two[0].tolist() == [0, 1, 4, 3, -1, 2, 5, 8, 7, 6, -1]
    assert two[4, :7].tolist() == [4, 0, 1, 5, 8, 7, 3]
    centre = spirals(*grid(5, 5), hops=2, reference=0, length=19)[12]
    assert centre.tolist()[:7] == [12, 6, 7, 13, 18, 17, 11]
    assert centre.tolist()[7:19] == [5, 0, 1, 2, 8, 14, 19, 24, 23, 22, 16, 10]


def test_dilation_on_a_grid_by_hand():
    centre = spirals(*grid(5, 5), hops=2, dilation=2, reference=0)[12]
    assert [i for i in centre.tolist() if i >= 0] == [12, 6, 13, 17, 5, 1, 8, 19, 23, 16]


# --- a slow oracle -------------------------------------------------------------------------------------


def oracle(vertices, faces, normals, hops, reference):
    """Rings are those of a breadth-first search, sorted by angle about the vertex's normal; a gap is where two
    that follow each other share no edge; ring k + 1 starts with the vertex that completes a triangle with the
    last and the first of ring k. For meshes on which rings are star-shaped and nothing ties."""
    beside = neighbours(len(vertices), faces)
    to_reference = shortest_paths(vertices, beside, reference)
    result = []
    for vertex, normal in enumerate(normals):
        hop = hops_from(vertex, beside)
        frame = np.linalg.svd(normal[None])[2][1:]
        if np.dot(np.cross(*frame), normal) < 0:
            frame = frame[::-1]
        flat = (vertices - vertices[vertex]) @ frame.T
        angle = np.arctan2(flat[:, 1], flat[:, 0])

        def past(j, i, angle=angle):
            return (angle[j] - angle[i]) % (2 * math.pi)

        def path(y, vertex=vertex):
            return math.dist(vertices[vertex], vertices[y]) + to_reference[y]

        spiral, before = [vertex], None
        for k in range(1, hops + 1):
            ring = sorted((i for i in hop if hop[i] == k), key=lambda i: angle[i])
            if not ring:
                break
            following = dict(zip(ring, ring[1:] + ring[:1], strict=True))
            gaps = [i for i, j in following.items() if j not in beside[i] or past(j, i) > math.pi]
            if before is None:
                first = min(ring, key=path)
            elif before[-1] >= 0 and (shared := set(ring) & beside[before[0]] & beside[before[-1]]):
                (first,) = shared
            else:  # the ring before begins at a gap, and so does this one: the gap last reached
                first = following[max(gaps, key=lambda i: past(i, before[0]))]
            at = ring.index(first)
            before = []
            for i in ring[at:] + ring[:at]:
                before += [i, -1] if i in gaps else [i]
            spiral += before
        result.append(spiral)
    return result


def shortest_paths(vertices, beside, source):
    distance, queue = {}, [(0.0, source)]
    while queue:
        d, i = heapq.heappop(queue)
        if i not in distance:
            distance[i] = d
            for j in beside[i]:
                heapq.heappush(queue, (d + math.dist(vertices[i], vertices[j]), j))
    return distance


def padded(sequences, length):
    return [(s + [-1] * length)[:length] for s in sequences]


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_spirals_equal_the_oracle_on_a_closed_mesh(hops):
    vertices, faces = icosphere(2, jitter=0.01)
    expected = oracle(vertices, faces, vertices, hops, reference=17)
    assert spirals(vertices, faces, hops=hops, reference=17, length=60).tolist() == padded(expected, 60)


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("size", [(7, 6), (4, 9)])
def test_spirals_equal_the_oracle_on_a_mesh_with_a_border(hops, size):
    vertices, faces = grid(*size, jitter=0.08)
    vertices[:, :2] += 0.02 * np.sin(7 * vertices[:, 1::-1])  # no ties on the border, either
    expected = oracle(vertices, faces, np.tile([0.0, 0.0, 1.0], (len(vertices), 1)), hops, reference=9)
    assert spirals(vertices, faces, hops=hops, reference=9, length=60).tolist() == padded(expected, 60)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("hops", [1, 2])
def test_length_and_dilation_rules(hops, dilation):
    vertices, faces = random_sphere(150)  # closed: a spiral ends with a vertex, so padding is seen as such
    sequences = [s[:1] + s[1::dilation] for s in rows_of(spirals(vertices, faces, hops=hops, length=UNCUT))]
    lengths = [len(s) for s in sequences]
    mean = sum(lengths) / len(lengths)
    std = math.sqrt(sum((n - mean) ** 2 for n in lengths) / len(lengths))
    assert std > 0.3
    expected = padded(sequences, int(mean + 2 * std))
    assert spirals(vertices, faces, hops=hops, dilation=dilation).tolist() == expected


# --- what defines a spiral -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [icosphere(2), torus(), icosphere(2, jitter=0.02)], ids=["sphere", "torus", "jitter"])
def test_rings_are_those_of_a_breadth_first_search_and_their_entries_adjacent(shape):
    vertices, faces = shape
    beside = neighbours(len(vertices), faces)
    for vertex, row in enumerate(spirals(vertices, faces, hops=3, reference=5, length=UNCUT)):
        spiral = row[row >= 0].tolist()
        assert (row[: len(spiral)] >= 0).all()  # no gap on a closed surface
        assert spiral[0] == vertex
        assert len(set(spiral)) == len(spiral)
        hop = hops_from(vertex, beside)
        assert [hop[i] for i in spiral] == sorted(k for k in hop.values() if k <= 3)
        assert all(j in beside[i] for i, j in itertools.pairwise(spiral))


def test_rings_turn_counter_clockwise_once():
    vertices, faces = icosphere(2, jitter=0.02)
    for vertex, row in enumerate(spirals(vertices, faces, reference=5, length=UNCUT)):
        ring = vertices[row[row >= 0][1:]] - vertices[vertex]
        normal = vertices[vertex]
        following = np.roll(ring, -1, axis=0)
        flat = [side - np.outer(side @ normal, normal) for side in (ring, following)]
        turn = np.arctan2(np.cross(*flat) @ normal, (flat[0] * flat[1]).sum(1))
        assert (turn > 0).all()
        assert turn.sum() == pytest.approx(2 * np.pi)


def test_spirals_start_along_the_shortest_path():
    vertices, faces = wavy_with_hole()
    starts = spirals(vertices, faces, reference=40)[:, 1]
    distance = shortest_paths(vertices, neighbours(len(vertices), faces), 40)
    for vertex, start in enumerate(starts):
        step = math.dist(vertices[vertex], vertices[start])
        if vertex != 40:
            assert step + distance[start] == pytest.approx(distance[vertex], rel=1e-12)
    beside = neighbours(len(vertices), faces)[40]
    assert starts[40] == min(beside, key=lambda i: math.dist(vertices[40], vertices[i]))


@pytest.mark.parametrize("shape", [grid(6, 7), icosphere(2), wavy_with_hole()], ids=["grid", "sphere", "sheet"])
def test_pose_and_unit_do_not_matter_even_where_paths_tie(shape):
    vertices, faces = shape
    expected = spirals(vertices, faces, hops=2, reference=11)
    for seed in range(3):
        moved = 0.001 * vertices @ rotation(seed).T + [0.2, -1.0, 0.05]
        assert np.array_equal(spirals(moved, faces, hops=2, reference=11), expected)


def test_numbering_and_face_order_do_not_matter():
    vertices, faces = wavy_with_hole()
    rng = np.random.default_rng(4)
    old = rng.permutation(len(vertices))  # new vertex i was vertex old[i]
    new = np.argsort(old)
    shuffled = np.roll(new[faces][rng.permutation(len(faces))], 1, axis=1)
    expected = spirals(vertices, faces, hops=2, reference=40)
    result = spirals(vertices[old], shuffled, hops=2, reference=int(new[40]))
    assert np.array_equal(np.where(result >= 0, old[result], -1)[new], expected)


def test_mirrored_faces_reverse_the_rings():
    vertices, faces = icosphere(1, jitter=0.02)
    one, other = (spirals(vertices, f, reference=3, length=UNCUT) for f in (faces, faces[:, ::-1]))
    for a, b in zip(rows_of(one), rows_of(other), strict=True):
        assert a[:2] == b[:2]
        assert a[2:] == b[:1:-1]


def test_a_given_length_cuts_and_pads():
    shape = grid(3, 3)
    assert spirals(*shape, length=3).tolist() == [row[:3] for row in ONE_HOP]
    assert spirals(*shape, length=9).tolist() == [[*row, -1, -1] for row in ONE_HOP]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hops": 0}, "hops 0"),
        ({"dilation": 0}, "dilation 0"),
        ({"length": 0}, "length 0"),
        ({"reference": 9}, "reference vertex 9 out of 0 … 8"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(MeshError, match=message):
        spirals(*grid(3, 3), **options)


def test_surfaces_without_one_fan_a_vertex_are_refused():
    vertices = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(MeshError, match="vertex 0 do not form one fan"):
        spirals(vertices, np.array([[0, 1, 2], [0, 3, 4]]))
    with pytest.raises(MeshError, match="same direction"):
        spirals(vertices, np.array([[0, 1, 2], [0, 1, 3]]))


def test_each_part_of_a_mesh_has_a_reference_of_its_own():
    """COMA's mesh is a head and two eyeballs: each part's spirals are those that it has alone."""
    vertices, faces = head_with_eyes(2)
    reference = int(vertices[:, 2].argmax())
    whole = spirals(vertices, faces, hops=2, reference=reference, length=24)
    template = Template(vertices, faces)
    _, part = csgraph.connected_components(edge_graph(vertices, faces), directed=False)
    assert np.bincount(part).tolist() == [len(vertices) - 84, 42, 42]
    for i in range(3):
        ids = np.flatnonzero(part == i)
        alone = template.keep(ids)
        nearest = int(np.linalg.norm(alone.vertices - vertices[reference], axis=1).argmin())
        expected = spirals(alone.vertices, alone.faces, hops=2, reference=nearest, length=24)
        np.testing.assert_array_equal(whole[ids], np.where(expected >= 0, ids[expected], PADDING))
