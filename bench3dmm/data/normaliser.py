"""What brings millimetres to the numbers a model is trained on, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHUNK = 256  # meshes handled at a time


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Per-coordinate mean and deviation of the training meshes, (V, 3) float32; deviation 0 stands for "never moves".

    `apply` divides by the deviation with 0/0 = 0, as published; with ``scale`` off it only centres.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @staticmethod
    def fit(vertices: np.ndarray, rows: np.ndarray, *, scale: bool = True) -> Normaliser:
        """Over the rows of a (N, V, 3) array, in one pass of float64 sums about the first mesh (ddof = 0)."""
        origin = np.asarray(vertices[rows[0]], dtype=np.float64)
        total, squares = np.zeros_like(origin), np.zeros_like(origin)
        for start in range(0, len(rows), CHUNK):
            moved = np.asarray(vertices[rows[start : start + CHUNK]], dtype=np.float64) - origin
            total += moved.sum(axis=0)
            squares += (moved**2).sum(axis=0)
        mean = total / len(rows)
        deviation = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0)) if scale else np.ones_like(mean)
        return Normaliser((origin + mean).astype(np.float32), deviation.astype(np.float32))

    def apply(self, meshes: np.ndarray) -> np.ndarray:
        """Millimetres (B, V, 3) → normalised float32."""
        divisor = np.where(self.deviation > 0, self.deviation, np.inf)
        return ((meshes - self.mean) / divisor).astype(np.float32, copy=False)

    def invert(self, meshes: np.ndarray) -> np.ndarray:
        """Normalised (B, V, 3) → millimetres."""
        return meshes * self.deviation + self.mean
