"""Training losses on normalised meshes, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench3dmm.errors import UnknownNameError

if TYPE_CHECKING:
    import torch


def l1(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference over meshes, vertices and coordinates (the paper, section 3.3)."""
    return (prediction - target).abs().mean()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"l1": l1}


def loss_names() -> list[str]:
    return sorted(LOSSES)


def get_loss(name: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss of that name. Raises UnknownNameError."""
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    return LOSSES[name]
