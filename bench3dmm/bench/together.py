"""Several independent trainings on one machine: what a sweep gains from running them at once."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import torch

from bench3dmm.bench.cases import Case
from bench3dmm.bench.worker import finish, start

COUNTS = {"cpu": (1, 2), "cuda": (1, 2, 4, 8, 16, 24, 32)}
SECONDS = 8.0
HEAD_START = 25.0  # seconds to import torch and build the model before all begin


def train_together(count: int, device: str, case: Case) -> dict[str, Any]:
    """Steps and meshes a second of ``count`` trainings at once, as a sweep has them: on the CPU in processes that share
    its threads evenly, on a GPU side by side in one."""
    lanes = count if torch.device(device).type == "cuda" else 1
    threads = max(1, torch.get_num_threads() * lanes // count)
    settings = {**asdict(case), "device": device, "seconds": SECONDS, "begin": time.time() + HEAD_START, "lanes": lanes}
    environment = {"OMP_NUM_THREADS": str(threads)}
    processes = [start("throughput", environment=environment, **settings) for _ in range(count // lanes)]
    try:
        done = [finish(process, "throughput", settings) for process in processes]
    finally:
        for process in processes:
            process.kill()  # where one failed, or the wait was interrupted
    steps = sum(each["steps"] / each["seconds"] for each in done)
    return {
        **asdict(case),
        "trainings": count,
        "threads_each": threads,
        "steps_per_s": steps,
        "meshes_per_s": steps * case.batch,
        "late_s": max(each["late"] for each in done),
    }
