"""Training losses on normalised meshes, by name.

A loss is made for a template, because some weigh its vertices: ``make_loss(name, template)`` gives a function
(prediction, target) → scalar of meshes (B, V, 3) that averages over the meshes of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench3dmm.errors import UnknownNameError
from bench3dmm.mesh.geodesic import landmark_weights, released_landmark_weights
from bench3dmm.models.interface import Loss, mean_absolute

if TYPE_CHECKING:
    from bench3dmm.mesh.template import Template


def l1(template: Template) -> np.ndarray | None:
    """Mean absolute difference over meshes, vertices and coordinates (the paper, section 3.3)."""
    return None


def weighted_l1(template: Template) -> np.ndarray:
    """The same weighted by 1 / distance to the nearest landmark, scaled to [0, 1] (the paper, eqs. 5 and 6)."""
    return np.repeat(landmark_weights(template)[:, None], 3, axis=1)


def weighted_l1_released(template: Template) -> np.ndarray:
    """The released code's weights: off by one landmark id, landmarks not heaviest, z unweighted (see the ledger)."""
    weights = np.repeat(released_landmark_weights(template)[:, None], 3, axis=1)
    weights[:, 2] = 1
    return weights


LOSSES: dict[str, Callable[[Template], np.ndarray | None]] = {
    "l1": l1,
    "weighted-l1": weighted_l1,
    "weighted-l1-released": weighted_l1_released,
}
"""Weights (V, 3) of the absolute differences, or None for one everywhere."""


def loss_names() -> list[str]:
    return list(LOSSES)


def check_loss(name: str) -> None:
    """Raises UnknownNameError."""
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)


def make_loss(name: str, template: Template, device: torch.device | str = "cpu") -> Loss:
    """The loss of that name on that template.

    Raises:
        UnknownNameError: for another name.
        MeshError: for a weighted loss on a template without landmarks.
    """
    check_loss(name)
    weights = LOSSES[name](template)
    if weights is None:
        return mean_absolute
    tensor = torch.from_numpy(weights.astype(np.float32)).to(device)
    return lambda prediction, target: mean_absolute(prediction * tensor, target * tensor)
