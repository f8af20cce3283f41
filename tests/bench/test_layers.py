"""The work of a layer, and the least time that it takes."""

from __future__ import annotations

import numpy as np
from bench_cases import MACHINE

from bench3dmm.bench.layers import Work, conv_work
from bench3dmm.models.layers import SpiralConv, spiral_matrices


def test_floor_is_the_slower_of_arithmetic_and_memory():
    assert Work(2e11, 1e9).floor(MACHINE) == 2
    assert Work(1e9, 5e10).floor(MACHINE) == 5


def test_work_of_a_convolution_counts_products_maps_and_tables():
    table = np.array([[0, 1, 2], [1, 2, -1], [2, 0, 1], [3, 0, -1]])
    kept = [matrix[[0, 1]] for matrix in spiral_matrices(table)]
    conv = SpiralConv(16, 8, kept)
    assert not conv.mix_first and conv.nonzeros == 5
    products = 2 * 2 * 10 * 48 * 8
    maps = 4 * 10 * (4 * 16 + 2 * 8)
    assert conv_work(conv, 10, training=False) == Work(products, maps + 8 * 5)
    assert conv_work(conv, 10, training=True) == Work(3 * products, 3 * maps + 2 * 8 * 5)
    assert conv_work(conv, 10, training=True, first=True).flops == 2 * products

    mixing = SpiralConv(16, 8, [matrix.T for matrix in kept])
    assert mixing.mix_first
    mixed = 2 * 2 * 10 * 48 * 8 + 2 * 5 * 10 * 8
    assert conv_work(mixing, 10, training=False).flops == mixed
    assert conv_work(mixing, 10, training=True).flops == 2 * mixed + 2 * 2 * 10 * 48 * 8
