"""The runs of the manipulation task. They begin with those of the experiment ``lamm``, where LAMM meets its peers."""

from __future__ import annotations

from typing import Any

from bench3dmm.papers.protocol import model_size
from bench3dmm.record.grid import grid
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run
from bench3dmm.tasks.published import published_run

LAMM_LATENT = 256  # of its paper
LONGER = 4  # times the profile's epochs, to see whether edits still improve
lamm_preset = model_size  # as notebooks call it


def manipulation(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """The manipulation task: LAMM with either backbone, also trained by regions, and PCA.

    On one set also without the first stage, and either training once for longer.
    """
    small = model_size(common["profile"])
    longer = {**common, "epochs": LONGER * PROFILES[common["profile"]].epochs, "seed": common["seed"][:1]}
    edited, by_regions = "manipulation", "manipulation-by-regions"
    return [
        *(
            run
            for dataset in (bu3dfe, coma)
            for run in (
                *lamm_runs(dataset, small, edited, **common),
                *lamm_runs(dataset, f"{small}-mixer", edited, **common),
                *lamm_runs(dataset, small, by_regions, **common),
                _pca(dataset, common["profile"]),
            )
        ),
        *lamm_runs(bu3dfe, small, "manipulation-from-scratch", **common),
        *lamm_runs(bu3dfe, small, edited, **longer),
        *lamm_runs(bu3dfe, small, by_regions, **longer),
    ]


def edited_runs() -> list[Run]:
    """The one model that edited faces are drawn with; its weights are stored at half precision."""
    return lamm_runs("mh-scan", "small", "manipulation", profile="quick", seed=[0])


def lamm_runs(dataset: str, preset: str, task: str, **common: Any) -> list[Run]:
    """LAMM at its own latent size, with its published training for the task."""
    return grid(published_run, dataset=dataset, model="lamm", preset=preset, latent=LAMM_LATENT, task=task, **common)


def _pca(dataset: str, profile: str) -> Run:
    return published_run(dataset=dataset, model="pca", latent=LAMM_LATENT, profile=profile, task="manipulation")
