"""Linear mesh refinement: Catmull–Clark subdivision and cropping along a smooth curve, as sparse operators.

Both return a matrix that maps coarse vertices to fine ones, so a whole batch of meshes follows by one
sparse product and stays in dense correspondence.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from bench3dmm.data.synthetic.head import quad_edges


def triangulate(quads: np.ndarray) -> np.ndarray:
    """Two triangles a quad, (2M, 3), along the first diagonal."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def catmull_clark(quads: np.ndarray, n_vertices: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One Catmull–Clark step on a quad mesh with borders (Catmull & Clark 1978; cubic B-spline border rules).

    Args:
        quads: (M, 4) vertex ids, consistently oriented.
        n_vertices: V.

    Returns:
        (V + E + M, V) operator whose rows sum to one, in the order vertices, edges, faces; and (4M, 4) quads.
    """
    n_faces = len(quads)
    directed = quad_edges(quads)
    edges, edge_of = np.unique(np.sort(directed, axis=1), axis=0, return_inverse=True)
    edge_of = edge_of.reshape(4, n_faces)
    n_edges = len(edges)

    face_rows = np.repeat(np.arange(n_faces), 4)
    face_points = sparse.csr_matrix((np.full(4 * n_faces, 0.25), (face_rows, quads.ravel())), (n_faces, n_vertices))
    edge_face = sparse.csr_matrix(
        (np.ones(4 * n_faces), (edge_of.ravel(), np.tile(np.arange(n_faces), 4))), (n_edges, n_faces)
    )
    on_border = np.asarray(edge_face.sum(axis=1)).ravel() == 1
    midpoints = sparse.csr_matrix(
        (np.full(2 * n_edges, 0.5), (np.repeat(np.arange(n_edges), 2), edges.ravel())), (n_edges, n_vertices)
    )
    inner = sparse.diags((~on_border).astype(float))
    edge_points = midpoints - 0.5 * inner @ midpoints + 0.25 * inner @ edge_face @ face_points

    vertex_edge = sparse.csr_matrix(
        (np.ones(2 * n_edges), (edges.ravel(), np.repeat(np.arange(n_edges), 2))), (n_vertices, n_edges)
    )
    vertex_face = sparse.csr_matrix((np.ones(4 * n_faces), (quads.ravel(), face_rows)), (n_vertices, n_faces))
    valence = np.maximum(np.asarray(vertex_edge.sum(axis=1)).ravel(), 1)
    border_edges = vertex_edge @ sparse.diags(on_border.astype(float))
    border_vertex = np.asarray(border_edges.sum(axis=1)).ravel() > 0
    faces_average = sparse.diags(1 / valence) @ vertex_face @ face_points
    edges_average = sparse.diags(1 / valence) @ vertex_edge @ midpoints
    identity = sparse.identity(n_vertices)
    inner_vertices = sparse.diags(1 / valence) @ (faces_average + 2 * edges_average) + sparse.diags(
        (valence - 3) / valence
    )
    border_vertices = 0.5 * identity + 0.25 * border_edges @ midpoints
    vertex_points = (
        sparse.diags((~border_vertex).astype(float)) @ inner_vertices
        + sparse.diags(border_vertex.astype(float)) @ border_vertices
    )

    operator = sparse.vstack([vertex_points, edge_points, face_points]).tocsr()
    edge_id = n_vertices + edge_of
    face_id = n_vertices + n_edges + np.arange(n_faces)
    corners = [np.stack([quads[:, i], edge_id[i], face_id, edge_id[i - 1]], axis=1) for i in range(4)]
    return operator, np.concatenate(corners)


def crop(
    vertices: np.ndarray, faces: np.ndarray, field: np.ndarray, snap: float = 0.35
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Keep the part of a triangle mesh where ``field < 0``, cut exactly along the zero curve.

    A vertex within ``snap`` of an edge length of the curve is slid onto it: no slivers.

    Args:
        vertices: (V, 3), used to measure edges.
        faces: (F, 3).
        field: (V,), e.g. a signed distance.

    Returns:
        (V', V) operator, rows sum to one, and (F', 3) faces; the first rows are the kept vertices in order.
    """
    field = np.where(field == 0, -1e-12, field).astype(float)
    edges = np.unique(np.sort(np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1), axis=0)
    crossing = edges[field[edges[:, 0]] * field[edges[:, 1]] < 0]
    position = field[crossing[:, 0]] / (field[crossing[:, 0]] - field[crossing[:, 1]])

    # Slide the nearer end of a crossed edge onto the curve; each vertex takes its closest crossing.
    ends = np.concatenate([crossing, crossing[:, ::-1]])
    fraction = np.concatenate([position, 1 - position])
    length = np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1)
    operator = sparse.identity(len(vertices)).tolil()
    slid = np.zeros(len(vertices), bool)
    for row in np.argsort(fraction * length):
        vertex, other = ends[row]
        if fraction[row] < snap and not slid[vertex] and not slid[other]:
            operator[vertex, vertex], operator[vertex, other] = 1 - fraction[row], fraction[row]
            slid[vertex] = True
    side = np.where(slid, 0, np.sign(field)).astype(int)

    cut_id: dict[tuple[int, int], int] = {}
    cut_rows: list[tuple[int, int, float]] = []

    def cut(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in cut_id:
            cut_id[key] = len(vertices) + len(cut_rows)
            low, high = key
            cut_rows.append((low, high, field[low] / (field[low] - field[high])))
        return cut_id[key]

    kept = faces[(side[faces] <= 0).all(axis=1) & (side[faces] < 0).any(axis=1)].tolist()
    for face in faces[(side[faces] < 0).any(axis=1) & (side[faces] > 0).any(axis=1)]:
        polygon = []
        for a, b in zip(face, np.roll(face, -1), strict=True):
            if side[a] <= 0:
                polygon.append(int(a))
            if side[a] * side[b] < 0:
                polygon.append(cut(int(a), int(b)))
        if len(polygon) == 3:
            kept.append(polygon)
        elif len(polygon) == 4:
            kept += [[polygon[0], polygon[1], polygon[2]], [polygon[0], polygon[2], polygon[3]]]

    new = sparse.lil_matrix((len(cut_rows), len(vertices)))
    for row, (low, high, t) in enumerate(cut_rows):
        new[row, low], new[row, high] = 1 - t, t
    operator = sparse.vstack([operator.tocsr(), new.tocsr()]).tocsr()
    return compact(operator, largest_component(np.array(kept)))


def largest_component(faces: np.ndarray) -> np.ndarray:
    """The faces of the connected component with most faces."""
    size = faces.max() + 1
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (size, size))
    label = sparse.csgraph.connected_components(graph, directed=False)[1][faces[:, 0]]
    return faces[label == np.bincount(label).argmax()]


def compact(operator: sparse.csr_matrix, faces: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Drop rows that no face uses and renumber the faces."""
    used, inverse = np.unique(faces, return_inverse=True)
    return operator[used], inverse.reshape(faces.shape).astype(np.int32)
