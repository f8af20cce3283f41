"""Neural3DMM: a spiral-convolution autoencoder (Bouritsas et al., ICCV 2019; the replicated paper's section 3).

**The dummy vertex.** The published model carries one more vertex than the mesh has; padded spiral steps read it.
It is zero in the input, reset to zero after each convolution, and up- and downsampling map it onto itself. So:

- every convolution but one reads zeros where a spiral is padded: here those steps are left out;
- the encoder's fully connected layer has weights for the coarsest dummy vertex. They always multiply zero; they
  exist here too, because they are counted, initialised and decayed;
- the decoder's fully connected layer *outputs* features for it, nothing resets them, and upsampling hands them
  on: the padded steps of the decoder's **first** convolution read these learned, code-dependent features.
  That is reproduced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from bench3dmm.models.layers import ConvAutoencoder, SpiralConv, check_depth, spiral_matrices
from bench3dmm.models.registry import register

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy


@dataclass(frozen=True)
class _Preset:
    """Channels and spirals; the hierarchy has one level more than the encoder has filters.

    Attributes:
        encoder: output channels of the convolution at level 0, 1, …
        decoder: output channels of the convolution after each upsampling, coarsest first.
        final: channels of one more convolution on the full mesh, or None if the last of `decoder` are coordinates.
        hops, dilation: of the spirals at each level, finest first.
    """

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    final: int | None
    hops: tuple[int, ...]
    dilation: tuple[int, ...]


PRESETS = {
    # As the published text describes it.
    "paper": _Preset((16, 16, 16, 32), (32, 16, 16, 3), None, (1, 1, 1, 1, 1), (1, 1, 1, 1, 1)),
    # As the released notebook sets it.
    "release": _Preset((16, 32, 64, 128), (64, 32, 32, 16), 3, (2, 2, 1, 1, 1), (2, 2, 1, 1, 1)),
}


class Neural3DMM(ConvAutoencoder):
    """The autoencoder on one hierarchy.

    Args:
        hierarchy: five levels, finest first.
        latent: size d of the code.
        preset: channels and spirals.

    Raises:
        ValueError: for a hierarchy with another number of levels.
    """

    def __init__(self, hierarchy: Hierarchy, latent: int, preset: _Preset) -> None:
        depth = len(preset.encoder)
        check_depth(hierarchy, depth)
        spirals = [hierarchy.spirals(i, preset.hops[i], preset.dilation[i]) for i in range(depth)]
        encoder, decoder = _encoder(hierarchy, spirals, preset), _decoder(hierarchy, spirals, preset)
        super().__init__(encoder, decoder, latent, hierarchy.sizes[-1] + 1, preset.encoder[-1])

    def to_code(self, x: torch.Tensor) -> torch.Tensor:
        # The dummy vertex comes last and is zero: its weights take no part.
        return F.linear(x, self.encoder_fc.weight[:, : x.shape[1]], self.encoder_fc.bias)


def _encoder(hierarchy: Hierarchy, spirals: list[np.ndarray], preset: _Preset) -> Iterator[SpiralConv]:
    for level, (c_in, c_out) in enumerate(pairwise((3, *preset.encoder))):
        # Downsampling only picks vertices, so the others are never convolved.
        matrices = [matrix[hierarchy.kept[level]] for matrix in spiral_matrices(spirals[level])]
        yield SpiralConv(c_in, c_out, matrices)


def _decoder(hierarchy: Hierarchy, spirals: list[np.ndarray], preset: _Preset) -> Iterator[SpiralConv]:
    coarsest = len(spirals) - 1
    channels = pairwise((preset.encoder[-1], *preset.decoder))
    for level, (c_in, c_out) in zip(range(coarsest, -1, -1), channels, strict=True):
        up = hierarchy.upsampling(level)
        if level == coarsest:
            up = sp.block_diag([up, [[1.0]]], format="csr")
        matrices = [matrix @ up for matrix in spiral_matrices(spirals[level], dummy=level == coarsest)]
        yield SpiralConv(c_in, c_out, matrices, elu=level > 0 or preset.final is not None)
    if preset.final is not None:
        yield SpiralConv(preset.decoder[-1], preset.final, spiral_matrices(spirals[0]), elu=False)


@register("neural3dmm", presets=tuple(PRESETS))
def build(hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> Neural3DMM:
    """Spiral-convolution autoencoder (Bouritsas et al. 2019)."""
    return Neural3DMM(hierarchy, latent, PRESETS[preset])
