"""What is common to the models that go down a hierarchy by convolutions and up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

from bench3dmm.errors import MeshError
from bench3dmm.models.layers.convolution import SpiralConv, spiral_matrices

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy, Level


@dataclass(frozen=True)
class Channels:
    """How many channels each convolution has; the hierarchy has one level more than the encoder has convolutions.

    Attributes:
        encoder: output channels of the convolution at level 0, 1, …
        decoder: output channels of the convolution after each upsampling, coarsest first.
        final: channels of one more convolution on the full mesh, or None if the last of `decoder` are coordinates.
    """

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    final: int | None

    def levels(self, hierarchy: Hierarchy) -> tuple[Level, ...]:
        """Those that are convolved: all but the coarsest.

        Raises:
            MeshError: for a hierarchy with another number of levels.
        """
        wanted, found = len(self.encoder) + 1, len(hierarchy.levels)
        if found != wanted:
            factors = ",".join("4" * (wanted - 1))
            raise MeshError(
                f"this model needs {wanted} levels, the template and {wanted - 1} coarser ones, and the hierarchy has "
                f"{found}: give {wanted - 1} factors, such as --factors {factors}, or leave them out"
            )
        return hierarchy.levels[:-1]


class Convolutions(Protocol):
    """A model's own: each makes one convolution, with the weights that it draws."""

    def down(self, level: int, c_in: int, c_out: int) -> nn.Module:
        """Convolution at a level, activation, downsampling: [V_level, B, C_in] -> [V_level+1, B, C_out]."""

    def up(self, level: int, c_in: int, c_out: int, *, last: bool) -> nn.Module:
        """Upsampling to a level, convolution, activation unless ``last``: the other way."""

    def full(self, c_in: int, c_out: int) -> nn.Module:
        """Convolution on the full mesh, the last."""


class SpiralConvs:
    """Spiral convolutions.

    Args:
        spirals: (V, L) of each level but the coarsest, see `spiral_matrices`.
    """

    def __init__(self, hierarchy: Hierarchy, spirals: Sequence[np.ndarray]) -> None:
        self.hierarchy = hierarchy
        self.steps = [spiral_matrices(table) for table in spirals]

    def down(self, level: int, c_in: int, c_out: int) -> SpiralConv:
        # Downsampling only picks vertices, so the others are never convolved.
        return SpiralConv(c_in, c_out, [step[self.hierarchy.kept[level]] for step in self.steps[level]])

    def up(self, level: int, c_in: int, c_out: int, *, last: bool) -> SpiralConv:
        up = self.hierarchy.upsampling(level)
        return SpiralConv(c_in, c_out, [step @ up for step in self.steps[level]], elu=not last)

    def full(self, c_in: int, c_out: int) -> SpiralConv:
        return SpiralConv(c_in, c_out, self.steps[0], elu=False)


class ConvAutoencoder(nn.Module):
    """Convolutions down a hierarchy, a fully connected layer to the code, another one back, and convolutions up.

    Initial weights are drawn in the order encoder, fully connected layers, decoder.

    Args:
        channels: of the convolutions.
        convolutions: what makes them.
        latent: size d of the code.
        n_coarsest: vertices of the maps that the fully connected layers read and write.
        activation: after both fully connected layers.
    """

    batch_innermost = True  # in the memory of the meshes it is given; others are copied

    def __init__(
        self,
        channels: Channels,
        convolutions: Convolutions,
        latent: int,
        n_coarsest: int,
        activation: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.n_coarsest, self.channels, self.activation = n_coarsest, channels.encoder[-1], activation
        self.encoder_convs = nn.ModuleList(_encoder(channels, convolutions))
        self.encoder_fc = nn.Linear(n_coarsest * self.channels, latent)
        self.decoder_fc = nn.Linear(latent, n_coarsest * self.channels)
        self.decoder_convs = nn.ModuleList(_decoder(channels, convolutions))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised meshes (B, V, 3) -> codes (B, d)."""
        x = vertex_major(x)
        for conv in self.encoder_convs:
            x = conv(x)
        z = self.to_code(x.transpose(0, 1).reshape(x.shape[1], -1))
        return self.activation(z) if self.activation else z

    def to_code(self, x: torch.Tensor) -> torch.Tensor:
        """The coarsest map (B, vertices * channels) -> (B, d), before the activation."""
        return self.encoder_fc(x)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Codes (B, d) -> normalised meshes (B, V, 3)."""
        x = self.decoder_fc(z)
        if self.activation:
            x = self.activation(x)
        x = x.view(len(z), self.n_coarsest, self.channels).transpose(0, 1).contiguous()
        for conv in self.decoder_convs:
            x = conv(x)
        return x.transpose(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def _encoder(channels: Channels, convolutions: Convolutions) -> Iterator[nn.Module]:
    for level, (c_in, c_out) in enumerate(pairwise((3, *channels.encoder))):
        yield convolutions.down(level, c_in, c_out)


def _decoder(channels: Channels, convolutions: Convolutions) -> Iterator[nn.Module]:
    levels = reversed(range(len(channels.encoder)))
    for level, (c_in, c_out) in zip(levels, pairwise((channels.encoder[-1], *channels.decoder)), strict=True):
        yield convolutions.up(level, c_in, c_out, last=level == 0 and channels.final is None)
    if channels.final is not None:
        yield convolutions.full(channels.decoder[-1], channels.final)


def initialise(model: nn.Module, draw: Callable[[torch.Tensor], object], bias: float) -> None:
    """All weights drawn anew, in place, and all biases the same."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            nn.init.constant_(parameter, bias)
        else:
            draw(parameter)


def vertex_major(x: torch.Tensor) -> torch.Tensor:
    """Meshes (B, V, 3) -> [V, B, 3], in memory [V, 3, B] as narrow maps are."""
    rows = x.flatten(1).t().contiguous()
    return rows.view(-1, x.shape[2], len(x)).transpose(1, 2)
