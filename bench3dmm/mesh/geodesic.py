"""Distances on the surface, and the landmark weights of the weighted loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from bench3dmm.errors import MeshError
from bench3dmm.mesh.template import Template


def edge_graph(vertices: np.ndarray, faces: np.ndarray) -> sparse.csr_matrix:
    """(V, V) symmetric, the length of the edge where two vertices are joined."""
    tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    pairs = np.unique(np.sort(np.stack([tail, head], axis=1), axis=1), axis=0)
    length = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
    i, j = np.concatenate([pairs, pairs[:, ::-1]]).T
    return sparse.csr_matrix((np.concatenate([length, length]), (i, j)), shape=(len(vertices),) * 2)


def graph_distances(template: Template, source: int | Sequence[int] | np.ndarray) -> np.ndarray:
    """Shortest edge path from the nearest source to every vertex: (V,) float64, mm. Never below the geodesic.

    Args:
        source: one vertex id, or several.

    Raises:
        MeshError: for a source that is not a vertex.
    """
    graph = edge_graph(template.vertices, template.faces)
    return csgraph.dijkstra(graph, directed=False, indices=_sources(template, source), min_only=True)


def geodesic_distances(template: Template, source: int | Sequence[int] | np.ndarray) -> np.ndarray:
    """Exact distance over the triangles from the nearest source to every vertex: (V,) float64, mm.

    Mitchell, Mount and Papadimitriou (1987), as implemented in pygeodesic.

    Args:
        source: one vertex id, or several.

    Raises:
        MeshError: for a source that is not a vertex.
    """
    from pygeodesic.geodesic import PyGeodesicAlgorithmExact

    sources = _sources(template, source)
    solver = PyGeodesicAlgorithmExact(template.vertices.copy(), template.faces.copy())
    distances, _ = solver.geodesicDistances(sources, np.arange(template.n_vertices, dtype=np.int32))
    return np.asarray(distances, dtype=np.float64)


def landmark_weights(template: Template) -> np.ndarray:
    """Vertex weights of the weighted L1 loss (paper section 3.3, equation 6): (V,) float64 in (0, 1].

    The inverse of the Euclidean distance to the nearest landmark, on the template, divided by its maximum.
    Landmarks themselves, where the inverse is not defined, get that maximum.

    Raises:
        MeshError: for a template without landmarks.
    """
    if not len(template.landmarks):
        raise MeshError(f"{template.name}: the weighted loss needs landmarks, and the template has none")
    distance = landmark_distance(template)
    others = distance[distance > 0]
    nearest = others.min() if len(others) else 1.0
    return nearest / np.where(distance > 0, distance, nearest)


def released_landmark_weights(template: Template) -> np.ndarray:
    """The weights that the paper's released code computes, which are not eq. 6: (V,) float64 in [0, 1].

    Landmark ids are read one too high (1-based lists used as 0-based), a landmark's own distance is the one to the
    *next* landmark, so that landmarks are not the heaviest.

    Raises:
        MeshError: for a template without landmarks.
    """
    if not len(template.landmarks):
        raise MeshError(f"{template.name}: the weighted loss needs landmarks, and the template has none")
    landmarks = np.unique(np.minimum(template.landmarks + 1, template.n_vertices - 1))
    offsets = template.vertices[:, None] - template.vertices[landmarks]
    distance = np.sqrt((offsets**2).sum(2))
    inverse = 1 / np.where(distance > 0, distance, np.inf).min(1)
    return inverse / inverse.max()


def landmark_distance(template: Template) -> np.ndarray:
    """How far each vertex is from the nearest landmark, Euclidean, on the template: (V,) mm, infinite without any."""
    if not len(template.landmarks):
        return np.full(template.n_vertices, np.inf)
    distance, _ = cKDTree(template.vertices[template.landmarks]).query(template.vertices)
    return distance


def near_landmarks(template: Template, radius: float = 10.0) -> np.ndarray:
    """Vertices within ``radius`` mm of a landmark: (V,) bool, none without landmarks."""
    return landmark_distance(template) <= radius


def _sources(template: Template, source: int | Sequence[int] | np.ndarray) -> np.ndarray:
    sources = np.atleast_1d(np.asarray(source))
    wrong = not sources.size or not np.issubdtype(sources.dtype, np.integer)
    if wrong or sources.min() < 0 or sources.max() >= template.n_vertices:
        raise MeshError(
            f"{template.name}: source {sources.tolist()} must be vertex ids in 0 … {template.n_vertices - 1}"
        )
    return sources.astype(np.int32)
