"""Neural3DMM the way the published implementations compute it: slow, obvious, and the yardstick of the engine.

Dense D and U products, a dummy vertex that is carried everywhere and masked after each convolution, a batch-major
gather of whole spirals, and one Linear. Written from the description in the papers, for comparison only: the
parameters have the names and shapes of `bench3dmm.models.neural3dmm.Neural3DMM`, so weights can be copied across.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from bench3dmm.models.neural3dmm import PRESETS

if TYPE_CHECKING:
    import numpy as np

    from bench3dmm.mesh.hierarchy import Hierarchy


class _SpiralConv(nn.Module):
    """Gather the spirals of all vertices, concatenate, one Linear, ELU, and the dummy vertex back to zero."""

    table: torch.Tensor
    mask: torch.Tensor

    def __init__(self, c_in: int, c_out: int, spirals: np.ndarray, *, elu: bool = True) -> None:
        super().__init__()
        n_vertices, length = spirals.shape
        self.linear = nn.Linear(length * c_in, c_out)
        self.elu = elu
        # The dummy is the last vertex: padding (-1) reads it, and its own spiral reads nothing else.
        table = torch.full((n_vertices + 1, length), n_vertices)
        table[:-1] = torch.from_numpy(spirals).long() % (n_vertices + 1)
        self.register_buffer("table", table, persistent=False)
        mask = torch.ones(1, n_vertices + 1, 1)
        mask[:, -1] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, V + 1, C_in] -> [B, V + 1, C_out]"""
        gathered = x[:, self.table.flatten()].view(len(x), len(self.table), -1)
        out = self.linear(gathered)
        if self.elu:
            out = F.elu(out)
        return out * self.mask


class PublishedNeural3DMM(nn.Module):
    """The published formulation; meshes (B, V, 3) in and out, as the engine's."""

    def __init__(self, hierarchy: Hierarchy, latent: int, preset: str = "paper") -> None:
        super().__init__()
        layers = PRESETS[preset]
        depth = len(layers.encoder)
        self.sizes, self.channels = hierarchy.sizes, layers.encoder[-1]
        spirals = [hierarchy.spirals(i, layers.hops[i], layers.dilation[i]) for i in range(depth)]
        for level in range(depth):
            self.register_buffer(f"down_{level}", self._dense_down(hierarchy, level), persistent=False)
            self.register_buffer(f"up_{level}", self._dense_up(hierarchy, level), persistent=False)

        channels = (3, *layers.encoder)
        self.encoder_convs = nn.ModuleList(
            _SpiralConv(channels[level], channels[level + 1], spirals[level]) for level in range(depth)
        )
        self.encoder_fc = nn.Linear((self.sizes[-1] + 1) * channels[-1], latent)
        self.decoder_fc = nn.Linear(latent, (self.sizes[-1] + 1) * layers.encoder[-1])
        channels = (layers.encoder[-1], *layers.decoder)
        self.decoder_convs = nn.ModuleList()
        for i, level in enumerate(reversed(range(depth))):
            elu = level > 0 or layers.final is not None
            self.decoder_convs.append(_SpiralConv(channels[i], channels[i + 1], spirals[level], elu=elu))
        if layers.final is not None:
            self.decoder_convs.append(_SpiralConv(channels[-1], layers.final, spirals[0], elu=False))

    @staticmethod
    def _dense_down(hierarchy: Hierarchy, level: int) -> torch.Tensor:
        fine, coarse = hierarchy.sizes[level : level + 2]
        matrix = torch.zeros(coarse + 1, fine + 1)
        matrix[torch.arange(coarse), torch.from_numpy(hierarchy.kept[level]).long()] = 1
        matrix[-1, -1] = 1
        return matrix

    @staticmethod
    def _dense_up(hierarchy: Hierarchy, level: int) -> torch.Tensor:
        fine, coarse = hierarchy.sizes[level : level + 2]
        matrix = torch.zeros(fine + 1, coarse + 1)
        index = torch.from_numpy(hierarchy.up_index[level]).long()
        weight = torch.from_numpy(hierarchy.up_weight[level]).to(matrix.dtype)
        matrix[:-1].scatter_add_(1, index, weight)
        matrix[-1, -1] = 1
        return matrix

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised meshes (B, V, 3) -> codes (B, d)."""
        x = F.pad(x, (0, 0, 0, 1))
        for level, conv in enumerate(self.encoder_convs):
            x = torch.matmul(getattr(self, f"down_{level}"), conv(x))
        return self.encoder_fc(x.reshape(len(x), -1))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Codes (B, d) -> normalised meshes (B, V, 3)."""
        x = self.decoder_fc(z).view(len(z), -1, self.channels)
        for i, conv in enumerate(self.decoder_convs):
            level = len(self.sizes) - 2 - i
            if level >= 0:
                x = torch.matmul(getattr(self, f"up_{level}"), x)
            x = conv(x)
        return x[:, :-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))
