"""What every model is measured at, so that papers can be set side by side."""

from __future__ import annotations

SEEDS = (0, 1, 2)
PEER_LATENTS = (8, 16, 64, 256)
NEW_PEOPLE_LATENTS = (16, 64)  # on the identity split


def model_size(profile: str) -> str:
    """The preset of models that come in sizes: the published one where there is a GPU to expect."""
    return "paper" if profile == "paper" else "small"
