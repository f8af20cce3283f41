"""Vertex normals, and the angle between those of two meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (V, 3) of one mesh (V, 3); zero at a vertex without a face."""
    return Normals.of(faces, len(vertices))(vertices[None])[0]


@dataclass(frozen=True, eq=False)
class Normals:
    """Area-weighted unit normals of meshes with one connectivity: a call maps (B, V, 3) to (B, V, 3).

    Attributes:
        faces: (F, 3) int.
        around: (V, F), one where a vertex belongs to a face.
    """

    faces: np.ndarray
    around: sparse.csr_matrix

    @staticmethod
    def of(faces: np.ndarray, n_vertices: int) -> Normals:
        rows, columns = faces.ravel(), np.repeat(np.arange(len(faces)), 3)
        ones = np.ones(len(rows), dtype=np.float32)
        return Normals(faces, sparse.csr_matrix((ones, (rows, columns)), shape=(n_vertices, len(faces))))

    def __call__(self, vertices: np.ndarray) -> np.ndarray:
        by_vertex = vertices.transpose(1, 0, 2)  # (V, B, 3): a row for each vertex
        a, b, c = (by_vertex[corner] for corner in self.faces.T)
        normals = (self.around @ np.cross(b - a, c - a).reshape(len(a), -1)).reshape(by_vertex.shape)
        normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
        return normals.transpose(1, 0, 2)


def angles_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees between unit vectors (..., 3), exact for small angles too."""
    half_chord = np.linalg.norm(a - b, axis=-1) / 2
    return np.degrees(2 * np.arcsin(np.minimum(half_chord, 1)))
