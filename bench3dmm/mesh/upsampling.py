"""Barycentric upsampling: each dropped vertex takes three weights of the coarse triangle nearest to it.

Not igl.point_mesh_squared_distance, trimesh.proximity or VTK's cell locator, because these search in space, and where
closed lips touch they put a vertex of one on the other (shown in tests/mesh/test_hierarchy.py). On the embedded
templates, whose lips are apart, they find the same distances to 1e-13 mm in 0.01 to 0.2 s instead of 0.3 to 0.5 s for
all levels, but for 13 of the 5,028 vertices first dropped of ``mh-scan``: theirs are up to 2 mm nearer there, on
triangles beyond those that `project` looks at. `tools/compare_mesh_libraries.py` measures it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from bench3dmm.mesh.geodesic import edge_graph


def project(
    vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray, coarse_faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric weights of every fine vertex on the coarse surface.

    A dropped vertex goes to the nearest point of the coarse triangles around the kept vertex nearest to it
    *along the fine surface's edges*: those of this vertex and of its coarse neighbours. So a vertex of the
    upper lip cannot land on the lower lip because the lips happen to touch in the template. A vertex of a part of
    which nothing is kept goes to the nearest point of all coarse triangles.

    Args:
        vertices, faces: the fine surface (V, 3), (F, 3).
        kept: (V',) fine ids of the coarse vertices.
        coarse_faces: (F', 3) into kept.

    Returns:
        index (V, 3) int32 into kept, weight (V, 3) float64: >= 0, rows sum to 1, one-hot for kept vertices.
    """
    n, n_coarse = len(vertices), len(kept)
    index = np.zeros((n, 3), np.int32)
    weight = np.zeros((n, 3))
    index[kept] = np.arange(n_coarse, dtype=np.int32)[:, None]
    weight[kept, 0] = 1.0
    dropped = np.setdiff1d(np.arange(n), kept)
    if not len(dropped):
        return index, weight

    graph = edge_graph(vertices, faces)
    _, _, source = csgraph.dijkstra(graph, directed=False, indices=kept, min_only=True, return_predecessors=True)
    coarse_of = np.full(n, -1)
    coarse_of[kept] = np.arange(n_coarse)
    of_vanished = dropped[source[dropped] < 0]
    index[of_vanished], weight[of_vanished] = _onto_all(vertices[of_vanished], vertices[kept], coarse_faces)
    dropped = np.setdiff1d(dropped, of_vanished)
    if not len(dropped):
        return index, weight
    root = coarse_of[source[dropped]]

    rows = np.repeat(np.arange(len(coarse_faces)), 3)
    touches = sparse.csr_matrix((np.ones(len(rows)), (coarse_faces.ravel(), rows)), shape=(n_coarse, len(coarse_faces)))
    around = (touches @ touches.T @ touches).tocsr()  # (V', F'): triangles of a vertex and of its neighbours
    around.sort_indices()
    counts = np.diff(around.indptr)[root]
    pair = np.repeat(np.arange(len(dropped)), counts)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    face = around.indices[around.indptr[root][pair] + within]

    barycentric, squared = closest_on_triangles(vertices[dropped][pair], vertices[kept][coarse_faces[face]])
    best = np.lexsort((face, squared, pair))[np.cumsum(counts) - counts]
    index[dropped] = coarse_faces[face[best]]
    weight[dropped] = barycentric[best]
    return index, weight


def _onto_all(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index (n, 3) and weight (n, 3) of the nearest point of all triangles; of those that tie, in the first."""
    index, weight = np.zeros((len(points), 3), np.int32), np.zeros((len(points), 3))
    for i, point in enumerate(points):
        barycentric, squared = closest_on_triangles(np.broadcast_to(point, (len(faces), 3)), vertices[faces])
        nearest = int(np.flatnonzero(squared <= squared.min() * (1 + 1e-9))[0])
        index[i], weight[i] = faces[nearest], barycentric[nearest]
    return index, weight


def closest_on_triangles(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closest point of each triangle (n, 3, 3) to its point (n, 3): barycentric (n, 3), distance² (n,)."""
    a, b, c = triangles.transpose(1, 0, 2)
    candidates = np.zeros((4, len(points), 3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    det = d00 * d11 - d01 * d01
    flat = det <= 1e-14 * d00 * d11
    safe = np.where(flat, 1.0, det)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    candidates[0] = np.stack([1 - v - w, v, w], axis=1)
    outside = flat | (candidates[0] < 0).any(1)
    candidates[0, outside] = (1.0, 0.0, 0.0)
    for k, (i, j) in enumerate(((0, 1), (1, 2), (2, 0)), start=1):
        start, along = triangles[:, i], triangles[:, j] - triangles[:, i]
        length = np.maximum((along * along).sum(1), 1e-300)
        t = np.clip(((points - start) * along).sum(1) / length, 0.0, 1.0)
        candidates[k, :, i], candidates[k, :, j] = 1 - t, t
    nearest = (candidates[..., None] * triangles).sum(2)
    squared = ((nearest - points) ** 2).sum(2)
    best = squared.argmin(0)
    rows = np.arange(len(points))
    return candidates[best, rows], squared[best, rows]
