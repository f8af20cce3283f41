"""What a model is trained to do: the examples of an epoch, and the value to make small.

An example is a row of the training meshes and whatever else an objective draws for it, each a tensor with one entry an
example. They depend on seed and epoch alone, so that a resumed training goes on as if it had not been interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from bench3dmm.composite import Composite

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

ALPHA_LEAST = 0.25  # of the way to the target
RAMP = 100 / 1500  # of the epochs, until the whole way is taken
WHOLE = 0.5  # of the examples, where regions are drawn: all of them at once


class Objective(Protocol):
    def examples(self, count: int, seed: int, epoch: int) -> tuple[torch.Tensor, ...]:
        """Of one epoch over ``count`` meshes, in their order: (n,) rows first, then whatever else, n of each."""

    def value(self, model: nn.Module, meshes: torch.Tensor, *examples: torch.Tensor) -> torch.Tensor:
        """A scalar, the mean over a batch of examples of normalised meshes (N, V, 3)."""


@dataclass(frozen=True)
class Reconstruction:
    """Meshes from themselves, by a loss; a model with ``training_loss(x, loss)`` says itself what is compared."""

    loss: Loss

    def examples(self, count: int, seed: int, epoch: int) -> tuple[torch.Tensor, ...]:
        return (epoch_order(count, seed, epoch),)

    def value(self, model: nn.Module, meshes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return reconstruction_loss(model, take(model, meshes, rows), self.loss)


@dataclass(frozen=True)
class Manipulation:
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
        alpha = ALPHA_LEAST + (most - ALPHA_LEAST) * torch.rand(count, generator=_generator(seed, epoch, 1))
        if self.composite is None:
            return rows, rows.roll(-1), alpha
        chosen = draw_regions(count, len(self.composite.to_regions), _generator(seed, epoch, 2))
        return rows, rows.roll(-1), alpha, chosen

    def value(
        self,
        model: nn.Module,
        meshes: torch.Tensor,
        rows: torch.Tensor,
        targets: torch.Tensor,
        alpha: torch.Tensor,
        chosen: torch.Tensor | None = None,
    ) -> torch.Tensor:
        source, target = take(model, meshes, rows), take(model, meshes, targets)
        if chosen is not None:
            target = self.composite.mix(source, target, chosen)
        return model.manipulation_loss(source, target, alpha, self.loss)


def draw_regions(count: int, regions: int, generator: torch.Generator) -> torch.Tensor:
    """(count, regions) bool: in a share `WHOLE` of the rows all of them, else one to all but one, each as likely."""
    whole = torch.rand(count, 1, generator=generator) < WHOLE
    how_many = torch.randint(1, max(regions, 2), (count, 1), generator=generator)
    place = torch.rand(count, regions, generator=generator).argsort(dim=1).argsort(dim=1)
    return whole | (place < how_many)


def as_objective(objective: Objective | Loss) -> Objective:
    """Itself; a plain loss is the objective to reconstruct."""
    return objective if hasattr(objective, "examples") else Reconstruction(objective)


def reconstruction_loss(model: nn.Module, batch: torch.Tensor, loss: Loss) -> torch.Tensor:
    """Of normalised meshes (B, V, 3), as `Reconstruction` takes it."""
    return model.training_loss(batch, loss) if hasattr(model, "training_loss") else loss(model(batch), batch)


def epoch_order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """(count,) the order in which an epoch sees the meshes."""
    return torch.randperm(count, generator=_generator(seed, epoch))


def _generator(*key: int) -> torch.Generator:
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1
    return torch.Generator().manual_seed(int(state))


def take(model: nn.Module, meshes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The rows of (N, V, 3) as a batch (B, V, 3), in memory as the model likes it."""
    return arrange(model, meshes.index_select(0, rows))


def arrange(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """The same (B, V, 3), with the mesh innermost in memory for a model with ``batch_innermost = True``."""
    if not getattr(model, "batch_innermost", False):
        return batch
    return batch.flatten(1).t().contiguous().t().view(batch.shape)
