"""The orders in which a convolution may be computed: channels mixed first or vertices gathered first.

Each has ``plan(matrices, c_in, c_out)``, which gives the map of vertices, ``forward(x, weight, bias, gather) -> (out,
kept)`` without activation, and ``backward(grad, kept, weight, gather, x_shape, needs_x) -> (grad_x or None,
grad_weight)``. weight is the published (C_out, L * C_in), step-major. Those for a single mesh have no backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

NARROW = 8  # channels


class Order(Protocol):
    """A class that is never instantiated. Those with a gradient have ``backward`` besides, as said above."""

    @staticmethod
    def forward(
        x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, gather: Any, /
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[V_in, B, C_in] -> [V_out, B, C_out], and what the gradient needs."""


class SparseMap(nn.Module):
    """A constant sparse matrix and its transpose, applied to the rows of a dense matrix.

    `embedding_bag` is a CSR product that is fast on CPU and without atomics (so repeatable) on GPUs.
    """

    index: torch.Tensor
    start: torch.Tensor
    weight: torch.Tensor | None
    index_t: torch.Tensor
    start_t: torch.Tensor
    weight_t: torch.Tensor | None

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

    index: torch.Tensor

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


SpiralOrder = type[GatherThenMix] | type[GatherThenMixNarrow] | type[MixThenGather] | type[MixThenGatherNarrow]
SingleOrder = type[GatherThenMixSingle] | type[MixThenGatherSingle]
