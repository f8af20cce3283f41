"""Distances on the surface, and the landmark weights of the weighted loss."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def edge_graph(vertices: np.ndarray, faces: np.ndarray) -> sparse.csr_matrix:
    """(V, V) symmetric, the length of the edge where two vertices are joined."""
    tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    pairs = np.unique(np.sort(np.stack([tail, head], axis=1), axis=1), axis=0)
    length = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
    i, j = np.concatenate([pairs, pairs[:, ::-1]]).T
    return sparse.csr_matrix((np.concatenate([length, length]), (i, j)), shape=(len(vertices),) * 2)
