"""Convolutions on a fixed mesh, with the work that is really needed.

Feature maps are ``[V, B, C]`` (vertex, mesh of the batch, channel): what is gathered for one vertex is then one
contiguous block of ``B * C`` numbers, and every mesh of the batch shares the index lists.
A spiral convolution with weights ``W_l``, one (C_in, C_out) matrix for each of the L steps of the spiral, is

    y = bias + sum_l  A_l x W_l

where the sparse matrix ``A_l`` (V_out, V_in) picks the l-th vertex of each spiral. Up- and downsampling only act
on vertices, so they are folded into ``A_l``; a padded step is an empty row. Because ``A_l`` acts on vertices
and ``W_l`` on channels, either may go first; `SpiralConv` takes the cheaper order.

A map with fewer than `NARROW` channels (the coordinates) lies in memory as ``[V, C, B]`` under the same logical
shape: a row for a vertex and channel, with the batch innermost, keeps all L steps one wide matrix product.

Who lives here: `orders`, what is computed before what; `convolution`, the layer made of one; `autoencoder`, what is
common to the models that go down a hierarchy and up again.
"""

from bench3dmm.models.layers.autoencoder import Channels, ConvAutoencoder, SpiralConvs, initialise
from bench3dmm.models.layers.convolution import Relu, SpiralConv, convolve, elu_, spiral_matrices
from bench3dmm.models.layers.orders import (
    NARROW,
    GatherThenMix,
    GatherThenMixNarrow,
    GatherThenMixSingle,
    MixThenGather,
    MixThenGatherNarrow,
    MixThenGatherSingle,
    Order,
    SparseMap,
    weights_by_step,
)

__all__ = [
    "NARROW",
    "Channels",
    "ConvAutoencoder",
    "GatherThenMix",
    "GatherThenMixNarrow",
    "GatherThenMixSingle",
    "MixThenGather",
    "MixThenGatherNarrow",
    "MixThenGatherSingle",
    "Order",
    "Relu",
    "SparseMap",
    "SpiralConv",
    "SpiralConvs",
    "convolve",
    "elu_",
    "initialise",
    "spiral_matrices",
    "weights_by_step",
]
