"""What a manipulation trains towards: other meshes, by displacements of control vertices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench3dmm.models.interface import as_region_editor
from bench3dmm.tasks.parts.composite import draw_regions
from bench3dmm.training.objective import Loss, epoch_order, generator_of, take

if TYPE_CHECKING:
    from bench3dmm.tasks.parts.composite import Composite

ALPHA_LEAST = 0.25  # of the way to the target
RAMP = 100 / 1500  # of the epochs, until the whole way is taken


@dataclass(frozen=True)
class Targets:
    """Meshes into others, by displacements of control vertices (LAMM, section 3.2): ``model.manipulation_loss``.

    The target of a mesh is the next one in the epoch's order, as in the released code; how far it is approached is
    uniform between 0.25 and a limit that grows from there to 1 over the first 15th of the epochs (of 1,500, 100).

    With a composite, half of the targets are taken for some regions only, one to all but one, and the other control
    vertices are told to stay; this is not published.
    """

    loss: Loss
    epochs: int
    composite: Composite | None = None

    def examples(self, count: int, seed: int, epoch: int) -> tuple[torch.Tensor, ...]:
        rows = epoch_order(count, seed, epoch)
        most = ALPHA_LEAST + (1 - ALPHA_LEAST) * min(1.0, (epoch + 1) / max(1.0, RAMP * self.epochs))
        alpha = ALPHA_LEAST + (most - ALPHA_LEAST) * torch.rand(count, generator=generator_of(seed, epoch, 1))
        if self.composite is None:
            return rows, rows.roll(-1), alpha
        chosen = draw_regions(count, len(self.composite.to_regions), generator_of(seed, epoch, 2))
        return rows, rows.roll(-1), alpha, chosen

    def value(
        self,
        model: nn.Module,
        meshes: torch.Tensor,
        rows: torch.Tensor,
        targets: torch.Tensor,
        alpha: torch.Tensor,
        *chosen: torch.Tensor,
    ) -> torch.Tensor:
        source, target = take(model, meshes, rows), take(model, meshes, targets)
        if self.composite is not None:
            target = self.composite.mix(source, target, *chosen)
        return as_region_editor(model).manipulation_loss(source, target, alpha, self.loss)
