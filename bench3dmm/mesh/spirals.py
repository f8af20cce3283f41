"""Spiral orderings (paper section 3.1, equations 2–4; Lim et al., 2018; Bouritsas et al., ICCV 2019).

The spiral of a vertex is the vertex itself, its neighbours counter-clockwise from the one that lies on the way
to the reference vertex, then the ring around those, and so on: one fixed order in which a filter reads them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import edge_graph

PADDING = -1


def spirals(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    hops: int = 1,
    dilation: int = 1,
    reference: int = 0,
    length: int | None = None,
) -> np.ndarray:
    """The spirals of all vertices, of one length.

    - A spiral starts at the next vertex on the shortest edge path to the reference vertex (at the reference
      itself: at its nearest neighbour); where paths tie but for rounding, at the one with the lowest id.
      Equation 4 minimises the distance of the neighbour alone; the path is what its text says and what the
      released code takes.
      Where the mesh has several parts, as COMA's has a head and two eyeballs, each has a reference of its own: its
      vertex nearest to the reference.
    - Rings follow each other without a jump: ring k + 1 starts beside the end of ring k, next to its start.
    - Where a border breaks a ring, one -1 stands for the gap, at the ring's end if the gap is there.
    - ``dilation`` d then keeps the first entry and every d-th after it: ``s[:1] + s[1::d]``.
    - ``length`` is ``int(mean + 2 std)`` of the lengths so far, if not given; longer spirals are cut, shorter
      ones are filled with -1.

    Args:
        vertices: (V, 3).
        faces: (F, 3) int, consistently oriented manifold, counter-clockwise seen from outside.
        hops: rings, 1 or more.
        reference: vertex id.

    Returns:
        (V, L) int32; column 0 is the vertex itself, -1 is padding.

    Raises:
        MeshError: for a vertex whose faces do not form one fan, or arguments out of range.
    """
    n = len(vertices)
    if hops < 1 or dilation < 1 or (length is not None and length < 1):
        raise MeshError(f"spirals: hops {hops}, dilation {dilation}, length {length}: each must be 1 or more")
    if not 0 <= reference < n:
        raise MeshError(f"spirals: reference vertex {reference} out of 0 … {n - 1}")
    fans, closed = vertex_fans(n, faces)
    starts = _starts(vertices, faces, reference)
    sequences = []
    for vertex in range(n):
        spiral = _spiral(vertex, starts[vertex], hops, fans, closed) if fans[vertex] else [vertex]
        sequences.append(spiral[:1] + spiral[1::dilation])
    if length is None:
        lengths = np.array([len(sequence) for sequence in sequences])
        length = int(lengths.mean() + 2 * lengths.std())
    result = np.full((n, length), PADDING, dtype=np.int32)
    for vertex, sequence in enumerate(sequences):
        cut = sequence[:length]
        result[vertex, : len(cut)] = cut
    return result


def _spiral(vertex: int, start: int, hops: int, fans: list[list[int]], closed: list[bool]) -> list[int]:
    """The whole spiral of one vertex, of ``hops`` rings."""
    ring = _turn(vertex, start, fans, closed)
    spiral = [vertex, *ring]
    found_from = dict.fromkeys(ring, vertex)  # neighbour in the ring before; its keys are what has been seen
    found_from[vertex] = vertex
    for _ in range(hops - 1):
        outer: list[int] = []
        for inner in ring:
            if inner == PADDING:
                continue
            # Counter-clockwise around a ring's vertex, from inside: its predecessor, outside, its successor.
            for candidate in _turn(inner, found_from[inner], fans, closed):
                if candidate == PADDING:
                    if outer[-1:] != [PADDING]:
                        outer.append(PADDING)
                elif candidate not in found_from:
                    found_from[candidate] = inner
                    outer.append(candidate)
        if outer[:1] == [PADDING]:  # the gap between the ring's end and its start: say so at its end, once
            outer = outer[1:] if outer[-1] == PADDING else [*outer[1:], PADDING]
        if not any(candidate != PADDING for candidate in outer):
            break
        spiral += outer
        ring = outer
    return spiral


def _turn(vertex: int, start: int, fans: list[list[int]], closed: list[bool]) -> list[int]:
    """Neighbours counter-clockwise from ``start``, with -1 where the border's gap is."""
    fan = fans[vertex]
    i = fan.index(start)
    return fan[i:] + fan[:i] if closed[vertex] else [*fan[i:], PADDING, *fan[:i]]


def vertex_fans(n: int, faces: np.ndarray) -> tuple[list[list[int]], list[bool]]:
    """Neighbours of each vertex counter-clockwise; at a border from one border edge to the other."""
    following: list[dict[int, int]] = [{} for _ in range(n)]
    for a, b, c in np.asarray(faces).tolist():
        for vertex, first, second in ((a, b, c), (b, c, a), (c, a, b)):
            if first in following[vertex]:
                raise MeshError(
                    f"spirals: edge {vertex}–{first} is run twice in the same direction; see Template.check()"
                )
            following[vertex][first] = second
    fans: list[list[int]] = []
    closed: list[bool] = []
    for vertex, turn in enumerate(following):
        border = sorted(turn.keys() - turn.values())
        closed.append(not border)
        fan = [border[0] if border else min(turn)] if turn else []
        while fan and (successor := turn.get(fan[-1])) is not None and successor != fan[0]:
            fan.append(successor)
        if len(border) > 1 or len(fan) != len(turn) + len(border):
            raise MeshError(f"spirals: the faces at vertex {vertex} do not form one fan; see Template.check()")
        fans.append(fan)
    return fans, closed


def _starts(vertices: np.ndarray, faces: np.ndarray, reference: int) -> list[int]:
    """Per vertex, the next one on the shortest edge path to the reference vertex; -1 for a vertex without edges."""
    vertices = np.asarray(vertices, dtype=np.float64)
    graph = edge_graph(vertices, faces)
    references = _references(vertices, graph, reference)
    distance = csgraph.dijkstra(graph, directed=False, indices=references, min_only=True)
    tie = 1e-9 * float(graph.data.mean()) if graph.nnz else 0.0
    starts = []
    for first, last in pairwise(graph.indptr.tolist()):
        neighbours = graph.indices[first:last]
        path = graph.data[first:last] + distance[neighbours]
        starts.append(int(neighbours[path <= path.min() + tie].min()) if len(path) else -1)
    return starts


def _references(vertices: np.ndarray, graph: sparse.csr_matrix, reference: int) -> list[int]:
    """One a connected part: the reference itself, in the others their vertex nearest to it (of ties, the first)."""
    n_parts, part = csgraph.connected_components(graph, directed=False)
    if n_parts == 1:
        return [reference]
    distance = np.linalg.norm(vertices - vertices[reference], axis=1)
    members = [np.flatnonzero(part == i) for i in range(n_parts)]
    least = [distance[ids].min() * (1 + 1e-9) for ids in members]
    return [int(ids[distance[ids] <= most][0]) for ids, most in zip(members, least, strict=True)]
