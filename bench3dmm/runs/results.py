"""Stored results: one JSON and one npz a run, and all of them as one tidy frame."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.record.run import ADDED, Run
from bench3dmm.system.checkout import ROOT
from bench3dmm.system.storage import hash_file, read_npz, write_json, write_npz

if TYPE_CHECKING:
    import pandas as pd

CHECKOUT_RESULTS = ROOT / "results"
METRICS = ("mean_mm", "median_mm", "std_mm", "p95_mm")
NEAR = ("near_mm", "far_mm")  # where the template has landmarks
MEASURES = ("normal_deg", "specificity_mm", "compactness")  # that results did not have at first
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
ARRAYS = (
    "histogram",
    "histogram_edges",
    "sample_error",
    "sample_index",
    "vertex_error",
    "reconstruction_index",
    "reconstruction_offset",
)


@dataclass(frozen=True, eq=False)
class Result:
    """What one run gave.

    Attributes:
        run: its configuration.
        metrics: see `bench3dmm.tasks.parts.errors.evaluate`.
        provenance: hashes, versions, device, seconds, memory.
        arrays: see `bench3dmm.tasks.parts.errors.evaluate`, and ``loss`` (epochs,).
    """

    run: Run
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    arrays: dict[str, np.ndarray]


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
    arrays = read_npz(arrays_path)
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise DataError(f"{arrays_path}: lacks {', '.join(missing)}; run it again with --force")
    return Result(Run.from_dict(document["run"]), document["metrics"], document["provenance"], arrays)


def read_document(path: Path) -> dict[str, Any]:
    """A result's JSON, checked: its keys, metrics that are finite, a name that is its run's id."""
    try:
        document = json.loads(path.read_text())
        run = Run.from_dict(document["run"])
        metrics = [document["metrics"], *document["metrics"]["by_expression"].values()]
        values = [float(entry[name]) for entry in metrics for name in METRICS]
        missing = [key for key in PROVENANCE if key not in document["provenance"]]
        stored_id = document["run_id"]
    except FileNotFoundError:
        raise DataError(f"{path}: no such result") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Bench3dmmError) as error:
        raise DataError(f"{path}: not a result of this version ({error!r}); delete it and run it again") from None
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise DataError(f"{path}: a metric is negative or not finite; run it again with --force")
    if missing:
        raise DataError(f"{path}: provenance lacks {', '.join(missing)}; run it again with --force")
    if not run.run_id == stored_id == path.stem:
        raise DataError(f"{path}: its run has the id {run.run_id}: the file was renamed or its run edited")
    return document


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
    import pandas as pd

    rows = [
        {
            "run_id": document["run_id"],
            **ADDED,
            **document["run"],
            **{name: document["metrics"][name] for name in METRICS},
            **{name: document["metrics"].get(name, math.nan) for name in (*NEAR, *MEASURES)},
            **{key: document["provenance"].get(key) for key in COSTS},
        }
        for document in documents
    ]
    return pd.DataFrame(rows, columns=["run_id", *Run.field_names(), *METRICS, *NEAR, *MEASURES, *COSTS])
