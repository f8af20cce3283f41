"""Spiral convolutions on a fixed mesh, in vertex-major layout.

Feature maps are ``[V, B, C]`` (vertex, mesh of the batch, channel): what is gathered for one vertex is then one
contiguous block of ``B * C`` numbers, and every mesh of the batch shares the index lists.
A spiral convolution with weights ``W_l``, one (C_in, C_out) matrix for each of the L steps of the spiral, is

    y = bias + sum_l  A_l x W_l

where the sparse matrix ``A_l`` (V_out, V_in) picks the l-th vertex of each spiral. Up- and downsampling only act
on vertices, so they are folded into ``A_l``; a padded step is an empty row. Because ``A_l`` acts on vertices
and ``W_l`` on channels, either may go first; `SpiralConv` takes the cheaper order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable


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


class _SparseMap(nn.Module):
    """A constant sparse matrix and its transpose, applied to the rows of a dense matrix.

    `embedding_bag` is a CSR product that is fast on CPU and without atomics (so repeatable) on GPUs.
    """

    def __init__(self, matrix: sp.spmatrix) -> None:
        super().__init__()
        self.shape = matrix.shape
        for side, csr in (("", matrix.tocsr()), ("_t", matrix.T.tocsr())):
            csr.sort_indices()
            # Weights that are all one are left out: a pure gather or sum of rows.
            weight = None if (csr.data == 1).all() else torch.from_numpy(csr.data).to(torch.get_default_dtype())
            self.register_buffer(f"index{side}", torch.from_numpy(csr.indices.astype(np.int64)), persistent=False)
            self.register_buffer(f"start{side}", torch.from_numpy(csr.indptr.astype(np.int64)), persistent=False)
            self.register_buffer(f"weight{side}", weight, persistent=False)

    def apply_rows(self, x: torch.Tensor) -> torch.Tensor:
        return _rows_sum(x, self.index, self.start, self.weight)

    def apply_transposed(self, x: torch.Tensor) -> torch.Tensor:
        return _rows_sum(x, self.index_t, self.start_t, self.weight_t)


def _rows_sum(x: torch.Tensor, index: torch.Tensor, start: torch.Tensor, weight: torch.Tensor | None):
    return F.embedding_bag(index, x, start, mode="sum", per_sample_weights=weight, include_last_offset=True)


class _GatherThenMix(torch.autograd.Function):
    """Gather the L spiral steps, then one GEMM a step: cheapest where vertices are dropped."""

    @staticmethod
    def forward(ctx, x, weight, bias, gather: _SparseMap):
        n_batch, c_in = x.shape[1:]
        length, _, c_out = weight.shape
        steps = gather.apply_rows(x.reshape(len(x), -1)).view(length, -1, c_in)  # [L, V_out * B, C_in]
        out = bias.repeat(steps.shape[1] // n_batch, n_batch, 1)
        flat_out = out.view(-1, c_out)
        for step, matrix in zip(steps, weight, strict=True):
            flat_out.addmm_(step, matrix)
        ctx.save_for_backward(steps, weight)
        ctx.gather, ctx.shape = gather, x.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        steps, weight = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])  # [V_out * B, C_out]
        grad_weight = torch.stack([step.T @ grad for step in steps])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_steps = torch.empty_like(steps)
            for out, matrix in zip(grad_steps, weight, strict=True):
                torch.mm(grad, matrix.T, out=out)
            n_batch, c_in = ctx.shape[1:]
            grad_x = ctx.gather.apply_transposed(grad_steps.view(-1, n_batch * c_in)).view(ctx.shape)
        return grad_x, grad_weight, grad.sum(0), None


NARROW = 8  # below so many output channels, one wide GEMM and a transposed copy beat one narrow GEMM a step


def _mix(flat: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """flat (N, C_in), weight (L, C_in, C_out) -> the L products (L, N, C_out)."""
    length, c_in, c_out = weight.shape
    if c_out < NARROW:
        wide = flat @ weight.transpose(0, 1).reshape(c_in, -1)
        return wide.view(-1, length, c_out).transpose(0, 1).contiguous()
    mixed = flat.new_empty(length, len(flat), c_out)
    for out, matrix in zip(mixed, weight, strict=True):
        torch.mm(flat, matrix, out=out)
    return mixed


def _mix_backward(
    grad: torch.Tensor, flat: torch.Tensor, weight: torch.Tensor, needs_flat: bool
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Gradients of `_mix` for flat (None if not needed) and weight, from grad (L, N, C_out)."""
    length, c_in, c_out = weight.shape
    if c_out < NARROW:
        wide = grad.transpose(0, 1).reshape(len(flat), -1)
        grad_weight = (flat.T @ wide).view(c_in, length, c_out).transpose(0, 1)
        return (wide @ weight.transpose(1, 2).reshape(-1, c_in) if needs_flat else None), grad_weight
    grad_weight = torch.stack([flat.T @ step for step in grad])
    if not needs_flat:
        return None, grad_weight
    grad_flat = torch.zeros_like(flat)
    for step, matrix in zip(grad, weight, strict=True):
        grad_flat.addmm_(step, matrix.T)
    return grad_flat, grad_weight


class _MixThenGather(torch.autograd.Function):
    """Mix channels on the coarse vertices, then one sparse product that gathers, upsamples and sums."""

    @staticmethod
    def forward(ctx, x, weight, bias, gather: _SparseMap):
        n_batch, c_in = x.shape[1:]
        c_out = weight.shape[2]
        flat = x.reshape(-1, c_in)  # [V_in * B, C_in]
        mixed = _mix(flat, weight)
        ctx.save_for_backward(flat, weight)
        ctx.gather, ctx.shape = gather, x.shape
        out = gather.apply_rows(mixed.view(-1, n_batch * c_out)).view(-1, n_batch, c_out)
        return out + bias

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        flat, weight = ctx.saved_tensors
        grad = grad.contiguous()
        grad_mixed = ctx.gather.apply_transposed(grad.view(len(grad), -1)).view(len(weight), len(flat), -1)
        grad_flat, grad_weight = _mix_backward(grad_mixed, flat, weight, ctx.needs_input_grad[0])
        grad_x = None if grad_flat is None else grad_flat.view(ctx.shape)
        return grad_x, grad_weight, grad.sum((0, 1)), None


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
        v_out, v_in = matrices[0].shape
        self.elu = elu
        self.linear = nn.Linear(len(matrices) * c_in, c_out)
        self.mix_first = v_in < v_out or (v_in == v_out and c_out < c_in)
        self.gather = _SparseMap((sp.hstack if self.mix_first else sp.vstack)(matrices, format="csr"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[V_in, B, C_in] -> [V_out, B, C_out]"""
        c_in = x.shape[-1]
        weight = self.linear.weight.view(self.linear.out_features, -1, c_in).permute(1, 2, 0)
        convolve = _MixThenGather if self.mix_first else _GatherThenMix
        out = convolve.apply(x, weight.contiguous(), self.linear.bias, self.gather)
        return F.elu(out, inplace=True) if self.elu else out
