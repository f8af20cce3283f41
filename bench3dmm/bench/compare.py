"""Engine against published formulation: time in turns, memory each in a process of its own."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch

from bench3dmm.bench.cases import SIDES, Case, forward_pass, synthetic_meshes, training_step
from bench3dmm.bench.layers import model_floor
from bench3dmm.bench.timing import Timing, interleaved
from bench3dmm.bench.worker import in_process

CASES = (
    Case("mh-seq", "paper"),
    Case("mh-scan", "paper"),
    Case("mh-scan", "paper", latent=256),
    Case("mh-seq", "release"),
    Case("mh-scan", "release"),
)
FORWARD_BATCHES = (1, 16)


def compare(case: Case, rounds: int, device: torch.device, machine: dict[str, float]) -> list[dict[str, Any]]:
    """One row for a training step and one for each forward batch.

    ``ratio`` is the median over rounds of published / engine, with its range; ``floor_fraction`` is the time that
    the arithmetic would take at the machine's best rates, over the engine's.
    """
    hierarchy = case.hierarchy()
    meshes = synthetic_meshes(case, hierarchy.sizes[0], device)
    actions = {side: training_step(side, case, hierarchy, meshes) for side in SIDES}
    memory = {side: in_process("step", side=side, device=str(device), **asdict(case))["peak_mb"] for side in SIDES}
    rows = [_row("training step", case, actions, rounds, device, machine, {"peak_mb": memory})]
    for batch in FORWARD_BATCHES:
        small = replace(case, batch=batch)
        actions = {side: forward_pass(side, small, hierarchy, meshes) for side in SIDES}
        rows.append(_row("forward", small, actions, 2 * rounds, device, machine))
    return rows


def _row(
    what: str,
    case: Case,
    actions: dict[str, Any],
    rounds: int,
    device: torch.device,
    machine: dict[str, float],
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    taken = interleaved(actions, rounds, device)
    ratios = taken["published"] / taken["engine"]
    floor = model_floor(case, machine, training=what == "training step")
    engine = Timing.of(taken["engine"])
    return {
        "what": what,
        "mesh": case.mesh,
        "vertices": floor["vertices"],
        "preset": case.preset,
        "latent": case.latent,
        "batch": case.batch,
        "rounds": rounds,
        "engine_s": engine.as_dict(),
        "published_s": Timing.of(taken["published"]).as_dict(),
        "ratio": Timing.of(ratios).as_dict(),
        "gflops": floor["flops"] / engine.median / 1e9,
        "floor_s": floor["floor_s"],
        "floor_fraction": floor["floor_s"] / engine.median,
        **(extra or {}),
    }
