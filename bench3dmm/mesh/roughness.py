"""How rough the offset between two meshes is."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def error_roughness(offsets: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """How rough reconstructions are: (n,) mm.

    The mean over vertices of the distance between a vertex's offset and the mean offset of its neighbours. A part
    that is merely shifted, or bent smoothly, adds next to nothing; noise from vertex to vertex does.

    Args:
        offsets: (n, V, 3) mm, reconstruction minus mesh.
        faces: (F, 3) vertex ids.
    """
    tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    count = offsets.shape[1]
    ones = np.ones(2 * len(tail))
    joined = sparse.csr_matrix((ones, (np.r_[tail, head], np.r_[head, tail])), shape=(count, count))
    joined.data[:] = 1  # an edge of two faces was counted twice
    neighbours = np.maximum(np.diff(joined.indptr), 1)
    mean = np.stack([joined @ offset for offset in offsets.astype(np.float64)]) / neighbours[:, None]
    return np.linalg.norm(offsets - mean, axis=2).mean(axis=1)
