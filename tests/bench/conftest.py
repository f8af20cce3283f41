"""A record with every section, measured once."""

from __future__ import annotations

import pytest
from bench_cases import CPU, MACHINE, SMALL

from bench3dmm import bench
from bench3dmm.bench import peers as peers_section
from bench3dmm.bench import stored
from bench3dmm.bench.cases import SIDES, Case
from bench3dmm.bench.compare import compare
from bench3dmm.bench.lamm import generation, training
from bench3dmm.bench.layers import layer_table
from bench3dmm.bench.peers import peers
from bench3dmm.bench.worker import TASKS


@pytest.fixture(scope="session")
def record():
    """Every section, on faces of a few hundred vertices."""
    rows = compare(SMALL, 3, CPU, MACHINE)
    with pytest.MonkeyPatch.context() as patch:  # that a process is started is tested by the comparison
        patch.setattr(peers_section, "in_process", lambda task, **settings: TASKS[task](**settings))
        beside = peers("face-1200", 3, CPU, 24)
    generated = generation("face-1200", 3, [("lamm", "small"), ("neural3dmm", "paper")])
    trained = [training("face-1200", "lamm", "small", "cpu")]
    trained += [{**trained[0], "vertices": n, "peak_mb": n / 10, "step_s": n / 1e5} for n in (5000, 50_000)]
    layers = [
        {**row, "mesh": "face-1200", "preset": preset, "batch": 4}
        for preset in ("paper", "release")
        for row in layer_table(Case("face-1200", preset, batch=4), CPU, MACHINE)
    ]
    grown = [
        {"axis": axis, "value": n, "side": side, "step_s": 1e-6 * n, "peak_mb": 10 + n / 1e3}
        for axis in ("vertices", "batch", "latent")
        for n in (1000, 5000, 20_000, 100_000)
        for side in SIDES
    ]
    around = dict.fromkeys(("import_s", "help_s", "run_to_first_epoch_s", "hierarchy_and_spirals_s"), 0.5)
    around |= {"hierarchy_and_spirals_cached_s": 0.1, "evaluation_s": 2.0, "evaluated_meshes": 2000}
    together = [
        {"trainings": 2, "threads_each": 1, "steps_per_s": 50.0, "meshes_per_s": 800.0, "mesh": "m", "preset": "paper"}
    ]
    return {
        "schema": stored.SCHEMA,
        "device": "a machine",
        "versions": {"torch": "2"},
        "threads": 2,
        "measured": {section: {"seconds": 1.0} for section in bench.SECTIONS},
        "machine": MACHINE,
        "compare": rows,
        "peers": beside,
        "lamm": generated + trained,
        "layers": layers,
        "scaling": grown,
        "together": together,
        "around": around,
    }
