"""The distribution of a model's codes, from which random shapes are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3dmm.errors import Bench3dmmError


@dataclass(frozen=True, eq=False)
class LatentGaussian:
    """A normal distribution over codes, N(mean, factor factorᵀ).

    Attributes:
        mean: (d,).
        factor: (d, d), column i the i-th principal axis of the codes times the deviation along it, by decreasing
            deviation. Directions in which the codes do not vary, such as units that are always 0, are columns of 0.
    """

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def fit(cls, codes: np.ndarray) -> LatentGaussian:
        """Mean and covariance (n - 1) of codes (n, d), whatever their rank.

        Raises:
            Bench3dmmError: fewer than two codes, or one that is not finite.
        """
        codes = np.asarray(codes, dtype=np.float64)
        if codes.ndim != 2 or len(codes) < 2 or not np.isfinite(codes).all():
            raise Bench3dmmError(f"a Gaussian needs two or more finite codes (n, d), got {codes.shape}")
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(codes, rowvar=False)))
        variances, axes = variances[::-1], axes[:, ::-1]
        variances = np.where(variances > variances[0] * 1e-12, variances, 0)  # below that is rounding
        largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))]
        return cls(codes.mean(axis=0), axes * np.sqrt(variances) * np.where(largest < 0, -1, 1))

    def sample(self, n: int, rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
        """Codes (n, d), with `scale` times the deviation of the codes fitted to.

        The same generator draws codes that are equally far out for every Gaussian of one d: their distances to the
        mean, in deviations along its principal axes, are the same.
        """
        return self.mean + scale * rng.standard_normal((n, len(self.mean))) @ self.factor.T
