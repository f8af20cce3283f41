"""How much of a training to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """How much of a training to do. Meshes are taken evenly from the split's sorted rows; None is all."""

    epochs: int
    max_train: int | None
    max_test: int | None


PROFILES = {
    "smoke": Profile(epochs=2, max_train=128, max_test=32),
    "quick": Profile(epochs=30, max_train=2000, max_test=400),
    "paper": Profile(epochs=300, max_train=None, max_test=None),
}
