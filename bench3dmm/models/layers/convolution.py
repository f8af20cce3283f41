"""A convolution in one of the orders, with its gradient and its activation; and the spiral convolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from bench3dmm.models.layers.orders import (
    NARROW,
    GatherThenMix,
    GatherThenMixNarrow,
    GatherThenMixSingle,
    MixThenGather,
    MixThenGatherNarrow,
    MixThenGatherSingle,
    Order,
    SingleOrder,
    SpiralOrder,
)


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


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    order: type[Order],
    gather: nn.Module,
    activation: type[Elu] | type[Relu] | None,
) -> torch.Tensor:
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
        self.order: SpiralOrder
        self.single_order: SingleOrder | None
        if self.mix_first:
            narrow = c_out < NARROW
            self.order = MixThenGatherNarrow if narrow else MixThenGather
            self.single_order = MixThenGatherSingle if narrow else None
        else:
            self.order = GatherThenMixNarrow if c_in < NARROW else GatherThenMix
            self.single_order = GatherThenMixSingle
        self.gather = self.order.plan(matrices, c_in, c_out)
        self.single_gather = self.single_order.plan(matrices, c_in, c_out) if self.single_order else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[V_in, B, C_in] -> [V_out, B, C_out]"""
        weight, bias = self.linear.weight, self.linear.bias
        activation = Elu if self.elu else None
        if self.single_order and self.single_gather and x.shape[1] == 1 and not torch.is_grad_enabled():
            return convolve(x, weight, bias, self.single_order, self.single_gather, activation)
        return convolve(x, weight, bias, self.order, self.gather, activation)


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
