"""Many runs: a sweep trains what is not stored yet."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench3dmm.errors import TrainingError
from bench3dmm.record.grid import differences
from bench3dmm.record.run import Run
from bench3dmm.runs.claims import POLL, BusyError, holder_of
from bench3dmm.runs.execute import check_names, execute
from bench3dmm.runs.executors import train_at_once
from bench3dmm.runs.order import LONGEST, by_length, check_order
from bench3dmm.runs.plan import reason_of
from bench3dmm.runs.results import Result, result_path, to_frame
from bench3dmm.runs.side_by_side import MOST, train_side_by_side
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
    """Execute runs, skipping those stored; an interrupted sweep goes on where it was, and several share the work.

    Args:
        runs: repeated ones are executed once.
        force: train those that are stored again.
        jobs: trainings at once, each in a process with its share of the cores; 0: one a core. On a GPU how many at
            most are side by side in this process; 0: as many as are measured to pay.
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
    on_card = bool(missing) and not datasets and resolve_device(device).type == "cuda"
    most = jobs or (MOST if on_card else usable_cores())
    jobs = 1 if datasets else min(most, len(missing))
    if progress:
        how = f"; up to {jobs} trainings side by side" if on_card else f"; {jobs} trainings at once"
        print(f"{len(runs) - len(missing)} of {len(runs)} runs are stored{how if jobs > 1 else ''}", file=sys.stderr)
    failures: dict[Run, str] = {}
    try:
        if jobs > 1:
            train = train_side_by_side if on_card else train_at_once
            missing = by_length(missing, results_dir, order)
            failures = train(missing, runs, results_dir, device, force, progress, jobs)
            force = False
        results = _one_after_another(runs, results_dir, device, force, progress, datasets or {}, failures)
    except KeyboardInterrupt:
        if progress:
            stored = sum(result_path(run, results_dir).exists() for run in runs)
            print(
                f"\nstopped: {stored} of {len(runs)} runs are stored; the same command goes on where it was",
                file=sys.stderr,
            )
        raise
    if failures:
        lines = [f"{run.run_id} ({differences(run, runs)}): {reason}" for run, reason in failures.items()]
        raise TrainingError(f"{len(failures)} of {len(runs)} runs failed:\n" + "\n".join(lines))
    return to_frame(results)


def _one_after_another(
    runs: Sequence[Run],
    results_dir: str | Path,
    device: str,
    force: bool,
    progress: bool,
    datasets: Mapping[str, Dataset],
    failures: dict[Run, str],
) -> list[Result]:
    """Results of runs that have not failed yet, in their order; why others fail is added to ``failures``.

    What another sweep trains is left to it, and asked for again when nothing else is to be done.
    """
    results: dict[Run, Result] = {}
    waiting = deque((number, run) for number, run in enumerate(runs, 1) if run not in failures)
    busy: set[Run] = set()  # that somebody else trained when they were asked for
    while waiting:
        number, run = waiting.popleft()
        path = result_path(run, results_dir)
        try:
            if progress and (force or not path.exists()) and holder_of(path) is None:
                label = f"[{number}/{len(runs)}] {run.run_id} {differences(run, runs)}"
                print(f"{label}: training", file=sys.stderr)
            results[run] = execute(
                run, results_dir, device, force, progress, dataset=datasets.get(run.dataset), wait=False
            )
        except BusyError as error:
            if run not in busy and progress:
                print(f"{error}; it is left to that", file=sys.stderr)
            busy.add(run)
            waiting.append((number, run))
            if all(one in busy for _, one in waiting):
                time.sleep(POLL)
        except Exception as error:  # whatever it is, it costs this run alone
            failures[run] = reason_of(error)
    return [results[run] for run in runs if run in results]
