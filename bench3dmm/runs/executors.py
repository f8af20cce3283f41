"""Trainings at once, each in a process of its own."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench3dmm.data.registry import load_dataset
from bench3dmm.errors import Bench3dmmError
from bench3dmm.record.grid import differences
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.system.device import usable_cores
from bench3dmm.tasks.registry import get_task


def train_at_once(
    missing: Sequence[Run],
    runs: Sequence[Run],
    results_dir: str | Path,
    device: str,
    force: bool,
    progress: bool,
    jobs: int,
) -> dict[Run, str]:
    """Train in processes that end with the sweep; returns why runs failed."""
    for name in dict.fromkeys(run.dataset for run in missing):
        load_dataset(name, progress=progress)  # generated once, not by every process
    failures: dict[Run, str] = {}
    threads = max(1, usable_cores() // jobs)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, _use_threads, (threads,)) as pool:
        started = {pool.submit(_train_one, run, str(results_dir), device, force): run for run in missing}
        try:
            for number, done in enumerate(concurrent.futures.as_completed(started), 1):
                run = started[done]
                try:
                    line = done.result()
                except Bench3dmmError as error:
                    failures[run], line = str(error), "failed"
                except concurrent.futures.process.BrokenProcessPool:
                    failures[run] = line = "its process died: too little memory for so many jobs?"
                if progress:
                    label = f"[{number}/{len(missing)}] {run.run_id} {differences(run, runs)}"
                    print(f"{label}: {line}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return failures


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def _train_one(run: Run, results_dir: str, device: str, force: bool) -> str:
    started = time.perf_counter()
    result = execute(run, results_dir, device, force, progress=False)
    unit = get_task(run.task).headline.unit
    return f"{result.score:.3f} {unit}, {time.perf_counter() - started:.0f} s"
