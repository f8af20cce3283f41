"""The ELU of a convolution, in place."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bench3dmm.models.layers import elu_


@pytest.mark.parametrize("count", [64, 8191, 8192, 32768, 100_003])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-7), (torch.float64, 5e-16)], ids=str)
def test_elu_in_place(count, dtype, tolerance):
    special = [0.0, -0.0, -1e-30, -1e-12, -1e-9, -1e-4, 1e-30, 1e-9, -80, -1e4, -1e30, 1e4, 1e30, -torch.inf, torch.inf]
    x = torch.cat([torch.tensor(special, dtype=dtype), torch.linspace(-12, 12, count - len(special), dtype=dtype)])
    expected = F.elu(x)
    out = elu_(x)
    assert out.data_ptr() == x.data_ptr()
    torch.testing.assert_close(x, expected, rtol=0, atol=tolerance)
    assert torch.equal(x[expected > 0], expected[expected > 0])
    assert (x >= -1).all()


def test_elu_in_place_keeps_the_memory_layout():
    x = torch.randn(50, 3, 400).transpose(1, 2)
    expected, strides = F.elu(x), x.stride()
    torch.testing.assert_close(elu_(x), expected, rtol=0, atol=1e-7)
    assert x.stride() == strides


def test_elu_shows_what_is_not_a_number():
    assert elu_(torch.full((40_000,), torch.nan)).isnan().all()
