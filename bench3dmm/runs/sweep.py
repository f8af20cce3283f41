"""Many runs: a sweep trains what is not stored yet."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench3dmm.errors import TrainingError
from bench3dmm.record.grid import differences
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import check_names, execute
from bench3dmm.runs.executors import reason_of, train_at_once
from bench3dmm.runs.order import LONGEST, by_length, check_order
from bench3dmm.runs.results import Result, result_path, to_frame
from bench3dmm.system.device import resolve_device, usable_cores

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.data.dataset import Dataset


def sweep(
    runs: Iterable[Run],
    results_dir: str | Path = "results",
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
    *,
    jobs: int = 1,
    order: str = LONGEST,
    datasets: Mapping[str, Dataset] | None = None,
) -> pd.DataFrame:
    """Execute runs, skipping those stored; an interrupted sweep goes on where it was.

    Args:
        runs: repeated ones are executed once.
        force: train those that are stored again.
        jobs: trainings at once, each in a process with its share of the cores; 0: one a core, on a GPU one.
        order: with more than one job, ``longest`` first, as far as stored runs tell, or as ``given``.
        datasets: meshes by name, instead of `load_dataset`'s; only with one job.

    Returns:
        One row a run, in the order given; see `bench3dmm.runs.results.to_frame`.

    Raises:
        TrainingError: after the last run, if some failed: which, and why. The others are stored.
    """
    check_order(order)
    runs = list(dict.fromkeys(runs))
    for run in runs:
        check_names(run)
    missing = [run for run in runs if force or not result_path(run, results_dir).exists()]
    jobs = min(jobs if jobs > 0 else _default_jobs(device), len(missing)) if missing else 0
    if progress:
        at_once = f"; {jobs} trainings at once" if jobs > 1 and not datasets else ""
        print(f"{len(runs) - len(missing)} of {len(runs)} runs are stored{at_once}", file=sys.stderr)
    if jobs > 1 and not datasets:
        missing = by_length(missing, results_dir, order)
    try:
        return _trained(runs, missing, results_dir, device, force, progress, jobs, datasets or {})
    except KeyboardInterrupt:
        if progress:
            stored = sum(result_path(run, results_dir).exists() for run in runs)
            print(
                f"\nstopped: {stored} of {len(runs)} runs are stored; the same command goes on where it was",
                file=sys.stderr,
            )
        raise


def _trained(
    runs: Sequence[Run],
    missing: Sequence[Run],
    results_dir: str | Path,
    device: str,
    force: bool,
    progress: bool,
    jobs: int,
    datasets: Mapping[str, Dataset],
) -> pd.DataFrame:
    failures: dict[Run, str] = {}
    if jobs > 1 and not datasets:
        failures = train_at_once(missing, runs, results_dir, device, force, progress, jobs)
        force = False
    results: list[Result] = []
    for number, run in enumerate(runs, 1):
        if run in failures:
            continue
        stored = result_path(run, results_dir).exists() and not force
        if progress and not stored:
            print(f"[{number}/{len(runs)}] {run.run_id} {differences(run, runs)}: training", file=sys.stderr)
        try:
            results.append(execute(run, results_dir, device, force, progress, dataset=datasets.get(run.dataset)))
        except Exception as error:  # whatever it is, it costs this run alone
            failures[run] = reason_of(error)
    if failures:
        lines = [f"{run.run_id} ({differences(run, runs)}): {reason}" for run, reason in failures.items()]
        raise TrainingError(f"{len(failures)} of {len(runs)} runs failed:\n" + "\n".join(lines))
    return to_frame(results)


def _default_jobs(device: str) -> int:
    return 1 if resolve_device(device).type == "cuda" else usable_cores()
