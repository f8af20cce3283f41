"""Meshes put together: some regions of one mesh in another, with a border that gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from bench3dmm.mesh.geodesic import graph_distances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench3dmm.mesh.partition import Partition
    from bench3dmm.mesh.template import Template


BORDER = 0.5  # how far it reaches, in mean radii of the regions


class Composite:
    """How much of a second mesh each vertex takes where some regions of a partition are to come from it.

    All of it inside those regions, none at the control vertices of the others, and none further away than `BORDER`
    mean radii of the regions with control vertices (a region's radius is that of a disc of its area); smoothly in
    between, by distance along edges of the template. Where all those regions are to come, the whole mesh comes.

    Attributes:
        width: how far the border reaches, mm.
        to_regions, to_controls: (K, V) mm, from each region with control vertices, and from these.
    """

    def __init__(self, partition: Partition, template: Template, device: torch.device | str = "cpu") -> None:
        regions = [np.flatnonzero(partition.labels == partition.names.index(name)) for name in partition.controls]

        def distances(sources: Iterable[np.ndarray]) -> torch.Tensor:
            found = np.stack([graph_distances(template, ids) for ids in sources])
            return torch.from_numpy(found.astype(np.float32)).to(device)

        self.to_regions, self.to_controls = distances(regions), distances(partition.controls.values())
        area = _vertex_areas(template)
        self.width = BORDER * float(np.mean([np.sqrt(area[region].sum() / np.pi) for region in regions]))

    def shares(self, chosen: torch.Tensor) -> torch.Tensor:
        """Which regions are to come from the second mesh, (B, K) bool -> (B, V), each from 0 to 1."""
        apart = chosen[..., None]
        moved = self.to_regions.where(apart, torch.inf).amin(dim=1)
        held = self.to_controls.where(~apart, torch.inf).amin(dim=1)
        share = (1 - moved / (moved + held).clamp(max=self.width)).clamp(min=0)
        return (share * share * (3 - 2 * share)).where(~chosen.all(dim=1, keepdim=True), 1.0)

    def mix(self, first: torch.Tensor, second: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """(B, V, 3): the first meshes with the chosen regions (B, K) of the second."""
        return first + self.shares(chosen)[..., None] * (second - first)


def _vertex_areas(template: Template) -> np.ndarray:
    """(V,) a third of the area of each vertex's triangles, mm²."""
    corners = template.vertices[template.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    return np.bincount(template.faces.ravel(), np.repeat(area / 3, 3), minlength=template.n_vertices)


WHOLE = 0.5  # of the examples, where regions are drawn: all of them at once


def draw_regions(count: int, regions: int, generator: torch.Generator) -> torch.Tensor:
    """(count, regions) bool: in a share `WHOLE` of the rows all of them, else one to all but one, each as likely."""
    whole = torch.rand(count, 1, generator=generator) < WHOLE
    how_many = torch.randint(1, max(regions, 2), (count, 1), generator=generator)
    place = torch.rand(count, regions, generator=generator).argsort(dim=1).argsort(dim=1)
    return whole | (place < how_many)
