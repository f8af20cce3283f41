"""Tasks by name."""

from __future__ import annotations

TASKS = {
    "reconstruction": "meshes from their codes",
    "manipulation": "control vertices displace regions; training goes on from the reconstruction's weights",
    "manipulation-from-scratch": "the same, from new weights",
    "manipulation-by-regions": "the same from the reconstruction's weights, half of the targets for some regions only",
}
