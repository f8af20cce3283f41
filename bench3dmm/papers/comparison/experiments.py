"""Every model on one protocol: the runs."""

from __future__ import annotations

from typing import Any

from bench3dmm.data.splits import WITHOUT
from bench3dmm.data.tables import expressions_of
from bench3dmm.papers.runs import peer_runs
from bench3dmm.record.grid import grid
from bench3dmm.record.run import Run

PEERS = ("pca", "coma", "spiralnet", "neural3dmm")
PEER_LATENTS = (8, 16, 64, 256)
NEW_PEOPLE_LATENTS = (16, 64)  # of the peers on the identity split
COMMON_TRAINING_LATENT = 16
EXTRAPOLATION_LATENT = 8  # of CoMA's own experiment


def peers(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Every model over the latent size: known people on both sets, new ones on the one that has enough of them."""
    return [
        *peer_runs(bu3dfe, "percentage", **common),
        *peer_runs(coma, "percentage", **common),
        *peer_runs(bu3dfe, "identity", latents=NEW_PEOPLE_LATENTS, **common),
    ]


def common_training(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Peers that were published with another training than Neural3DMM, with Neural3DMM's: is it the architecture?"""
    return grid(dataset=bu3dfe, latent=COMMON_TRAINING_LATENT, model=["coma", "spiralnet"], **common)


def extrapolation(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """CoMA's extrapolation: each expression left out in turn, d = 8, first seed (Ranjan et al. 2018, Table 3)."""
    first = {**common, "seed": common["seed"][:1], "latents": [EXTRAPOLATION_LATENT]}
    return [run for name in expressions_of(coma) for run in peer_runs(coma, f"{WITHOUT}{name}", **first)]
