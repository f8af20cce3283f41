"""SpiralNet++: a spiral-convolution autoencoder without reference point and dummy vertex (Gong et al., "SpiralNet++: A
Fast and Highly Efficient Mesh Convolution Operator", ICCV Workshops 2019).

**Architecture**, as in the authors' code for reconstruction on COMA (github.com/sw-gong/spiralnet_plus):

- encoder: four times spiral convolution, ELU, downsampling, with 32, 32, 32, 64 channels; one fully connected layer;
- decoder: one fully connected layer to 64 channels at each coarsest vertex; four times upsampling, spiral convolution,
  ELU, with 64, 32, 32, 32 channels; one more convolution to 3 coordinates without activation. Neither fully connected
  layer has an activation, all layers have a bias;
- up- and downsampling are those of CoMA's quadric decimation, here the project's `Hierarchy`: downsampling is one-hot,
  so only the kept vertices are convolved;
- all weights Xavier uniform, all biases zero.

**Training** in that code: L1, Adam at 1e-3 without weight decay, 0.99 per epoch, batch 32, 300 epochs.

**Spirals** have 9 vertices at every level, dilation 1. The authors take neighbours clockwise as OpenMesh stores them:
at a border from the border, elsewhere from whichever came first. That is an accident of the order of faces, and means
nothing on a hierarchy of another's making. Here an inner vertex starts at its neighbour with the lowest id, which is
as arbitrary and does not change when faces are shuffled; the rest is theirs, see `ring_spirals`. They are not those of
Neural3DMM, which all start in the direction of one reference point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from bench3dmm.mesh.spirals import PADDING, vertex_fans
from bench3dmm.models.layers import Channels, ConvAutoencoder, SpiralConvs, initialise
from bench3dmm.models.registry import register

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy


@dataclass(frozen=True)
class _Preset(Channels):
    """Channels, and the vertices of a spiral."""

    length: int


PRESETS = {"paper": _Preset((32, 32, 32, 64), (64, 32, 32, 32), 3, 9)}


class SpiralNet(ConvAutoencoder):
    """The autoencoder on one hierarchy. Raises MeshError for one without five levels."""

    def __init__(self, hierarchy: Hierarchy, latent: int, preset: _Preset) -> None:
        spirals = [ring_spirals(at.vertices, at.faces, preset.length) for at in preset.levels(hierarchy)]
        super().__init__(preset, SpiralConvs(hierarchy, spirals), latent, hierarchy.sizes[-1])
        initialise(self, nn.init.xavier_uniform_, bias=0.0)


def ring_spirals(vertices: np.ndarray, faces: np.ndarray, length: int) -> np.ndarray:
    """Spirals of SpiralNet++, as its authors' code has them: whole rings, clockwise, until there are enough vertices.

    - A ring around a vertex is run from its first neighbour: of an inner vertex the one with the lowest id, of a border
      vertex the one along the border from which its faces follow clockwise.
    - The next ring lists, for each vertex of the last one in turn, its neighbours that are new, clockwise from the
      first that lies in the last ring. A gap at the border is not marked.
    - Where the part of the mesh ends before, the spiral is replaced by the nearest vertices (Euclidean, itself first).

    Args:
        vertices: (V, 3).
        faces: (F, 3) int, consistently oriented manifold, counter-clockwise seen from outside.
        length: vertices of a spiral.

    Returns:
        (V, length) int32; column 0 is the vertex itself. -1 is padding, where the whole mesh has fewer vertices.

    Raises:
        MeshError: for a vertex whose faces do not form one fan.
    """
    neighbours = [
        [*fan[:1], *fan[:0:-1]] if closed else fan[::-1]
        for fan, closed in zip(*vertex_fans(len(vertices), faces), strict=True)
    ]
    result = np.full((len(vertices), length), PADDING, dtype=np.int32)
    for vertex in range(len(vertices)):
        spiral = _rings(vertex, neighbours, length)
        if len(spiral) < length:
            distance = np.linalg.norm(vertices - vertices[vertex], axis=1)
            distance[vertex] = -1
            spiral = distance.argsort(kind="stable").tolist()
        cut = spiral[:length]
        result[vertex, : len(cut)] = cut
    return result


def _rings(vertex: int, neighbours: list[list[int]], length: int) -> list[int]:
    """Whole rings around a vertex, it first, until they are ``length`` vertices or the mesh ends."""
    spiral, ring = [vertex], neighbours[vertex]
    while ring and len(spiral) < length:
        spiral += ring
        seen, last, ring = set(spiral), set(ring), []
        for inner in spiral[-len(last) :]:
            around = neighbours[inner]
            start = next((i for i, candidate in enumerate(around) if candidate in last), 0)
            for candidate in around[start:] + around[:start]:
                if candidate not in seen:
                    seen.add(candidate)
                    ring.append(candidate)
    return spiral


@register("spiralnet", presets=tuple(PRESETS), training={"batch_size": 32, "weight_decay": 0.0})
def build(hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> SpiralNet:
    """SpiralNet++, spirals of fixed length without a reference point (Gong et al. 2019)."""
    return SpiralNet(hierarchy, latent, PRESETS[preset])
