"""The runs of LAMM's reconstruction and manipulation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from bench3dmm.papers.protocol import NEW_PEOPLE_LATENTS, PEER_LATENTS, SEEDS
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run
from bench3dmm.tasks.published import published_run

LAMM_LATENT = 256  # of its paper
LONGER = 4  # times the profile's epochs, to see whether edits still improve


def lamm(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """LAMM on the peers' protocol; at its own latent size also the Mixer, and the released code's targets."""
    small = lamm_preset(common["profile"])
    own = [LAMM_LATENT]
    return [
        *lamm_runs(bu3dfe, small, PEER_LATENTS, **common),
        *lamm_runs(coma, small, PEER_LATENTS, **common),
        *lamm_runs(bu3dfe, small, NEW_PEOPLE_LATENTS, split="identity", **common),
        *lamm_runs(bu3dfe, f"{small}-mixer", own, **common),
        *lamm_runs(coma, f"{small}-mixer", own, **common),
        *lamm_runs(bu3dfe, f"{small}-full-targets", own, **common),
    ]


def manipulation(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """The manipulation task: LAMM with either backbone, also trained by regions, and PCA.

    On one set also without the first stage, and either training once for longer.
    """
    small = lamm_preset(common["profile"])
    own = [LAMM_LATENT]
    longer = LONGER * PROFILES[common["profile"]].epochs
    task = {"task": "manipulation", "profile": common["profile"]}
    edited = {**common, **task}
    by_regions = {**common, "task": "manipulation-by-regions"}
    on_both = [
        run
        for dataset in (bu3dfe, coma)
        for run in (
            *lamm_runs(dataset, small, own, **edited),
            *lamm_runs(dataset, f"{small}-mixer", own, **edited),
            *lamm_runs(dataset, small, own, **by_regions),
            published_run(dataset=dataset, model="pca", latent=LAMM_LATENT, **task),
        )
    ]
    return [
        *on_both,
        *lamm_runs(bu3dfe, small, own, **{**common, "task": "manipulation-from-scratch"}),
        *(
            run
            for trained in (edited, by_regions)
            for run in lamm_runs(bu3dfe, small, own, **{**trained, "seed": common["seed"][:1]}, epochs=longer)
        ),
    ]


def edited_runs() -> list[Run]:
    """The one model that edited faces are drawn with; its weights are stored at half precision."""
    return lamm_runs("mh-scan", "small", [LAMM_LATENT], profile="quick", seed=[0], task="manipulation")


def lamm_preset(profile: str) -> str:
    """The size of LAMM that a profile trains: the published one where there is a GPU to expect."""
    return "paper" if profile == "paper" else "small"


def lamm_runs(
    dataset: str,
    preset: str,
    latents: Sequence[int],
    *,
    split: str = "percentage",
    profile: str = "quick",
    seed: Sequence[int] = SEEDS,
    task: str = Run.task,
    epochs: int = 0,
) -> list[Run]:
    """LAMM with its published training, by latent size and seed."""
    fields = {"dataset": dataset, "split": split, "model": "lamm", "preset": preset, "profile": profile}
    fields |= {"task": task, "epochs": epochs}
    return [published_run(**fields, latent=latent, seed=s) for latent, s in itertools.product(latents, seed)]
