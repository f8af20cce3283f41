"""``bench3dmm bench``: the engine against the published formulation and against the machine.

Sections, each a part of one JSON record: ``machine`` (what the hardware does at best), ``compare`` (time in turns,
memory), ``peers`` (every model beside Neural3DMM), ``lamm`` (generation and training memory beside spiral models),
``layers`` (each layer against its floor), ``scaling`` (vertices, batch, latent size), ``together`` (several trainings
at once) and ``around`` (start-up, hierarchy, evaluation).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.system.storage import write_json

if TYPE_CHECKING:
    import torch

SECTIONS = ("compare", "peers", "lamm", "layers", "scaling", "together", "around")
SCHEMA = 1


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
    # What torch's threads do by default; this package's own runs have them sleep at once, see `bench3dmm.record.run`.
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

    Sections that the folder's record has and that were not measured now are kept; see `of_section` for where each was
    measured.
    """
    from bench3dmm.bench import pictures
    from bench3dmm.view.style import save_figure

    path = Path(folder) / "bench.json"
    record = _joined(load_bench(path), record) if path.exists() else record
    write_json(path, record)
    written = [path]
    drawn = {"compare": pictures.compare_figure, "peers": pictures.peers_figure, "lamm": pictures.lamm_figure,
             "layers": pictures.layers_figure, "scaling": pictures.scaling_figure}  # fmt: skip
    for section, draw in drawn.items():
        if section in record:
            written += save_figure(draw(record), folder, f"bench-{section}")
    return written


def _joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new sections and, of the old ones, those that are not measured anew.

    The record is that of the machine it was begun on, as long as a section of it is left; sections of another machine
    have this under ``on``.
    """
    sections = {name: old for name in SECTIONS if name in old} | {name: new for name in SECTIONS if name in new}
    made_on = {name: _machine_of(of_section(record, name)) for name, record in sections.items()}
    left = any(record is old and _same(made_on[name], old) for name, record in sections.items())
    own = _machine_of(old if left else new)
    measured = {}
    for name, record in sections.items():
        measured[name] = {key: value for key, value in record["measured"].get(name, {}).items() if key != "on"}
        if not _same(made_on[name], own):
            measured[name]["on"] = made_on[name]
    return {"schema": SCHEMA, **own, "measured": measured} | {name: sections[name][name] for name in sections}


def of_section(record: dict[str, Any], section: str) -> dict[str, Any]:
    """The record as that of the machine on which a section was measured."""
    return {**record, **record["measured"].get(section, {}).get("on", {})}


def _machine_of(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("device", "threads", "versions", "machine")}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both are of one device with the same versions; its rates vary from time to time."""
    return all(one[key] == other[key] for key in ("device", "threads", "versions"))


def load_bench(path: str | Path) -> dict[str, Any]:
    """What `save_bench` wrote. Raises DataError."""
    import json

    try:
        record = json.loads(Path(path).read_text())
        if record["schema"] != SCHEMA:
            raise DataError(f"{path}: of schema {record['schema']}, this version reads {SCHEMA}; run bench3dmm bench")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a stored bench ({error!r}); run bench3dmm bench") from None
    return record


def _compare(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.compare import CASES, compare

    rows = []
    for case in CASES:
        say(f"compare: {case.mesh}, preset {case.preset}, d = {case.latent}, {rounds} rounds")
        rows += compare(case, rounds, device, machine)
    return rows


def _peers(device, machine, rounds, say) -> list[dict[str, Any]]:
    from bench3dmm.bench.peers import MESHES, peers, quick_meshes
    from bench3dmm.papers.comparison.experiments import PEER_LATENTS

    rows = []
    for mesh in MESHES:
        for latent in PEER_LATENTS:
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
