"""What trainings side by side in one process share: a card, and the data on it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from bench3dmm.system.card import Card


@dataclass
class Shared:
    """A card, with how many trainings are on it now, and the meshes that lie there once for all of them."""

    card: Card
    at_once: int = 0
    _meshes: weakref.WeakValueDictionary[str, torch.Tensor] = field(default_factory=weakref.WeakValueDictionary)

    def meshes(self, key: str, load: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What ``load`` gives, as long as any training has it: the next with that key gets the same."""
        found = self._meshes.get(key)
        if found is None:
            found = self._meshes[key] = load()
            self.card.wait()  # other lanes read it
        return found
