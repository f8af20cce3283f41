"""Per-coordinate normalisation of registered meshes, with the training set's mean and deviation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from bench3dmm.errors import DataError

CHUNK_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class Normalisation:
    """x -> (x - mean) / std for each coordinate of each vertex; coordinates that never change become 0.

    Attributes:
        mean: (V, 3) float32, mm.
        std: (V, 3) float32, mm, ddof 0; 0 marks a constant coordinate. All ones if only centred.
    """

    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def fit(cls, vertices: np.ndarray, rows: np.ndarray, *, scale: bool = True) -> Normalisation:
        """From the meshes ``vertices[rows]`` (N, V, 3), read once in chunks (they may be a memory map).

        Raises:
            DataError: naming the first mesh with a coordinate that is not finite.
        """
        count, mean, squares = 0, np.zeros(vertices.shape[1:]), np.zeros(vertices.shape[1:])
        for part in chunks(rows, vertices[0].nbytes):
            x = vertices[part].astype(np.float64)
            if not np.isfinite(x).all():
                bad = part[~np.isfinite(x).all((1, 2))][0]
                raise DataError(f"mesh {bad} of the training set has coordinates that are not finite")
            # Chan et al. 1983: merge the chunk's mean and sum of squared deviations.
            part_mean = x.mean(0)
            delta, total = part_mean - mean, count + len(x)
            squares += np.square(x - part_mean).sum(0) + delta**2 * (count * len(x) / total)
            mean += delta * (len(x) / total)
            count = total
        std = np.sqrt(squares / count) if scale else np.ones_like(mean)
        return cls(torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(std.astype(np.float32)))

    def to(self, device: torch.device) -> Normalisation:
        return Normalisation(self.mean.to(device), self.std.to(device))

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """(B, V, 3) mm -> normalised."""
        return (x - self.mean) * self._inverse()

    def invert(self, x: torch.Tensor) -> torch.Tensor:
        """(B, V, 3) normalised -> mm; constant coordinates come back as their mean."""
        return x * self.std + self.mean

    def _inverse(self) -> torch.Tensor:
        return torch.where(self.std > 0, 1 / self.std, 0)


def chunks(rows: np.ndarray, row_bytes: int, limit: int = CHUNK_BYTES) -> Iterator[np.ndarray]:
    """Consecutive parts of ``rows`` that hold about ``limit`` bytes each."""
    step = max(1, limit // max(1, row_bytes))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
