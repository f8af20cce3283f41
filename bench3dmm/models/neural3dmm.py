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
from torch import nn

from bench3dmm.models import register
from bench3dmm.models.layers import SpiralConv, check_depth, spiral_matrices, vertex_major

if TYPE_CHECKING:
    from bench3dmm.mesh.coarsen import Hierarchy


@dataclass(frozen=True)
class _Preset:
    """Channels and spirals; the hierarchy has one level more than the encoder has filters.

    Attributes:
        encoder: output channels of the convolution at level 0, 1, …
        bottleneck: channels of the decoder's fully connected layer at each coarsest vertex.
        decoder: output channels of the convolution after each upsampling, coarsest first.
        final: channels of one more convolution on the full mesh, or None if the last of `decoder` are coordinates.
        hops, dilation: of the spirals at each level, finest first.
    """

    encoder: tuple[int, ...]
    bottleneck: int
    decoder: tuple[int, ...]
    final: int | None
    hops: tuple[int, ...]
    dilation: tuple[int, ...]


PRESETS = {
    # As the published text describes it.
    "paper": _Preset((16, 16, 16, 32), 32, (32, 16, 16, 3), None, (1, 1, 1, 1, 1), (1, 1, 1, 1, 1)),
    # As the released notebook sets it.
    "release": _Preset((16, 32, 64, 128), 128, (64, 32, 32, 16), 3, (2, 2, 1, 1, 1), (2, 2, 1, 1, 1)),
}


class Neural3DMM(nn.Module):
    """The autoencoder on one hierarchy.

    Args:
        hierarchy: five levels, finest first.
        latent: size d of the code.
        preset: channels and spirals.
    """

    batch_innermost = True  # in the memory of the meshes it is given; others are copied

    def __init__(self, hierarchy: Hierarchy, latent: int, preset: _Preset) -> None:
        super().__init__()
        depth = len(preset.encoder)
        check_depth(hierarchy, depth)
        sizes = hierarchy.sizes
        spirals = [hierarchy.spirals(i, preset.hops[i], preset.dilation[i]) for i in range(depth)]

        self.n_coarsest, self.bottleneck = sizes[-1], preset.bottleneck

        channels = (3, *preset.encoder)
        self.encoder_convs = nn.ModuleList()
        for level in range(depth):
            kept = hierarchy.kept[level]
            # Downsampling only picks vertices, so the others are never convolved.
            matrices = [matrix[kept] for matrix in spiral_matrices(spirals[level])]
            self.encoder_convs.append(SpiralConv(channels[level], channels[level + 1], matrices))
        self.encoder_fc = nn.Linear((sizes[-1] + 1) * channels[-1], latent)
        self.decoder_fc = nn.Linear(latent, (sizes[-1] + 1) * preset.bottleneck)

        channels = (preset.bottleneck, *preset.decoder)
        self.decoder_convs = nn.ModuleList()
        for i, level in enumerate(reversed(range(depth))):
            first, last = i == 0, level == 0 and preset.final is None
            up = hierarchy.upsampling(level)
            if first:
                up = sp.block_diag([up, [[1.0]]], format="csr")
            matrices = [matrix @ up for matrix in spiral_matrices(spirals[level], dummy=first)]
            self.decoder_convs.append(SpiralConv(channels[i], channels[i + 1], matrices, elu=not last))
        if preset.final is not None:
            conv = SpiralConv(channels[-1], preset.final, spiral_matrices(spirals[0]), elu=False)
            self.decoder_convs.append(conv)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised meshes (B, V, 3) -> codes (B, d)."""
        x = vertex_major(x)
        for conv in self.encoder_convs:
            x = conv(x)
        flat = x.transpose(0, 1).reshape(x.shape[1], -1)
        # The dummy vertex comes last and is zero: its weights take no part.
        return F.linear(flat, self.encoder_fc.weight[:, : flat.shape[1]], self.encoder_fc.bias)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Codes (B, d) -> normalised meshes (B, V, 3)."""
        x = self.decoder_fc(z).view(len(z), self.n_coarsest + 1, self.bottleneck).transpose(0, 1).contiguous()
        for conv in self.decoder_convs:
            x = conv(x)
        return x.transpose(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


@register("neural3dmm", presets=tuple(PRESETS))
def build(hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> Neural3DMM:
    """Spiral-convolution autoencoder (Bouritsas et al. 2019)."""
    return Neural3DMM(hierarchy, latent, PRESETS[preset])
