"""What a model is trained to do: the examples of an epoch, and the value to make small.

An example is a row of the training meshes and whatever else an objective draws for it, each a tensor with one entry an
example. They depend on seed and epoch alone, so that a resumed training goes on as if it had not been interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from bench3dmm.models.interface import Loss, arrange, has_own_loss


@runtime_checkable
class Objective(Protocol):
    def examples(self, count: int, seed: int, epoch: int) -> tuple[torch.Tensor, ...]:
        """Of one epoch over ``count`` meshes, in their order: (n,) rows first, then whatever else, n of each."""

    @property
    def value(self) -> Callable[..., torch.Tensor]:
        """``value(model, meshes, *examples)``: a scalar, the mean over a batch of examples of normalised meshes
        (N, V, 3). Each objective has names of its own for its examples."""


@dataclass(frozen=True)
class Reconstruction:
    """Meshes from themselves, by a loss; a model with ``training_loss(x, loss)`` says itself what is compared."""

    loss: Loss

    def examples(self, count: int, seed: int, epoch: int) -> tuple[torch.Tensor, ...]:
        return (epoch_order(count, seed, epoch),)

    def value(self, model: nn.Module, meshes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return reconstruction_loss(model, take(model, meshes, rows), self.loss)


def as_objective(objective: Objective | Loss) -> Objective:
    """Itself; a plain loss is the objective to reconstruct."""
    return objective if isinstance(objective, Objective) else Reconstruction(objective)


def reconstruction_loss(model: nn.Module, batch: torch.Tensor, loss: Loss) -> torch.Tensor:
    """Of normalised meshes (B, V, 3), as `Reconstruction` takes it."""
    return model.training_loss(batch, loss) if has_own_loss(model) else loss(model(batch), batch)


def epoch_order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """(count,) the order in which an epoch sees the meshes."""
    return torch.randperm(count, generator=generator_of(seed, epoch))


def generator_of(*key: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*key))


def seed_of(*key: int) -> int:
    """A seed that is another one for every key, such as (seed, epoch)."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def take(model: nn.Module, meshes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The rows of (N, V, 3) as a batch (B, V, 3), in memory as the model likes it."""
    return arrange(model, meshes.index_select(0, rows))
