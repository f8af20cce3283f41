"""Many runs: a sweep trains what is not stored yet and returns one frame."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import Bench3dmmError, TrainingError
from bench3dmm.results import Result, result_path, to_frame
from bench3dmm.run import Run, execute

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.data.dataset import Dataset


def grid(**axes: Any) -> list[Run]:
    """Runs of all combinations: each field of `Run` is a value or a list of values; the first varies slowest.

    >>> [run.latent for run in grid(dataset="mh-scan", latent=[8, 16], seed=[0, 1])]
    [8, 8, 16, 16]
    """
    values = [v if isinstance(v, list | tuple | range) else [v] for v in axes.values()]
    return [Run(**dict(zip(axes, chosen, strict=True))) for chosen in itertools.product(*values)]


def sweep(
    runs: Iterable[Run],
    results_dir: str | Path = "results",
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
    *,
    datasets: Mapping[str, Dataset] | None = None,
) -> pd.DataFrame:
    """Execute runs in order, skipping those stored; an interrupted sweep goes on where it was.

    Args:
        runs: repeated ones are executed once.
        datasets: meshes by name, instead of `load_dataset`'s.

    Returns:
        One row a run, in the order given; see `bench3dmm.results.to_frame`.

    Raises:
        TrainingError: after the last run, if some failed: which, and why. The others are stored.
    """
    runs = list(dict.fromkeys(runs))
    results: list[Result] = []
    failures: list[str] = []
    for number, run in enumerate(runs, 1):
        stored = result_path(run, results_dir).exists() and not force
        if progress:
            state = "stored" if stored else "training"
            print(f"[{number}/{len(runs)}] {run.run_id} {_differences(run, runs)}: {state}", file=sys.stderr)
        try:
            given = (datasets or {}).get(run.dataset)
            results.append(execute(run, results_dir, device, force, progress, dataset=given))
        except Bench3dmmError as error:
            failures.append(f"{run.run_id} ({_differences(run, runs)}): {error}")
    if failures:
        raise TrainingError(f"{len(failures)} of {len(runs)} runs failed:\n" + "\n".join(failures))
    return to_frame(results)


def _differences(run: Run, runs: Sequence[Run]) -> str:
    """The fields in which the runs of a sweep differ."""
    varying = [name for name in Run.field_names() if len({getattr(r, name) for r in runs}) > 1]
    return ", ".join(f"{name}={getattr(run, name)}" for name in varying) or run.dataset
