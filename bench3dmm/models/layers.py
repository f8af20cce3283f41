"""Spiral convolutions on a fixed mesh, with the work that is really needed.

Feature maps are ``[V, B, C]`` (vertex, mesh of the batch, channel): what is gathered for one vertex is then one
contiguous block of ``B * C`` numbers, and every mesh of the batch shares the index lists.
A spiral convolution with weights ``W_l``, one (C_in, C_out) matrix for each of the L steps of the spiral, is

    y = bias + sum_l  A_l x W_l

where the sparse matrix ``A_l`` (V_out, V_in) picks the l-th vertex of each spiral. Up- and downsampling only act
on vertices, so they are folded into ``A_l``; a padded step is an empty row. Because ``A_l`` acts on vertices
and ``W_l`` on channels, either may go first; `SpiralConv` takes the cheaper order.

A map with fewer than `NARROW` channels (the coordinates) lies in memory as ``[V, C, B]`` under the same logical
shape: a row for a vertex and channel, with the batch innermost, keeps all L steps one wide matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy

NARROW = 8


def spiral_matrices(spirals: np.ndarray, *, dummy: bool = False) -> list[sp.csr_matrix]:
    """The selection matrices of spirals, one a step.

    Args:
        spirals: (V, L) int, vertex ids; -1 is padding.
        dummy: append a column for the dummy vertex, which padding then reads; without it padding reads zero.

    Returns:
        L matrices (V, V) or, with ``dummy``, (V, V + 1).
    """
    n_vertices = len(spirals)
    matrices = []
    for step in np.asarray(spirals).T:
        rows = np.arange(n_vertices) if dummy else np.flatnonzero(step >= 0)
        columns = np.where(step < 0, n_vertices, step)[rows]
        shape = (n_vertices, n_vertices + dummy)
        matrices.append(sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape))
    return matrices


class SparseMap(nn.Module):
    """A constant sparse matrix and its transpose, applied to the rows of a dense matrix.

    `embedding_bag` is a CSR product that is fast on CPU and without atomics (so repeatable) on GPUs.
    """

    def __init__(self, matrix: sp.spmatrix, *, transposed: bool = True) -> None:
        super().__init__()
        sides = {"": matrix.tocsr()} | ({"_t": matrix.T.tocsr()} if transposed else {})
        for side, csr in sides.items():
            csr.sort_indices()
            # Weights that are all one are left out: a pure gather or sum of rows.
            weight = None if (csr.data == 1).all() else torch.from_numpy(csr.data).to(torch.get_default_dtype())
            self.register_buffer(f"index{side}", torch.from_numpy(csr.indices.astype(np.int32)), persistent=False)
            self.register_buffer(f"start{side}", torch.from_numpy(csr.indptr.astype(np.int32)), persistent=False)
            self.register_buffer(f"weight{side}", weight, persistent=False)

    def apply_rows(self, x: torch.Tensor) -> torch.Tensor:
        """(columns, n) -> (rows, n)"""
        return _rows_sum(x, self.index, self.start, self.weight)

    def apply_transposed(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, n) -> (columns, n)"""
        return _rows_sum(x, self.index_t, self.start_t, self.weight_t)


def _rows_sum(x: torch.Tensor, index: torch.Tensor, start: torch.Tensor, weight: torch.Tensor | None):
    return torch.embedding_bag(x, index, start, False, 0, False, weight, True)[0]


# --- the orders --------------------------------------------------------------------------------------------------
# Each has `plan(matrices, c_in, c_out) -> SparseMap`, `forward(x, weight, bias, gather) -> (out, kept)` without
# activation, and `backward(grad, kept, weight, gather, x_shape, needs_x) -> (grad_x or None, grad_weight)`.
# weight is the published (C_out, L * C_in), step-major. Those for a single mesh have no backward.


def weights_by_step(weight: torch.Tensor, c_in: int) -> torch.Tensor:
    """(C_out, L * C_in) -> (L, C_in, C_out), a view."""
    return weight.view(len(weight), -1, c_in).permute(1, 2, 0)


class GatherThenMix:
    """Gather the L steps, then add up L matrix products: where vertices are dropped."""

    @staticmethod
    def plan(matrices: Sequence[sp.spmatrix], c_in: int, c_out: int) -> SparseMap:
        return SparseMap(sp.vstack(matrices, format="csr"))

    @staticmethod
    def forward(x, weight, bias, gather):
        _, n_batch, c_in = x.shape
        by_step = weights_by_step(weight, c_in)
        steps = gather.apply_rows(x.reshape(len(x), -1)).view(len(by_step), -1, c_in)  # [L, V_out * B, C_in]
        return torch.addbmm(bias, steps, by_step).view(-1, n_batch, len(weight)), steps

    @staticmethod
    def backward(grad, steps, weight, gather, x_shape, needs_x):
        _, n_batch, c_out = grad.shape
        length, _, c_in = steps.shape
        by_step = grad.reshape(1, -1, c_out).expand(length, -1, -1)
        grad_weight = torch.bmm(steps.transpose(1, 2), by_step).permute(2, 0, 1).reshape(weight.shape)
        if not needs_x:
            return None, grad_weight
        grad_steps = torch.bmm(by_step, weights_by_step(weight, c_in).transpose(1, 2))
        grad_x = gather.apply_transposed(grad_steps.view(-1, n_batch * c_in))
        return grad_x.view(x_shape), grad_weight


class GatherThenMixNarrow:
    """The same from few channels: all steps in one matrix product with L * C_in columns."""

    @staticmethod
    def plan(matrices: Sequence[sp.spmatrix], c_in: int, c_out: int) -> SparseMap:
        # Row (l, c, v) reads row (u, c).
        blocks = [sp.kron(matrix, np.eye(1, c_in, c), format="csr") for matrix in matrices for c in range(c_in)]
        return SparseMap(sp.vstack(blocks, format="csr"))

    @staticmethod
    def forward(x, weight, bias, gather):
        _, n_batch, _ = x.shape
        rows = x.transpose(1, 2).contiguous().view(-1, n_batch)
        steps = gather.apply_rows(rows).view(weight.shape[1], -1)  # [L * C_in, V_out * B]
        return torch.addmm(bias, steps.t(), weight.t()).view(-1, n_batch, len(weight)), steps

    @staticmethod
    def backward(grad, steps, weight, gather, x_shape, needs_x):
        _, n_batch, c_out = grad.shape
        flat = grad.reshape(-1, c_out)
        grad_weight = (steps @ flat).t()
        if not needs_x:
            return None, grad_weight
        grad_rows = gather.apply_transposed((weight.t() @ flat.t()).view(-1, n_batch))
        v_in, _, c_in = x_shape
        return grad_rows.view(v_in, c_in, n_batch).transpose(1, 2), grad_weight


class MixThenGather:
    """Mix channels on the coarse vertices, then one sparse product that gathers, upsamples and sums."""

    @staticmethod
    def plan(matrices: Sequence[sp.spmatrix], c_in: int, c_out: int) -> SparseMap:
        return SparseMap(sp.hstack(matrices, format="csr"))

    @staticmethod
    def forward(x, weight, bias, gather):
        _, n_batch, c_in = x.shape
        flat, by_step = x.reshape(-1, c_in), weights_by_step(weight, c_in)
        mixed = torch.bmm(flat.expand(len(by_step), -1, -1), by_step)  # [L, V_in * B, C_out]
        out = gather.apply_rows(mixed.view(-1, n_batch * len(weight)))
        return out.view(-1, n_batch, len(weight)).add_(bias), flat

    @staticmethod
    def backward(grad, flat, weight, gather, x_shape, needs_x):
        c_out = grad.shape[2]
        by_step = weights_by_step(weight, flat.shape[1])
        grad_mixed = gather.apply_transposed(grad.reshape(len(grad), -1)).view(len(by_step), -1, c_out)
        grad_weight = torch.bmm(flat.t().expand(len(by_step), -1, -1), grad_mixed)
        grad_weight = grad_weight.permute(2, 0, 1).reshape(weight.shape)
        if not needs_x:
            return None, grad_weight
        grad_x = torch.addbmm(flat.new_zeros(1), grad_mixed, by_step.transpose(1, 2), beta=0)
        return grad_x.view(x_shape), grad_weight


class MixThenGatherNarrow:
    """The same to few channels: one matrix product with L * C_out rows."""

    @staticmethod
    def plan(matrices: Sequence[sp.spmatrix], c_in: int, c_out: int) -> SparseMap:
        # Row (v, c) sums rows (c, l, u).
        steps = sp.hstack(matrices, format="csr")
        rows = sp.block_diag([steps] * c_out, format="csr")
        return SparseMap(rows[np.arange(rows.shape[0]).reshape(c_out, -1).T.ravel()])

    @staticmethod
    def forward(x, weight, bias, gather):
        _, n_batch, c_in = x.shape
        flat = x.reshape(-1, c_in)
        mixed = weight.view(-1, c_in) @ flat.t()  # [C_out * L, V_in * B]
        out = gather.apply_rows(mixed.view(-1, n_batch)).view(-1, len(weight), n_batch)
        return out.add_(bias[:, None]).transpose(1, 2), flat

    @staticmethod
    def backward(grad, flat, weight, gather, x_shape, needs_x):
        n_batch = grad.shape[1]
        grad_rows = grad.transpose(1, 2).contiguous().view(-1, n_batch)
        grad_mixed = gather.apply_transposed(grad_rows).view(-1, len(flat))
        grad_weight = (grad_mixed @ flat).view(weight.shape)
        if not needs_x:
            return None, grad_weight
        return (grad_mixed.t() @ weight.view(-1, x_shape[2])).view(x_shape), grad_weight


class _RowTable(nn.Module):
    """The rows that a matrix of ones picks; an empty row picks the one after the last."""

    def __init__(self, matrix: sp.csr_matrix) -> None:
        super().__init__()
        index = np.full(matrix.shape[0], matrix.shape[1])
        index[np.diff(matrix.indptr) > 0] = matrix.indices
        self.register_buffer("index", torch.from_numpy(index), persistent=False)


class GatherThenMixSingle:
    """The same for one mesh, without gradient: a spiral's steps lie side by side, ready for one matrix product."""

    @staticmethod
    def plan(matrices: Sequence[sp.spmatrix], c_in: int, c_out: int) -> _RowTable:
        rows = sp.vstack(matrices, format="csr")
        return _RowTable(rows[np.arange(rows.shape[0]).reshape(len(matrices), -1).T.ravel()])

    @staticmethod
    def forward(x, weight, bias, table):
        padded = F.pad(x.reshape(len(x), -1), (0, 0, 0, 1))
        steps = padded.index_select(0, table.index).view(-1, weight.shape[1])  # [V_out, L * C_in]
        return torch.addmm(bias, steps, weight.t()).unsqueeze(1), None


class MixThenGatherSingle:
    """The same for one mesh, without gradient."""

    @staticmethod
    def plan(matrices: Sequence[sp.spmatrix], c_in: int, c_out: int) -> SparseMap:
        columns = sp.hstack(matrices, format="csc")
        order = np.arange(columns.shape[1]).reshape(len(matrices), -1).T.ravel()
        return SparseMap(columns[:, order], transposed=False)

    @staticmethod
    def forward(x, weight, bias, gather):
        c_in = x.shape[2]
        wide = weight.view(len(weight), -1, c_in).transpose(0, 1).reshape(-1, c_in)
        mixed = x.reshape(-1, c_in) @ wide.t()  # [V_in, L * C_out]
        return gather.apply_rows(mixed.view(-1, len(weight))).add_(bias).unsqueeze(1), None


class Elu:
    """In place, and its gradient from its result."""

    @staticmethod
    def forward(out: torch.Tensor) -> torch.Tensor:
        return elu_(out)

    @staticmethod
    def backward(grad: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, out)


class Relu:
    """In place, and its gradient from its result."""

    @staticmethod
    def forward(out: torch.Tensor) -> torch.Tensor:
        return out.relu_()

    @staticmethod
    def backward(grad: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.threshold_backward(grad, out, 0)


def convolve(x, weight, bias, order, gather: nn.Module, activation: type[Elu] | type[Relu] | None) -> torch.Tensor:
    """[V_in, B, C_in] -> [V_out, B, C_out] in one of the orders, with an activation or nothing after it."""
    if torch.is_grad_enabled():
        return _Convolution.apply(x, weight, bias, order, gather, activation)
    out, _ = order.forward(x, weight, bias, gather)
    return activation.forward(out) if activation else out


class _Convolution(torch.autograd.Function):
    """One of the orders, with an activation or nothing after it."""

    @staticmethod
    def forward(ctx, x, weight, bias, order, gather: nn.Module, activation):
        out, kept = order.forward(x, weight, bias, gather)
        if activation:
            activation.forward(out)
        ctx.save_for_backward(kept, weight, out if activation else None)
        ctx.order, ctx.gather, ctx.activation, ctx.shape = order, gather, activation, x.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        kept, weight, out = ctx.saved_tensors
        if ctx.activation:
            grad = ctx.activation.backward(grad, out)
        needs_x, _, needs_bias, *_ = ctx.needs_input_grad
        grad_x, grad_weight = ctx.order.backward(grad, kept, weight, ctx.gather, ctx.shape, needs_x)
        return grad_x, grad_weight, grad.sum((0, 1)) if needs_bias else None, None, None, None


def elu_(x: torch.Tensor) -> torch.Tensor:
    """ELU in place. On large maps on CPU as max(x, exp(min(x, 0)) - 1): to rounding the same, faster than expm1."""
    if x.is_cuda or x.numel() < 8192:
        return F.elu(x, inplace=True)
    return torch.maximum(x, x.clamp(max=0).exp_().sub_(1), out=x)


class SpiralConv(nn.Module):
    """Spiral convolution from V_in to V_out vertices (Neural3DMM, section 3.1), followed by ELU or nothing.

    The trained parameters are those of the published layer: ``linear.weight`` (C_out, L * C_in), step-major,
    and ``linear.bias`` (C_out,).

    Args:
        c_in, c_out: channels.
        matrices: L sparse matrices (V_out, V_in); row v of the l-th reads the l-th vertex of v's spiral.
        elu: apply ELU to the result.
    """

    def __init__(self, c_in: int, c_out: int, matrices: Sequence[sp.spmatrix], *, elu: bool = True) -> None:
        super().__init__()
        self.v_out, self.v_in = matrices[0].shape
        self.length = len(matrices)
        self.nonzeros = sum(matrix.nnz for matrix in matrices)
        self.elu = elu
        self.linear = nn.Linear(len(matrices) * c_in, c_out)
        selects = all((matrix.getnnz(axis=1) <= 1).all() and (matrix.data == 1).all() for matrix in matrices)
        fewer_out = self.v_in == self.v_out and c_out < c_in
        self.mix_first = self.v_in < self.v_out or fewer_out or not selects
        if self.mix_first:
            narrow = c_out < NARROW
            self.order = MixThenGatherNarrow if narrow else MixThenGather
            self.single_order = MixThenGatherSingle if narrow else None
        else:
            self.order = GatherThenMixNarrow if c_in < NARROW else GatherThenMix
            self.single_order = GatherThenMixSingle
        self.gather = self.order.plan(matrices, c_in, c_out)
        self.single_gather = self.single_order and self.single_order.plan(matrices, c_in, c_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[V_in, B, C_in] -> [V_out, B, C_out]"""
        weight, bias = self.linear.weight, self.linear.bias
        order, gather = self.order, self.gather
        if self.single_order and x.shape[1] == 1 and not torch.is_grad_enabled():
            order, gather = self.single_order, self.single_gather
        return convolve(x, weight, bias, order, gather, Elu if self.elu else None)


class ConvAutoencoder(nn.Module):
    """Convolutions down a hierarchy, a fully connected layer to the code, another one back, and convolutions up.

    Args:
        encoder, decoder: the convolutions in their order. Each is made when it is asked for, so that initial weights
            are drawn in the order encoder, fully connected layers, decoder.
        latent: size d of the code.
        n_coarsest, channels: of the maps that the fully connected layers read and write.
        activation: after both fully connected layers.
    """

    batch_innermost = True  # in the memory of the meshes it is given; others are copied

    def __init__(
        self,
        encoder: Iterable[nn.Module],
        decoder: Iterable[nn.Module],
        latent: int,
        n_coarsest: int,
        channels: int,
        activation: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.n_coarsest, self.channels, self.activation = n_coarsest, channels, activation
        self.encoder_convs = nn.ModuleList(encoder)
        self.encoder_fc = nn.Linear(n_coarsest * channels, latent)
        self.decoder_fc = nn.Linear(latent, n_coarsest * channels)
        self.decoder_convs = nn.ModuleList(decoder)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised meshes (B, V, 3) -> codes (B, d)."""
        x = vertex_major(x)
        for conv in self.encoder_convs:
            x = conv(x)
        z = self.to_code(x.transpose(0, 1).reshape(x.shape[1], -1))
        return self.activation(z) if self.activation else z

    def to_code(self, x: torch.Tensor) -> torch.Tensor:
        """The coarsest map (B, vertices * channels) -> (B, d), before the activation."""
        return self.encoder_fc(x)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Codes (B, d) -> normalised meshes (B, V, 3)."""
        x = self.decoder_fc(z)
        if self.activation:
            x = self.activation(x)
        x = x.view(len(z), self.n_coarsest, self.channels).transpose(0, 1).contiguous()
        for conv in self.decoder_convs:
            x = conv(x)
        return x.transpose(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def check_depth(hierarchy: Hierarchy, depth: int) -> None:
    """Raises ValueError for a hierarchy that has not one level more than a model has downsamplings."""
    if len(hierarchy.levels) != depth + 1:
        raise ValueError(f"this preset needs {depth + 1} levels, the hierarchy has {len(hierarchy.levels)}")


def vertex_major(x: torch.Tensor) -> torch.Tensor:
    """Meshes (B, V, 3) -> [V, B, 3], in memory [V, 3, B] as narrow maps are."""
    rows = x.flatten(1).t().contiguous()
    return rows.view(-1, x.shape[2], len(x)).transpose(1, 2)
