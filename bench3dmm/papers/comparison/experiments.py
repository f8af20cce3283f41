"""Every model on one protocol: the runs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from bench3dmm.data.splits import WITHOUT
from bench3dmm.data.tables import expressions_of
from bench3dmm.models.registry import closed_form
from bench3dmm.papers.protocol import NEW_PEOPLE_LATENTS, PEER_LATENTS, SEEDS, model_size
from bench3dmm.record.grid import grid
from bench3dmm.record.run import Run
from bench3dmm.tasks.published import published_run

LAMM_LATENT = 256  # of its paper
PEERS = ("pca", "coma", "spiralnet", "neural3dmm")
COMMON_TRAINING_LATENT = 16
EXTRAPOLATION_LATENT = 8  # of CoMA's own experiment


def peers(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Every model over the latent size: known people on both sets, new ones on the one that has enough of them."""
    return [
        *peer_runs(bu3dfe, "percentage", **common),
        *peer_runs(coma, "percentage", **common),
        *peer_runs(bu3dfe, "identity", latents=NEW_PEOPLE_LATENTS, **common),
    ]


def lamm(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """LAMM on the peers' protocol; at its own latent size also the Mixer, and the released code's targets."""
    size = model_size(common["profile"])
    cells = [
        (bu3dfe, "percentage", size, PEER_LATENTS),
        (coma, "percentage", size, PEER_LATENTS),
        (bu3dfe, "identity", size, NEW_PEOPLE_LATENTS),
        (bu3dfe, "percentage", f"{size}-mixer", LAMM_LATENT),
        (coma, "percentage", f"{size}-mixer", LAMM_LATENT),
        (bu3dfe, "percentage", f"{size}-full-targets", LAMM_LATENT),
    ]
    return [
        run
        for dataset, split, preset, latent in cells
        for run in grid(
            published_run, dataset=dataset, split=split, model="lamm", preset=preset, latent=latent, **common
        )
    ]


def common_training(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Peers that were published with another training than Neural3DMM, with Neural3DMM's: is it the architecture?"""
    return grid(dataset=bu3dfe, latent=COMMON_TRAINING_LATENT, model=["coma", "spiralnet"], **common)


def extrapolation(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """CoMA's extrapolation: each expression left out in turn, d = 8, first seed (Ranjan et al. 2018, Table 3)."""
    first = {**common, "seed": common["seed"][:1], "latents": [EXTRAPOLATION_LATENT]}
    return [run for name in expressions_of(coma) for run in peer_runs(coma, f"{WITHOUT}{name}", **first)]


def peer_runs(
    dataset: str,
    split: str = "percentage",
    *,
    profile: str = "quick",
    seed: Sequence[int] = SEEDS,
    models: Sequence[str] = PEERS,
    latents: Sequence[int] = PEER_LATENTS,
) -> list[Run]:
    """Models on one protocol, each with the training it was published with; by latent size, model and seed.

    One that is fitted in closed form is the same for every seed, and is run for the first alone.
    """
    return [
        published_run(dataset=dataset, split=split, model=model, latent=latent, profile=profile, seed=s)
        for latent, model in itertools.product(latents, models)
        for s in (seed[:1] if closed_form(model) else seed)
    ]
