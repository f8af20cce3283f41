"""Training losses on normalised meshes, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench3dmm.errors import UnknownNameError

if TYPE_CHECKING:
    import torch


def l1(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference over meshes, vertices and coordinates (the paper, section 3.3)."""
    import torch

    # The mean as a norm: one pass fewer, and a gradient that keeps the layout of the prediction.
    return torch.linalg.vector_norm(prediction - target, ord=1) / target.numel()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"l1": l1}


def loss_names() -> list[str]:
    return sorted(LOSSES)


def get_loss(name: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss of that name. Raises UnknownNameError."""
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    return LOSSES[name]
