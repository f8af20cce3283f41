"""A head-like mesh for tests that need a picture and no dataset: an ellipsoid with a nose and eye sockets."""

from __future__ import annotations

import numpy as np


def synthetic_head(rings: int = 40, segments: int = 48, jaw: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) in mm (y up, z forward) and outward faces (F, 3); `jaw` in mm lowers the chin."""
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, rings)[1:-1], np.linspace(0, 2 * np.pi, segments, endpoint=False), indexing="ij"
    )
    unit = np.stack([np.sin(polar) * np.sin(turn), np.cos(polar), np.sin(polar) * np.cos(turn)], axis=-1)
    unit = np.concatenate([[[0.0, 1.0, 0.0]], unit.reshape(-1, 3), [[0.0, -1.0, 0.0]]])

    def bump(x: float, y: float, width: float, height: float) -> np.ndarray:
        distance = ((unit[:, 0] - x) / width) ** 2 + ((unit[:, 1] - y) / height) ** 2
        return np.exp(-distance) * (unit[:, 2] > 0)

    vertices = unit * [72.0, 105.0, 88.0]
    vertices[:, 2] += 22 * bump(0, -0.02, 0.14, 0.26) + 8 * bump(0, -0.2, 0.2, 0.1)
    vertices[:, 2] -= 10 * (bump(-0.38, 0.2, 0.2, 0.12) + bump(0.38, 0.2, 0.2, 0.12))
    vertices[:, 2] += 6 * (bump(0, -0.47, 0.28, 0.06) + bump(0, -0.62, 0.24, 0.06))
    vertices[:, 1] -= jaw * bump(0, -0.75, 0.5, 0.2)

    def at(ring: int, segment: int) -> int:
        return 1 + ring * segments + segment % segments

    faces = []
    last = rings - 3
    for segment in range(segments):
        faces.append([0, at(0, segment), at(0, segment + 1)])
        faces.append([len(vertices) - 1, at(last, segment + 1), at(last, segment)])
        for ring in range(last):
            a, b = at(ring, segment), at(ring, segment + 1)
            c, d = at(ring + 1, segment), at(ring + 1, segment + 1)
            faces += [[a, c, d], [a, d, b]]
    return vertices, np.array(faces, dtype=np.int32)
