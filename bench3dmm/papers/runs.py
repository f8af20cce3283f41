"""Runs that several papers ask for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bench3dmm.papers.comparison.experiments import PEER_LATENTS, PEERS
from bench3dmm.papers.paper import SEEDS
from bench3dmm.record.run import Run
from bench3dmm.tasks.published import published_run


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
    from bench3dmm.models.registry import closed_form

    return [
        published_run(dataset=dataset, split=split, model=model, latent=latent, profile=profile, seed=s)
        for latent, model in itertools.product(latents, models)
        for s in (seed[:1] if closed_form(model) else seed)
    ]
