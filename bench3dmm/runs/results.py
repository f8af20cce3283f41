"""Stored results: one JSON and one npz a run, and all of them as one tidy frame."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.errors import Bench3dmmError, DataError, PluginError, UnknownNameError
from bench3dmm.record.run import ADDED, Run
from bench3dmm.system.checkout import ROOT
from bench3dmm.system.storage import hash_file, read_npz, write_json, write_npz
from bench3dmm.tasks.registry import get_task

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.tasks.task import Task

CHECKOUT_RESULTS = ROOT / "results"
PROVENANCE = (
    "dataset_sha256",
    "dataset_recipe_sha256",
    "split_sha256",
    "hierarchy_sha256",
    "arrays_sha256",
    "device",
    "versions",
    "created",
)
COSTS = ("device", "seconds", "parameters", "created")  # what a frame shows of the provenance


@dataclass(frozen=True, eq=False)
class Result:
    """What one run gave.

    Attributes:
        run: its configuration.
        metrics: what its task measures, see `bench3dmm.tasks`.
        provenance: hashes, versions, device, seconds, memory.
        arrays: the same, and ``loss`` (epochs,).
    """

    run: Run
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def score(self) -> float:
        """The headline measure of its task."""
        return get_task(self.run.task).headline.of(self.metrics)


def results_folder(given: str | Path = "") -> Path:
    """The folder that is named; where none is, ``results`` of the checkout, or without one of the working directory."""
    if given:
        return Path(given)
    return CHECKOUT_RESULTS if CHECKOUT_RESULTS.is_dir() else Path("results")


def result_path(run: Run, results_dir: str | Path) -> Path:
    """Where a run's JSON lies: ``<results_dir>/<profile>/<run_id>.json``; its arrays are the npz beside it."""
    return Path(results_dir) / run.profile / f"{run.run_id}.json"


def save_result(result: Result, results_dir: str | Path) -> Path:
    """Write arrays, then the JSON that makes them a result."""
    path = result_path(result.run, results_dir)
    arrays = path.with_suffix(".npz")
    path.unlink(missing_ok=True)  # so that no JSON ever stands beside arrays that are not its own
    write_npz(arrays, result.arrays)
    result.provenance["arrays_sha256"] = hash_file(arrays)
    document = {
        "run_id": result.run.run_id,
        "run": result.run.as_dict(),
        "metrics": result.metrics,
        "provenance": result.provenance,
    }
    write_json(path, document)
    return path


def load_result(path: str | Path) -> Result:
    """Read one stored run.

    Raises:
        DataError: naming the file and what is wrong with it.
    """
    path = Path(path)
    document = read_document(path)
    arrays_path = path.with_suffix(".npz")
    if not arrays_path.exists():
        raise DataError(f"{arrays_path}: missing beside {path.name}; run it again with --force")
    if hash_file(arrays_path) != document["provenance"]["arrays_sha256"]:
        raise DataError(f"{arrays_path}: not the arrays that {path.name} was written with; run it again with --force")
    run, arrays = Run.from_dict(document["run"]), read_npz(arrays_path)
    _check(arrays_path, run, document["metrics"], arrays)
    return Result(run, document["metrics"], document["provenance"], arrays)


def read_document(path: Path) -> dict[str, Any]:
    """A result's JSON, checked: its keys, metrics as its task has them, a name that is its run's id."""
    try:
        document = json.loads(path.read_text())
        run = Run.from_dict(document["run"])
        metrics = dict(document["metrics"])
        missing = [key for key in PROVENANCE if key not in document["provenance"]]
        stored_id = document["run_id"]
    except FileNotFoundError:
        raise DataError(f"{path}: no such result") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Bench3dmmError) as error:
        raise DataError(f"{path}: not a result of this version ({error!r}); delete it and run it again") from None
    _check(path, run, metrics)
    if missing:
        raise DataError(f"{path}: provenance lacks {', '.join(missing)}; run it again with --force")
    if not run.run_id == stored_id == path.stem:
        raise DataError(f"{path}: its run has the id {run.run_id}: the file was renamed or its run edited")
    return document


def _check(path: Path, run: Run, metrics: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> None:
    """What the task asks of its results; one whose task is not installed here stays readable."""
    with contextlib.suppress(UnknownNameError, PluginError):
        try:
            get_task(run.task).check_result(metrics, arrays)
        except (DataError, ValueError, TypeError) as error:
            raise DataError(f"{path}: {error}; run it again with --force") from None


def load_results(results_dir: str | Path = "results") -> pd.DataFrame:
    """Every stored run below a folder, one row a run: ``run_id``, the run's fields, the metrics, device, seconds.

    Raises:
        DataError: naming the first broken file.
    """
    return _frame(read_document(path) for path in sorted(Path(results_dir).glob("*/*.json")))


def to_frame(results: Iterable[Result]) -> pd.DataFrame:
    """The same frame from results at hand."""
    return _frame(
        {"run_id": r.run.run_id, "run": r.run.as_dict(), "metrics": r.metrics, "provenance": r.provenance}
        for r in results
    )


def _frame(documents: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """What all tasks among the documents measure, in columns; ``score`` is each one's headline, ``metric`` its name."""
    import pandas as pd

    documents = list(documents)
    tasks: dict[str, Task] = {}
    for name in dict.fromkeys([Run.task, *(_task_name(one) for one in documents)]):
        with contextlib.suppress(UnknownNameError, PluginError):  # not installed here
            tasks[name] = get_task(name)
    measures = list({measure.key: measure for task in tasks.values() for measure in task.measures}.values())
    rows = []
    for document in documents:
        task, metrics = tasks.get(_task_name(document)), document["metrics"]
        rows.append(
            {
                "run_id": document["run_id"],
                **ADDED,
                **document["run"],
                "metric": task.headline.key if task else "",
                "score": task.headline.of(metrics) if task else math.nan,
                **{measure.key: measure.of(metrics) for measure in measures},
                **{key: document["provenance"].get(key) for key in COSTS},
            }
        )
    keys = [measure.key for measure in measures]
    return pd.DataFrame(rows, columns=["run_id", *Run.field_names(), "metric", "score", *keys, *COSTS])


def _task_name(document: dict[str, Any]) -> str:
    return document["run"].get("task", Run.task)
