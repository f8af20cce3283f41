"""CoMA: a convolutional mesh autoencoder with Chebyshev filters (Ranjan et al., "Generating 3D Faces using
Convolutional Mesh Autoencoders", ECCV 2018; the filters of Defferrard et al., NeurIPS 2016).

A filter is a polynomial of the mesh's scaled Laplacian, `scaled_laplacian`: ``y = bias + sum_k T_k(L) x W_k`` with the
Chebyshev polynomials T_0 … T_{K-1}, K = 6.

**Of the paper**: filters 16, 16, 16, 32, mirrored in the decoder; K = 6; four times downsampling by 4; a code of d = 8;
a bias and ReLU after the convolutions; quadric decimation, one-hot downsampling and barycentric upsampling, which are
the project's `Hierarchy`.

**Of the authors' code** (github.com/anuragranj/coma), which this follows wherever text and code may differ:

- the Laplacian is the symmetric normalised one of the edges without lengths, and its largest eigenvalue is taken to be
  2, so the scaled one is L - I. It is computed at each level from that level's edges;
- encoder: four times convolution, ReLU, downsampling; a fully connected layer *with* ReLU, so codes are not negative;
- decoder: a fully connected layer with ReLU to 32 channels at each coarsest vertex; four times upsampling, convolution,
  ReLU, with 32, 16, 16, 16 channels; one more convolution to 3 coordinates without bias and activation;
- all weights normal with deviation 0.1, cut at two deviations; all biases 0.1.

At d = 8 and 5,023 vertices that is 30,056 parameters, a quarter of PCA's 120,552, as the abstract says. The paper's
own count is 33,856 (as github.com/sw-gong/coma cites it); that is the number of weights, without biases, of a decoder
32, 32, 16, 16, 3 (inferred).

**Training** as published: L1 plus 5e-4 of half the squared weights and biases of the fully connected layers alone,
stochastic gradient descent with momentum 0.9 at 8e-3, 0.99 per epoch, batch 16, 300 epochs (200 in the code).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from numpy.polynomial import chebyshev
from torch import nn

from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.models.layers import (
    NARROW,
    Channels,
    ConvAutoencoder,
    GatherThenMix,
    GatherThenMixNarrow,
    Order,
    Relu,
    SparseMap,
    convolve,
    initialise,
    weights_by_step,
)
from bench3dmm.models.registry import register

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy


@dataclass(frozen=True)
class _Preset(Channels):
    """Channels, and K, the number of Chebyshev polynomials of a filter."""

    terms: int


PRESETS = {"paper": _Preset((16, 16, 16, 32), (32, 16, 16, 16), 3, 6)}


class Coma(ConvAutoencoder):
    """The autoencoder on one hierarchy; no code is negative. Raises MeshError for one without five levels."""

    undecayed = ("encoder_convs.", "decoder_convs.")

    def __init__(self, hierarchy: Hierarchy, latent: int, preset: _Preset) -> None:
        laplacians = [scaled_laplacian(level.vertices, level.faces) for level in preset.levels(hierarchy)]
        convolutions = _ChebyshevConvs(hierarchy, laplacians, preset.terms)
        super().__init__(preset, convolutions, latent, hierarchy.sizes[-1], F.relu)
        initialise(self, partial(nn.init.trunc_normal_, std=0.1, a=-0.2, b=0.2), bias=0.1)


@dataclass(frozen=True)
class _ChebyshevConvs:
    """The convolutions on one hierarchy; a scaled Laplacian for each level but the coarsest."""

    hierarchy: Hierarchy
    laplacians: Sequence[sp.csr_matrix]
    terms: int

    def down(self, level: int, c_in: int, c_out: int) -> ChebyshevConv:
        down = self.hierarchy.downsampling(level)
        return ChebyshevConv(c_in, c_out, self.laplacians[level], self.terms, down=down)

    def up(self, level: int, c_in: int, c_out: int, *, last: bool) -> ChebyshevConv:
        up = self.hierarchy.upsampling(level)
        return ChebyshevConv(c_in, c_out, self.laplacians[level], self.terms, up=up, last=last)

    def full(self, c_in: int, c_out: int) -> ChebyshevConv:
        return ChebyshevConv(c_in, c_out, self.laplacians[0], self.terms, last=True)


def scaled_laplacian(vertices: np.ndarray, faces: np.ndarray) -> sp.csr_matrix:
    """The normalised Laplacian I - D^-1/2 A D^-1/2 of a mesh's edges, less I: eigenvalues in [-1, 1].

    Args:
        vertices: (V, 3); only their number matters.
        faces: (F, 3) int.

    Returns:
        (V, V) symmetric, with an empty row for a vertex without edges.
    """
    adjacency = edge_graph(vertices, faces)
    adjacency.data[:] = 1
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = sp.diags_array(1 / np.sqrt(np.maximum(degree, 1)))
    return sp.csr_matrix(-(scale @ adjacency @ scale))


class ChebyshevConv(nn.Module):
    """Chebyshev convolution (Defferrard et al. 2016) after upsampling or before downsampling, then ReLU or nothing.

    Computed from powers of the Laplacian instead of Chebyshev polynomials, ``sum_k T_k(L) x W_k = sum_j L^j x V_j``:
    each V_j is a fixed combination of the few W_k, and the recurrence's second term, a pass over whole maps, is left
    out. Coefficients up to 20 for K = 6 cost two or three binary digits of float32.

    Trained parameters: ``weight`` (C_out, K * C_in), one block of columns for each T_k, and ``bias`` (C_out,) unless
    ``last``.

    Args:
        c_in, c_out: channels.
        laplacian: (V, V), symmetric.
        terms: K.
        down: (V_out, V), one-hot rows: applied after the filter, so that only kept vertices are mixed.
        up: (V, V_in): applied before the filter; channels are mixed before it.
        last: without bias and ReLU.
    """

    basis: torch.Tensor

    def __init__(
        self,
        c_in: int,
        c_out: int,
        laplacian: sp.csr_matrix,
        terms: int,
        *,
        down: sp.csr_matrix | None = None,
        up: sp.csr_matrix | None = None,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(c_out, terms * c_in))
        bias = torch.zeros(c_out)
        if last:
            self.register_buffer("bias", bias, persistent=False)
        else:
            self.bias = nn.Parameter(bias)
        self.activation = None if last else Relu
        self.order: type[Order]
        self.maps: nn.Module
        if down is not None:
            narrow = c_in < NARROW
            self.order = GatherThenMixNarrow if narrow else GatherThenMix
            self.maps = (_PowersNarrow if narrow else _Powers)(laplacian, down, terms, c_in)
        else:
            self.order = _MixThenPowersNarrow if c_out < NARROW and up is None else _MixThenPowers
            self.maps = _Upsampled(laplacian, up)
        basis = np.zeros((terms, terms))
        for k in range(terms):
            basis[k, : k + 1] = chebyshev.cheb2poly(np.eye(terms)[k, : k + 1])
        self.register_buffer("basis", torch.from_numpy(basis).to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[V_in, B, C_in] -> [V_out, B, C_out]"""
        by_term = self.weight.view(len(self.weight), len(self.basis), -1)
        weight = (self.basis.t() @ by_term).flatten(1)  # of the powers of L
        return convolve(x, weight, self.bias, self.order, self.maps, self.activation)


class _Powers(nn.Module):
    """In place of a `SparseMap`: the rows ``S L^j`` for j = 0 … K - 1, one below the other, never formed.

    Applied by K - 1 products with L, and its transpose by as many (Horner's rule).

    Args:
        sample: S, (V', V).
    """

    def __init__(self, laplacian: sp.csr_matrix, sample: sp.spmatrix, terms: int, channels: int) -> None:
        super().__init__()
        self.laplacian = SparseMap(laplacian, transposed=False)  # it is its own transpose
        self.sample = SparseMap(sample)
        self.terms, self.channels = terms, channels

    def apply_rows(self, x: torch.Tensor) -> torch.Tensor:
        """(V, n) -> (K * V', n)"""
        return torch.cat([self.sample.apply_rows(power) for power in powers(self.laplacian, x, self.terms)])

    def apply_transposed(self, y: torch.Tensor) -> torch.Tensor:
        """(K * V', n) -> (V, n)"""
        *lower, x = (self.sample.apply_transposed(part) for part in y.chunk(self.terms))
        for part in reversed(lower):
            x = self.laplacian.apply_rows(x).add_(part)
        return x


class _PowersNarrow(_Powers):
    """For maps [V, C, B]: rows (vertex, channel) -> rows (power, channel, vertex)."""

    def apply_rows(self, x: torch.Tensor) -> torch.Tensor:
        n_batch = x.shape[1]
        y = super().apply_rows(x.view(-1, self.channels * n_batch))
        return y.view(self.terms, -1, self.channels, n_batch).transpose(1, 2).reshape(-1, n_batch)

    def apply_transposed(self, y: torch.Tensor) -> torch.Tensor:
        n_batch = y.shape[1]
        y = y.view(self.terms, self.channels, -1, n_batch).transpose(1, 2)
        return super().apply_transposed(y.reshape(-1, self.channels * n_batch)).view(-1, n_batch)


def powers(laplacian: SparseMap, x: torch.Tensor, terms: int) -> Iterator[torch.Tensor]:
    """x, L x, …, L^(terms - 1) x for x (V, n)."""
    yield x
    for _ in range(terms - 1):
        x = laplacian.apply_rows(x)
        yield x


class _Upsampled(nn.Module):
    """What the orders below need: L (V, V), and U (V, V_in) or none."""

    CACHE = 1_800_000  # bytes of a map; measured best between 1 and 2 MB, where a core has 0.5 MB of its own

    def __init__(self, laplacian: sp.csr_matrix, up: sp.csr_matrix | None) -> None:
        super().__init__()
        self.laplacian = SparseMap(laplacian, transposed=False)  # it is its own transpose
        self.up = None if up is None else SparseMap(up)
        self.n_vertices = laplacian.shape[0]

    def upsample(self, x: torch.Tensor) -> torch.Tensor:
        """(V_in, n) -> (V, n)"""
        return x if self.up is None else self.up.apply_rows(x)

    def downsample(self, x: torch.Tensor) -> torch.Tensor:
        """(V, n) -> (V_in, n), the transpose."""
        return x if self.up is None else self.up.apply_transposed(x)

    def shares(self, n_batch: int, channels: int, on_gpu: bool) -> int:
        """In how many parts to take a batch."""
        meshes = max(1, self.CACHE // (4 * self.n_vertices * channels))
        return 1 if on_gpu else -(-n_batch // meshes)


class _MixThenPowers:
    """``sum_j L^j U x V_j`` by Horner's rule on the channels that go out; an order as those of `layers`.

    A few meshes at a time, so that the map that L is applied to again and again stays in the cache.
    """

    @staticmethod
    def forward(x, weight, bias, maps: _Upsampled):
        n_coarse, n_batch, c_in = x.shape
        c_out = len(weight)
        mixes = weights_by_step(weight, c_in)
        out = x.new_empty(maps.n_vertices, n_batch * c_out)
        count = maps.shares(n_batch, c_out, x.is_cuda)
        for share, out_share in zip(x.chunk(count, 1), _chunk_batch(out, n_batch, count), strict=True):
            mixed = torch.bmm(share.reshape(-1, c_in).expand(len(mixes), -1, -1), mixes)
            *lower, y = (maps.upsample(part.view(n_coarse, -1)) for part in mixed)
            for part in reversed(lower):
                y = maps.laplacian.apply_rows(y).add_(part)
            torch.add(y, bias.repeat(share.shape[1]), out=out_share)
        return out.view(-1, n_batch, c_out), x

    @staticmethod
    def backward(grad, x, weight, maps: _Upsampled, x_shape, needs_x):
        _, n_batch, c_in = x_shape
        c_out = len(weight)
        mixes = weights_by_step(weight, c_in)
        grad_mixes, grad_x = torch.zeros_like(mixes), []
        count = maps.shares(n_batch, c_out, x.is_cuda)
        for grad_share, share in zip(grad.chunk(count, 1), x.chunk(count, 1), strict=True):
            flat = share.reshape(-1, c_in)
            grad_flat = torch.zeros_like(flat)
            fine = grad_share.reshape(maps.n_vertices, -1).contiguous()
            for mix, grad_mix, power in zip(mixes, grad_mixes, powers(maps.laplacian, fine, len(mixes)), strict=True):
                part = maps.downsample(power).view(-1, c_out)
                grad_mix.addmm_(flat.t(), part)
                if needs_x:
                    grad_flat.addmm_(part, mix.t())
            grad_x.append(grad_flat.view(share.shape))
        return torch.cat(grad_x, 1) if needs_x else None, grad_mixes.permute(2, 0, 1).reshape(weight.shape)


def _chunk_batch(rows: torch.Tensor, n_batch: int, count: int) -> list[torch.Tensor]:
    """Views of (V, B * C) by meshes, as `torch.chunk` cuts (V, B, C)."""
    size = -(-n_batch // count) * (rows.shape[1] // n_batch)
    return list(rows.split(size, 1))


class _MixThenPowersNarrow:
    """The same to few channels, without upsampling: one matrix product for all powers, maps [V, C, B] after it."""

    @staticmethod
    def forward(x, weight, bias, maps: _Upsampled):
        n_vertices, n_batch, c_in = x.shape
        c_out = len(weight)
        flat = x.reshape(-1, c_in)
        mixed = _by_term(weight, c_in) @ flat.t()
        *lower, highest = mixed.view(-1, c_out, n_vertices, n_batch).transpose(1, 2).unbind()  # of [V, C, B]
        out = highest.reshape(n_vertices, -1)
        for part in reversed(lower):
            out = maps.laplacian.apply_rows(out)
            out.view(part.shape).add_(part)
        return out.add_(bias.repeat_interleave(n_batch)).view(highest.shape).transpose(1, 2), flat

    @staticmethod
    def backward(grad, flat, weight, maps: _Upsampled, x_shape, needs_x):
        n_vertices, n_batch, c_out = grad.shape
        c_in = flat.shape[1]
        rows = grad.transpose(1, 2).reshape(n_vertices, -1)
        terms = weight.shape[1] // c_in
        # Rows (vertex, channel) of each power to (power, channel, vertex): far quicker than copying a transpose.
        order = torch.arange(n_vertices * c_out, device=grad.device).view(-1, c_out).t().flatten()
        parts = grad.new_empty(terms, len(order), n_batch)
        for part, power in zip(parts, powers(maps.laplacian, rows, terms), strict=True):
            torch.index_select(power.reshape(-1, n_batch), 0, order, out=part)
        parts = parts.view(terms * c_out, -1)
        grad_weight = (parts @ flat).view(terms, c_out, c_in).transpose(0, 1).reshape(weight.shape)
        return (parts.t() @ _by_term(weight, c_in)).view(x_shape) if needs_x else None, grad_weight


def _by_term(weight: torch.Tensor, c_in: int) -> torch.Tensor:
    """(C_out, K * C_in) -> (K * C_out, C_in)"""
    return weight.view(len(weight), -1, c_in).transpose(0, 1).reshape(-1, c_in)


@register("coma", presets=tuple(PRESETS), training={"optimizer": "sgd", "learning_rate": 8e-3, "weight_decay": 5e-4})
def build(hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> Coma:
    """Convolutional mesh autoencoder with Chebyshev filters (Ranjan et al. 2018)."""
    return Coma(hierarchy, latent, PRESETS[preset])
