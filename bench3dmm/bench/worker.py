"""Measurements that need a fresh process: peak memory, several trainings at once, the time to start.

``python -m bench3dmm.bench.worker TASK`` reads its settings as JSON from stdin and prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import Bench3dmmError
from bench3dmm.system import processes

if TYPE_CHECKING:
    import torch

SLOW_S = 2.0


def in_process(task: str, *, environment: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    """Run a task in its own process.

    Raises:
        Bench3dmmError: if it failed, with the last line it wrote.
    """
    process = start(task, environment=environment, **settings)
    return finish(process, task, settings)


def start(task: str, *, environment: dict[str, str] | None = None, **settings: Any) -> processes.Started[str]:
    process = processes.start(
        [sys.executable, "-m", "bench3dmm.bench.worker", task],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | (environment or {}),
        text=True,
    )
    assert process.stdin is not None  # a pipe, as asked for
    process.stdin.write(json.dumps(settings))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: processes.Started[str], task: str, settings: dict[str, Any]) -> dict[str, Any]:
    try:
        output, errors = process.communicate()
    finally:
        process.kill()  # where the wait was interrupted
    if process.returncode:
        lines = errors.strip().splitlines() or [f"exit code {process.returncode}, out of memory?"]
        raise Bench3dmmError(f"measuring {task} of {settings} failed: {lines[-1]}")
    return json.loads(output)


def step(side: str, device: str, **fields: Any) -> dict[str, float]:
    """A training step: seconds, the least of five measurements, of two where it takes over two seconds, and the peak
    memory of training in MB (10^6 bytes), counted from before the model is built."""
    import torch

    from bench3dmm.bench.cases import Case, synthetic_meshes, training_step
    from bench3dmm.bench.timing import seconds_of

    case = Case(**fields)
    hierarchy = case.hierarchy()
    place = torch.device(device)
    meshes = synthetic_meshes(case, hierarchy.sizes[0], place)
    peak_mb = _peak_from_here(place)
    steps = training_step(side, case, hierarchy, meshes)
    once = seconds_of(steps, place, 1)  # the first, which allocates
    if once < SLOW_S:
        once = seconds_of(steps, place, 4 if side == "engine" else 1)
    repeat = max(1, min(50, int(0.3 / once)))
    seconds = [seconds_of(steps, place, repeat) for _ in range(5 if once < SLOW_S else 2)]
    return {"step_s": min(seconds), "peak_mb": peak_mb()}


def closed_form(device: str, meshes: int, **fields: Any) -> dict[str, float]:
    """A fit in closed form to so many meshes: seconds, the least of three, and its peak memory in MB (10^6 bytes),
    counted from when the meshes are there, before the model is built."""
    import torch

    from bench3dmm.bench.cases import Case, build_side
    from bench3dmm.bench.timing import seconds_of
    from bench3dmm.models.interface import has_closed_form

    case = Case(**fields)
    hierarchy = case.hierarchy()
    place = torch.device(device)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(meshes, hierarchy.sizes[0], 3, generator=generator).to(place)
    peak_mb = _peak_from_here(place)
    model = build_side("engine", case, hierarchy, place)

    assert has_closed_form(model), f"{case.model} is not fitted in closed form"
    fit_closed_form = model.fit_closed_form

    def fit(_: int) -> None:
        fit_closed_form(x)

    seconds = [seconds_of(fit, place) for _ in range(3)]
    return {"fit_s": min(seconds), "peak_mb": peak_mb()}


def throughput(device: str, seconds: float, begin: float, lanes: int, **fields: Any) -> dict[str, float]:
    """Training steps a second from the moment ``begin`` (of `time.time`) on, for ``seconds``.

    Args:
        lanes: trainings in this process, a step of each in turn: on a GPU they run side by side.
    """
    import torch

    from bench3dmm.bench.cases import Case, synthetic_meshes, training_step
    from bench3dmm.system.card import CudaCard

    case = Case(**fields)
    hierarchy = case.hierarchy()
    device_ = torch.device(device)
    meshes = synthetic_meshes(case, hierarchy.sizes[0], device_)
    card = CudaCard(device_) if device_.type == "cuda" else None
    places = [card.lane() if card else contextlib.nullcontext() for _ in range(lanes)]
    trainings = []
    for place in places:
        with place:
            trainings.append(training_step("engine", case, hierarchy, meshes))
            trainings[-1](5)
    ready = time.time()
    time.sleep(max(0.0, begin - time.time()))
    count, started = 0, time.perf_counter()
    turn = 1 if card else 10  # steps; on the CPU each turn starts its threads
    while time.perf_counter() - started < seconds:
        for _ in range(10 // turn):
            for place, steps in zip(places, trainings, strict=True):
                with place:
                    steps(turn)
        count += 10 * lanes
        if card:
            card.wait()
    return {"steps": count, "seconds": time.perf_counter() - started, "late": max(0.0, ready - begin)}


def hierarchy(mesh: str) -> dict[str, float]:
    """Seconds for the hierarchy and published spirals of a mesh, built and then read from the cache."""
    from bench3dmm.data.synthetic.sizes import template_of
    from bench3dmm.mesh.hierarchy import build_hierarchy

    template = template_of(mesh)
    started = time.perf_counter()
    built = build_hierarchy(template, cache=False)
    for level in range(4):
        built.spirals(level)
    build = time.perf_counter() - started
    build_hierarchy(template)
    started = time.perf_counter()
    build_hierarchy(template)
    return {"build_s": build, "cached_s": time.perf_counter() - started}


def evaluation(mesh: str, meshes: int, device: str) -> dict[str, float]:
    """Seconds to reconstruct meshes and compute all metrics."""
    import numpy as np
    import pandas as pd
    import torch

    from bench3dmm.bench.cases import Case, build_side
    from bench3dmm.data.normaliser import Normaliser
    from bench3dmm.tasks.parts.errors import evaluate

    case = Case(mesh)
    model = build_side("engine", case, case.hierarchy(), torch.device(device))
    template = case.hierarchy().levels[0].vertices.astype(np.float32)
    noise = np.random.default_rng(0).standard_normal((meshes, 1, 1), dtype=np.float32)
    normaliser = Normaliser(template, np.ones_like(template))
    samples = pd.DataFrame({"expression": np.array(["neutral", "happy", "sad", "fear"])[np.arange(meshes) % 4]})
    vertices = template + noise
    started = time.perf_counter()
    evaluate(model, vertices, samples, np.arange(meshes), normaliser, torch.device(device))
    return {"seconds": time.perf_counter() - started}


def _peak_from_here(device: torch.device) -> Callable[[], float]:
    """Begins to count memory; what it returns gives the peak since then, in MB (10^6 bytes)."""
    import torch

    # The mathematical libraries' own buffers are set up before the count begins.
    torch.mm(torch.ones(64, 64, device=device), torch.ones(64, 64, device=device))
    before = _resident_mb(device)
    _forget_peak(device)
    return lambda: _peak_mb(device) - before


def _resident_mb(device: torch.device) -> float:
    if device.type == "cuda":
        import torch

        return torch.cuda.memory_allocated(device) / 1e6
    return _status_mb("VmRSS")


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb(device: torch.device) -> float:
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e6
    return _status_mb("VmHWM")


def _status_mb(name: str) -> float:
    """VmRSS or VmHWM of this process; elsewhere than on Linux its peak so far stands for both."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024 / 1e6
    import torch

    from bench3dmm.system.machine import peak_memory_mb

    return peak_memory_mb(torch.device("cpu"))


TASKS = {task.__name__: task for task in (step, closed_form, throughput, hierarchy, evaluation)}


if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](**json.load(sys.stdin))))
