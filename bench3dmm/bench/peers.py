"""Every model beside Neural3DMM: training step and reconstruction, timed in turns in one run."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from bench3dmm.bench.cases import SPIRALNET_WIDTHS, Case, build_side, forward_pass, synthetic_meshes, training_step
from bench3dmm.bench.timing import Timing, interleaved
from bench3dmm.bench.worker import in_process
from bench3dmm.data.registry import load_dataset
from bench3dmm.data.rows import rows_of_profile
from bench3dmm.data.splits import make_split
from bench3dmm.models.interface import fitted_numbers
from bench3dmm.models.registry import closed_form, preset_names
from bench3dmm.record.profiles import PROFILES

MODELS = ("pca", "coma", "spiralnet", "neural3dmm")
MESHES = ("mh-seq", "mh-scan")
LATENTS = (8, 16, 64, 256)
LATENT = 16  # at which the models are compared closely
BASE, EQUAL_WIDTH = "neural3dmm", f"neural3dmm {SPIRALNET_WIDTHS}"
"""What the others are compared with, and what SpiralNet++ also is."""


def peers(mesh: str, rounds: int, device: torch.device, fit_meshes: int, latent: int = LATENT) -> list[dict[str, Any]]:
    """One row a model, in preset paper at batch 16; at d = 16 Neural3DMM once more, at SpiralNet++'s widths.

    ``step_s``, ``one_mesh_s`` and ``batch_s`` (a training step, the reconstruction of one mesh and of a batch) and
    ``ratio``, a model's step over Neural3DMM's of the same round, are median and range over the rounds;
    ``equal_width_ratio`` is SpiralNet++'s over that of Neural3DMM as wide as it. A model fitted in closed form takes no
    steps: it has ``fit_s``, for ``fit_meshes`` meshes. ``peak_mb`` is of training, in a process of its own.
    """
    cases = {name: Case(mesh, preset_names(name)[0], latent, model=name) for name in MODELS}
    if latent == LATENT:
        cases[EQUAL_WIDTH] = Case(mesh, SPIRALNET_WIDTHS, latent)
    stepping = {name: case for name, case in cases.items() if not closed_form(case.model)}
    hierarchy = cases[BASE].hierarchy()
    meshes = synthetic_meshes(cases[BASE], hierarchy.sizes[0], device)

    measured = {name: _in_own_process(case, str(device), fit_meshes) for name, case in cases.items()}
    actions = {name: training_step("engine", case, hierarchy, meshes) for name, case in stepping.items()}
    steps = interleaved(actions, rounds, device)
    for name, seconds in steps.items():
        batch = cases[name].batch
        measured[name] |= {"step_s": _spread(seconds), "meshes_per_s": batch / float(np.median(seconds))}
        measured[name]["ratio"] = _spread(seconds / steps[BASE])
    if EQUAL_WIDTH in steps:
        measured["spiralnet"]["equal_width_ratio"] = _spread(steps["spiralnet"] / steps[EQUAL_WIDTH])
    for key, batch in (("one_mesh_s", 1), ("batch_s", cases[BASE].batch)):
        passes = {
            name: forward_pass("engine", replace(case, batch=batch), hierarchy, meshes) for name, case in cases.items()
        }
        for name, seconds in interleaved(passes, rounds, device).items():
            measured[name][key] = _spread(seconds)
    return [
        {
            **asdict(case),
            "vertices": hierarchy.sizes[0],
            "rounds": rounds,
            "parameters": fitted_numbers(build_side("engine", case, hierarchy, torch.device("cpu"))),
            **measured[name],
        }
        for name, case in cases.items()
    ]


def quick_meshes(mesh: str) -> int:
    """How many meshes of an embedded set the quick profile trains on, in the percentage split."""
    split = make_split("percentage", load_dataset(mesh).samples, 0, 0.0)
    return len(rows_of_profile(split.train, split.test, PROFILES["quick"])[0])


def _in_own_process(case: Case, device: str, fit_meshes: int) -> dict[str, Any]:
    if closed_form(case.model):
        fitted = in_process("closed_form", device=device, meshes=fit_meshes, **asdict(case))
        return {**fitted, "fit_meshes": fit_meshes}
    return {"peak_mb": in_process("step", side="engine", device=device, **asdict(case))["peak_mb"]}


def _spread(seconds: np.ndarray) -> dict[str, float]:
    return Timing.of(seconds).as_dict()
