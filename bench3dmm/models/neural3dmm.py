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

from dataclasses import dataclass
from typing import TYPE_CHECKING

import scipy.sparse as sp
import torch
import torch.nn.functional as F

from bench3dmm.models.layers import Channels, ConvAutoencoder, SpiralConv, SpiralConvs, spiral_matrices
from bench3dmm.models.registry import register

if TYPE_CHECKING:
    import numpy as np

    from bench3dmm.mesh.hierarchy import Hierarchy


@dataclass(frozen=True)
class _Preset(Channels):
    """Channels and spirals.

    Attributes:
        hops, dilation: of the spirals at each level, finest first.
    """

    hops: tuple[int, ...]
    dilation: tuple[int, ...]


PRESETS = {
    # As the published text describes it.
    "paper": _Preset((16, 16, 16, 32), (32, 16, 16, 3), None, (1, 1, 1, 1, 1), (1, 1, 1, 1, 1)),
    # As the released notebook sets it.
    "release": _Preset((16, 32, 64, 128), (64, 32, 32, 16), 3, (2, 2, 1, 1, 1), (2, 2, 1, 1, 1)),
}


class Neural3DMM(ConvAutoencoder):
    """The autoencoder on one hierarchy. Raises MeshError for one without five levels."""

    def __init__(self, hierarchy: Hierarchy, latent: int, preset: _Preset) -> None:
        depth = len(preset.levels(hierarchy))
        spirals = [hierarchy.spirals(i, preset.hops[i], preset.dilation[i]) for i in range(depth)]
        super().__init__(preset, _WithDummy(hierarchy, spirals), latent, hierarchy.sizes[-1] + 1)

    def to_code(self, x: torch.Tensor) -> torch.Tensor:
        # The dummy vertex comes last and is zero: its weights take no part.
        return F.linear(x, self.encoder_fc.weight[:, : x.shape[1]], self.encoder_fc.bias)


class _WithDummy(SpiralConvs):
    """Upsampling from the coarsest level hands on the dummy vertex, and the padded steps after it read that."""

    def __init__(self, hierarchy: Hierarchy, spirals: list[np.ndarray]) -> None:
        super().__init__(hierarchy, spirals)
        self.coarsest_spirals = spirals[-1]

    def up(self, level: int, c_in: int, c_out: int, *, last: bool) -> SpiralConv:
        if level < len(self.steps) - 1:
            return super().up(level, c_in, c_out, last=last)
        up = sp.block_diag([self.hierarchy.upsampling(level), [[1.0]]], format="csr")
        steps = spiral_matrices(self.coarsest_spirals, dummy=True)
        return SpiralConv(c_in, c_out, [step @ up for step in steps], elu=not last)


@register("neural3dmm", presets=tuple(PRESETS))
def build(hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> Neural3DMM:
    """Spiral-convolution autoencoder (Bouritsas et al. 2019)."""
    return Neural3DMM(hierarchy, latent, PRESETS[preset])
