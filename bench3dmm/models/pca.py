"""PCA, the linear morphable model: the best linear autoencoder in the squared error on the training meshes.

A shape is ``mean + sum_i z_i sigma_i v_i`` with orthonormal components v_i and sigma_i^2 the variance along them (the
paper, eq. 1; Blanz and Vetter, SIGGRAPH 1999), so that the codes z of the training meshes have unit variance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from bench3dmm.models.registry import register

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy

EXACT_LIMIT = 4096  # side of the largest Gram matrix that is decomposed in full
CHUNK = 4096  # columns held in float64 at a time


class PCA(nn.Module):
    """Orthonormal ``components`` (d, 3V) of centred meshes, by decreasing variance, and the ``deviations`` (d,) along
    them, in mm."""

    components: torch.Tensor
    deviations: torch.Tensor

    scale_coordinates = False

    def __init__(self, n_vertices: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("components", torch.zeros(latent, 3 * n_vertices))
        self.register_buffer("deviations", torch.zeros(latent))

    def fit_closed_form(self, x: torch.Tensor) -> None:
        """Fit to centred meshes x (N, V, 3). Components and deviations beyond the rank of x stay zero."""
        flat = x.reshape(len(x), -1)
        latent = len(self.components)
        components = principal_axes(flat, min(latent, len(flat) - 1, flat.shape[1]))
        self.components.zero_()
        self.components[: len(components)] = components.to(self.components)
        self.deviations.copy_((flat @ self.components.T).double().square().mean(dim=0).sqrt())

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Centred meshes (B, V, 3) -> codes (B, d), in standard deviations."""
        scale = torch.where(self.deviations > 0, self.deviations, torch.inf)
        return x.reshape(len(x), -1) @ self.components.T / scale

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Codes (B, d) -> centred meshes (B, V, 3)."""
        return (z * self.deviations @ self.components).view(len(z), -1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def principal_axes(x: torch.Tensor, n_axes: int, *, exact_limit: int = EXACT_LIMIT) -> torch.Tensor:
    """The first right singular vectors of x (N, D), as rows of a float64 (k, D) with k <= n_axes the rank.

    Exact, from the N x N Gram matrix in float64, up to ``exact_limit`` rows; above that by subspace
    iteration until the captured variance no longer grows by more than a millionth.
    """
    if n_axes <= 0:
        return x.new_zeros(0, x.shape[1], dtype=torch.float64)
    if len(x) <= exact_limit:
        gram = sum(c.double() @ c.double().T for c in x.split(CHUNK, dim=1))
        values, vectors = torch.linalg.eigh(gram)
        left = vectors.flip(1)[:, :n_axes][:, values.flip(0)[:n_axes] > values[-1] * 1e-12]
        axes = torch.cat([c.double().T @ left for c in x.split(CHUNK, dim=1)])  # (D, k)
    else:
        axes = _subspace_iteration(x, n_axes)
    return torch.linalg.qr(axes)[0].T


def _subspace_iteration(x: torch.Tensor, n_axes: int) -> torch.Tensor:
    n_columns = min(n_axes + max(10, n_axes // 4), *x.shape)
    start = torch.randn(x.shape[1], n_columns, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    axes = torch.linalg.qr(start.to(x.device))[0]
    captured = 0.0
    for _ in range(100):
        projected = x @ axes  # (N, k)
        before, captured = captured, float(projected.double().square().sum())
        axes = torch.linalg.qr(x.T @ projected)[0]
        if captured - before <= 1e-6 * captured:
            break
    _, _, rotation = torch.linalg.svd((x @ axes).double(), full_matrices=False)
    return axes.double() @ rotation.T[:, :n_axes]


@register("pca", closed_form=True, needs_hierarchy=False, tasks={"manipulation": {}})
def build(hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> PCA:
    """Principal component analysis, fitted in closed form."""
    return PCA(len(hierarchy.levels[0].vertices), latent)
