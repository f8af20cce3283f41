"""What every model is measured at, so that papers can be set side by side."""

from __future__ import annotations

SEEDS = (0, 1, 2)
PEER_LATENTS = (8, 16, 64, 256)
NEW_PEOPLE_LATENTS = (16, 64)  # on the identity split
