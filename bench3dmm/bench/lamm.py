"""What LAMM's paper claims of speed and memory: meshes a second on one CPU thread, training memory over vertices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bench3dmm.bench.cases import Case, build_side
from bench3dmm.bench.timing import Action, Timing, interleaved
from bench3dmm.bench.worker import in_process
from bench3dmm.models import fitted_numbers

GENERATED = "face-12000"  # the size of the paper's meshes
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


def generation(mesh: str, rounds: int, compared: Sequence[tuple[str, str]] = COMPARED) -> list[dict[str, Any]]:
    """Seconds to decode one code into one mesh on one CPU thread, models in turns: ``mesh_s``, median and range."""
    cpu = torch.device("cpu")
    cases = {f"{model} {preset}": Case(mesh, preset, LATENT, 1, model) for model, preset in compared}
    hierarchy = next(iter(cases.values())).hierarchy()
    models = {name: build_side("engine", case, hierarchy, cpu).eval() for name, case in cases.items()}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        actions = {name: _decoding(model, torch.randn(1, LATENT)) for name, model in models.items()}
        taken = interleaved(actions, rounds, cpu)
    finally:
        torch.set_num_threads(threads)
    return [
        {
            **_named(cases[name]),
            "what": "generation",
            "vertices": hierarchy.sizes[0],
            "parameters": fitted_numbers(models[name]),
            "rounds": rounds,
            "mesh_s": Timing.of(seconds).as_dict(),
        }
        for name, seconds in taken.items()
    ]


def training(mesh: str, model: str, preset: str, device: str) -> dict[str, Any]:
    """A training step at the paper's batch: ``step_s``, and ``peak_mb`` of training in a process of its own."""
    case = Case(mesh, preset, LATENT, BATCH, model)
    settings = {"mesh": mesh, "preset": preset, "latent": LATENT, "batch": BATCH, "model": model}
    measured = in_process("step", side="engine", device=device, **settings)
    return {**_named(case), "what": "training", "vertices": case.hierarchy().sizes[0], **measured}


def _decoding(model: torch.nn.Module, z: torch.Tensor) -> Action:
    def decode(count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                model.decode(z)

    return decode


def _named(case: Case) -> dict[str, Any]:
    return {"mesh": case.mesh, "model": case.model, "preset": case.preset, "latent": case.latent, "batch": case.batch}
