"""What LAMM's paper claims of speed and memory: meshes a second on one CPU thread, training memory over vertices."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from bench3dmm.bench.cases import Case, build_side
from bench3dmm.bench.timing import Action, Timing, interleaved
from bench3dmm.bench.worker import in_process
from bench3dmm.models.interface import fitted_numbers, ready_to_infer

GENERATED = "face-12000"  # the size of the paper's meshes
AT_ONCE = (1, 16)  # meshes generated one at a time, as in interactive use, and in batches
TRAINED = ("face-5000", "face-12000", "face-50000")
LATENT, BATCH = 256, 32  # of the paper
COMPARED = (
    ("lamm", "paper"),
    ("lamm", "paper-mixer"),
    ("lamm", "small"),
    ("lamm", "small-mixer"),
    ("neural3dmm", "paper"),
    ("neural3dmm", "release"),
    ("spiralnet", "paper"),
)


def generation(
    mesh: str, rounds: int, compared: Sequence[tuple[str, str]] = COMPARED, at_once: Sequence[int] = AT_ONCE
) -> list[dict[str, Any]]:
    """Seconds a mesh to decode a batch of codes on one CPU thread, models in turns: ``mesh_s``, median and range.

    Of a model of few rows also ``as_trained_ratio``, the same with its weights as training leaves them in memory, over
    ``mesh_s`` of the same round; see `bench3dmm.models.interface.ready_to_infer`.
    """
    cpu = torch.device("cpu")
    cases = [Case(mesh, preset, LATENT, batch, model) for model, preset in compared for batch in at_once]
    hierarchy = cases[0].hierarchy()
    models = {
        (model, preset): build_side("engine", Case(mesh, preset, LATENT, 1, model), hierarchy, cpu).eval()
        for model, preset in compared
    }
    trained = {name: copy.deepcopy(model) for name, model in models.items() if getattr(model, "few_rows", False)}
    sides = {"ready": {name: ready_to_infer(model) for name, model in models.items()}, "as trained": trained}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        actions = {
            (case, side): _decoding(of_side[case.model, case.preset], torch.randn(case.batch, LATENT))
            for case in cases
            for side, of_side in sides.items()
            if (case.model, case.preset) in of_side
        }
        taken = interleaved(actions, rounds, cpu)
    finally:
        torch.set_num_threads(threads)
    rows = []
    for case in cases:
        ready, as_trained = taken[case, "ready"], taken.get((case, "as trained"))
        row = {
            **asdict(case),
            "what": "generation",
            "vertices": hierarchy.sizes[0],
            "parameters": fitted_numbers(models[case.model, case.preset]),
            "rounds": rounds,
            "mesh_s": Timing.of(ready / case.batch).as_dict(),
        }
        if as_trained is not None:
            row["as_trained_ratio"] = Timing.of(as_trained / ready).as_dict()
        rows.append(row)
    return rows


def training(mesh: str, model: str, preset: str, device: str) -> dict[str, Any]:
    """A training step at the paper's batch: ``step_s``, and ``peak_mb`` of training in a process of its own."""
    case = Case(mesh, preset, LATENT, BATCH, model)
    measured = in_process("step", side="engine", device=device, **asdict(case))
    return {**asdict(case), "what": "training", "vertices": case.hierarchy().sizes[0], **measured}


def _decoding(model: torch.nn.Module, z: torch.Tensor) -> Action:
    def decode(count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                model.decode(z)  # type: ignore[operator]  # torch: any attribute may be a tensor

    return decode
