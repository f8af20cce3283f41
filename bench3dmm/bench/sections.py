"""The sections of a bench, measured one after the other."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.bench.stored import SCHEMA, SECTIONS, joined, load_bench
from bench3dmm.errors import UnknownNameError
from bench3dmm.system.storage import write_json

if TYPE_CHECKING:
    import torch


def run_bench(
    sections: Sequence[str] = SECTIONS,
    device: str = "auto",
    rounds: int = 12,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    keep: Callable[[dict[str, Any]], object] = lambda record: None,
) -> dict[str, Any]:
    """Measure the sections; ``say`` gets a line before each part, ``keep`` the record so far after each section.

    Raises:
        UnknownNameError: for another section.
    """
    for section in sections:
        if section not in SECTIONS:
            raise UnknownNameError("section of the bench", section, SECTIONS)
    # What torch's threads do by default; this package's own runs have them sleep at once (`bench3dmm`).
    os.environ.setdefault("GOMP_SPINCOUNT", "300000")
    from bench3dmm.runs import provenance
    from bench3dmm.system.device import resolve_device

    place = resolve_device(device)
    say("machine: matrix product and memory bandwidth")
    machine = machine_rates(place)
    environment = provenance.environment(place)
    record: dict[str, Any] = {key: environment[key] for key in ("versions", "device", "threads")}
    record |= {"schema": SCHEMA, "machine": machine, "measured": {}}
    measured = {"compare": _compare, "peers": _peers, "lamm": _lamm, "layers": _layers, "scaling": _scaling,
                "together": _together, "around": _around}  # fmt: skip
    for section in sections:
        started = time.perf_counter()
        record[section] = measured[section](place, machine, rounds, say)
        record["measured"][section] = {
            "created": environment["created"],
            "git": environment["git"],
            "seconds": round(time.perf_counter() - started, 1),
        }
        keep(record)
    return record


def machine_rates(device: torch.device) -> dict[str, float]:
    """Operations and bytes a second, on all threads and on one."""
    import torch

    from bench3dmm.bench.timing import copy_bandwidth, gemm_rate

    rates = {"gemm_flops": gemm_rate(device), "bandwidth": copy_bandwidth(device)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rates |= {"gemm_flops_one_thread": gemm_rate(device), "bandwidth_one_thread": copy_bandwidth(device)}
    torch.set_num_threads(threads)
    return rates


def save_bench(record: dict[str, Any], folder: str | Path) -> list[Path]:
    """Write ``bench.json`` and the pictures of what was measured, as PNG and PDF.

    Sections that the folder's record has and that were not measured now are kept; for where each was measured see
    `bench3dmm.bench.stored.of_section`.
    """
    from bench3dmm.bench import pictures
    from bench3dmm.view.style import save_figure

    path = Path(folder) / "bench.json"
    record = joined(load_bench(path), record) if path.exists() else record
    write_json(path, record)
    written = [path]
    drawn = {"compare": pictures.compare_figure, "peers": pictures.peers_figure, "lamm": pictures.lamm_figure,
             "layers": pictures.layers_figure, "scaling": pictures.scaling_figure}  # fmt: skip
    for section, draw in drawn.items():
        if section in record:
            written += save_figure(draw(record), folder, f"bench-{section}")
    return written


def _compare(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.compare import CASES, compare

    rows = []
    for case in CASES:
        say(f"compare: {case.mesh}, preset {case.preset}, d = {case.latent}, {rounds} rounds")
        rows += compare(case, rounds, device, machine)
    return rows


def _peers(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.peers import LATENTS, MESHES, peers, quick_meshes

    rows = []
    for mesh in MESHES:
        for latent in LATENTS:
            say(f"peers: {mesh}, d = {latent}, {rounds} rounds")
            rows += peers(mesh, rounds, device, quick_meshes(mesh), latent)
    return rows


def _lamm(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.lamm import COMPARED, GENERATED, TRAINED, generation, training

    say(f"lamm: generation, {GENERATED}, one CPU thread, {rounds} rounds")
    rows = generation(GENERATED, rounds)
    for mesh in TRAINED:
        for model, preset in COMPARED:
            say(f"lamm: training, {mesh}, {model} ({preset})")
            rows.append(training(mesh, model, preset, str(device)))
    return rows


def _layers(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.cases import Case
    from bench3dmm.bench.layers import layer_table

    rows = []
    for preset in ("paper", "release"):
        case = Case("mh-scan", preset)
        say(f"layers: {case.mesh}, preset {preset}")
        rows += [{**asdict(case), **row} for row in layer_table(case, device, machine)]
    return rows


def _scaling(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.scaling import measure, points

    rows = []
    for point in points():
        say(f"scaling: {point.axis} {point.value:,}, {point.side}")
        rows.append(measure(point, str(device)))
    return rows


def _together(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.cases import Case
    from bench3dmm.bench.together import COUNTS, train_together

    rows = []
    for count in COUNTS[device.type]:
        say(f"together: {count} training{'s' * (count > 1)} at once")
        rows.append(train_together(count, str(device), Case("mh-scan")))
    return rows


def _around(device, machine, rounds, say) -> dict[str, float]:
    from bench3dmm.bench.around import around

    say("around: import, start-up, hierarchy, evaluation")
    return around(str(device))
