"""The orders of operations of a convolution: each is the sum over steps, and so are its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from oracle_checks import built

from bench3dmm.models import layers
from bench3dmm.models.layers import SpiralConv


def selections(length, v_out, v_in, seed=0):
    """One vertex or none for each row, as spirals select them."""
    rng = np.random.default_rng(seed)
    matrices = rng.integers(0, v_in, (length, v_out))[..., None] == np.arange(v_in)
    matrices &= rng.random((length, v_out, 1)) < 0.7
    return [sp.csr_matrix(matrix.astype(float)) for matrix in matrices]


def interpolations(length, v_out, v_in, seed=0):
    """Any weights in a row, and some rows empty."""
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=(length, v_out, v_in)) * (rng.random((length, v_out, v_in)) < 0.4)
    matrices[rng.random((length, v_out)) < 0.3] = 0
    return [sp.csr_matrix(matrix) for matrix in matrices]


def literal(x, weight, bias, matrices):
    """bias + sum_l A_l x W_l, mesh by mesh and step by step."""
    c_in = x.shape[2]
    out = []
    for mesh in x.unbind(1):
        y = bias
        for step, matrix in enumerate(matrices):
            y = y + torch.from_numpy(matrix.toarray()) @ mesh @ weight[:, step * c_in : (step + 1) * c_in].t()
        out.append(y)
    return torch.stack(out, dim=1)


LENGTH = 4


GATHER_FIRST = [layers.GatherThenMix, layers.GatherThenMixNarrow]


MIX_FIRST = [layers.MixThenGather, layers.MixThenGatherNarrow]


CASES = [
    *((order, selections) for order in (*GATHER_FIRST, layers.GatherThenMixSingle)),
    *((order, interpolations) for order in (*GATHER_FIRST, *MIX_FIRST, layers.MixThenGatherSingle)),
    *((order, selections) for order in (*MIX_FIRST, layers.MixThenGatherSingle)),
]


def convolution_inputs(matrices, count, c_in, c_out, *, batch_innermost=False):
    """Random x [V_in, B, C_in], weight, bias, and a gradient of the result; in either memory layout."""
    v_out, v_in = matrices[0].shape
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def features(vertices, channels):
        if batch_innermost:
            return random(vertices, channels, count).transpose(1, 2)
        return random(vertices, count, channels)

    return features(v_in, c_in), random(c_out, len(matrices) * c_in), random(c_out), features(v_out, c_out)


@pytest.mark.parametrize("shape", [(11, 7), (7, 11), (9, 9)], ids=str)
@pytest.mark.parametrize(("order", "kind"), CASES, ids=lambda value: value.__name__)
def test_every_order_is_the_sum_over_steps(order, kind, shape):
    matrices = kind(LENGTH, *shape)
    rows = sp.vstack(matrices)
    assert (np.diff(rows.tocsr().indptr) == 0).any(), "no empty row is tested"
    assert kind is selections or (rows.data != 1).all()
    for count in (1,) if "Single" in order.__name__ else (1, 2, 5):
        for c_in, c_out in ((3, 5), (5, 3), (1, 1), (9, 10)):
            for batch_innermost in (False, True):
                inputs = convolution_inputs(matrices, count, c_in, c_out, batch_innermost=batch_innermost)
                check_order(order, matrices, *inputs)


def check_order(order, matrices, x, weight, bias, grad):
    gather = built(lambda: order.plan(matrices, x.shape[2], len(weight)), torch.float64)
    given = [tensor.clone() for tensor in (x, weight, bias, grad)]
    out, kept = order.forward(x, weight, bias, gather)
    x_slow, weight_slow = x.clone().requires_grad_(), weight.clone().requires_grad_()
    expected = literal(x_slow, weight_slow, bias, matrices)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(out, expected, **close)
    if "Single" not in order.__name__:
        expected_x, expected_weight = torch.autograd.grad(expected, [x_slow, weight_slow], grad)
        grad_x, grad_weight = order.backward(grad, kept, weight, gather, x.shape, True)
        torch.testing.assert_close(grad_x, expected_x, **close)
        torch.testing.assert_close(grad_weight, expected_weight, **close)
        nothing, grad_weight = order.backward(grad, kept, weight, gather, x.shape, False)
        assert nothing is None
        torch.testing.assert_close(grad_weight, expected_weight, **close)
    for tensor, before in zip((x, weight, bias, grad), given, strict=True):
        assert torch.equal(tensor, before), "an input was overwritten"


# Order, V_out, V_in, C_in, C_out: what makes a SpiralConv choose it.
CHOICES = [
    (layers.GatherThenMix, 4, 6, 8, 2),
    (layers.GatherThenMix, 5, 5, 8, 8),
    (layers.GatherThenMixNarrow, 4, 6, 3, 8),
    (layers.MixThenGather, 6, 4, 2, 8),
    (layers.MixThenGather, 5, 5, 9, 8),
    (layers.MixThenGatherNarrow, 6, 4, 8, 3),
]


@pytest.mark.parametrize("elu", [True, False], ids=["elu", "linear"])
@pytest.mark.parametrize(("order", "v_out", "v_in", "c_in", "c_out"), CHOICES)
def test_gradients_are_those_of_finite_differences(order, v_out, v_in, c_in, c_out, elu):
    kind = interpolations if v_in < v_out else selections
    matrices = kind(3, v_out, v_in)
    conv = built(lambda: SpiralConv(c_in, c_out, matrices, elu=elu), torch.float64)
    assert conv.order is order

    def convolve(x, weight, bias):
        return torch.func.functional_call(conv, {"linear.weight": weight, "linear.bias": bias}, (x,))

    for batch_innermost in (False, True):
        x, weight, bias, _ = convolution_inputs(matrices, 2, c_in, c_out, batch_innermost=batch_innermost)
        expected = literal(x, weight, bias, matrices)
        assert (expected < 0).any() and (expected > 0).any()
        torch.testing.assert_close(
            convolve(x, weight, bias), F.elu(expected) if elu else expected, rtol=1e-12, atol=1e-12
        )
        assert torch.autograd.gradcheck(convolve, [tensor.requires_grad_() for tensor in (x, weight, bias)])


def test_frozen_input_gets_no_gradient_and_frozen_weights_none_either():
    matrices = selections(3, 4, 6)
    conv = SpiralConv(3, 8, matrices)
    x = torch.randn(6, 2, 3)
    conv(x).sum().backward()
    assert x.grad is None and conv.linear.weight.grad.abs().max() > 0
    conv.requires_grad_(False)
    x.requires_grad_()
    conv.zero_grad()
    conv(x).sum().backward()
    assert x.grad.abs().max() > 0 and conv.linear.weight.grad is None and conv.linear.bias.grad is None
