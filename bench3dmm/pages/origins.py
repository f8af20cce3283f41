"""Where the runs of a report come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench3dmm.record.grid import shown_value, varying_fields
from bench3dmm.runs.results import Result
from bench3dmm.tasks.registry import get_task
from bench3dmm.view.blocks import Block, Table, Text
from bench3dmm.view.tables import NONE


def provenance(results: Sequence[Result]) -> Iterator[Block]:
    """Hashes, machines and commits, and every run with the fields in which runs differ."""
    yield Text(
        "Every run stores the hashes of its data, split and hierarchy, the commit and versions it was measured with, "
        "and where. Times are those of trainings that may have shared the machine."
    )
    yield _origins(results)
    yield _runs(results)


def _origins(results: Sequence[Result]) -> Table:
    """One row for each combination of data, device, commit and versions."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(_origin(result), []).append(result)
    rows = [
        [*origin, str(len(group)), _dates(group), f"{sum(map(_minutes, group)):.1f}"]
        for origin, group in groups.items()
    ]
    header = [
        "dataset",
        "data sha256",
        "hierarchy sha256",
        "device",
        "commit",
        "versions",
        "runs",
        "trained",
        "minutes",
    ]
    return Table(header, rows, "Where the runs come from", stacked=True)


def _origin(result: Result) -> tuple[str, ...]:
    made = result.provenance
    git = made.get("git") or {}
    commit = str(git.get("commit", ""))[:10] + (" with changes" if git.get("dirty") else "")
    versions = made["versions"] or {}
    return (
        result.run.dataset,
        str(made["dataset_sha256"])[:12],
        str(made["hierarchy_sha256"])[:12],
        str(made["device"]),
        commit or "unknown",
        ", ".join(f"{name} {versions[name]}" for name in ("bench3dmm", "torch") if name in versions),
    )


def _dates(results: Sequence[Result]) -> str:
    """The first and the last day."""
    days = sorted({str(result.provenance["created"])[:10] for result in results})
    return " to ".join(dict.fromkeys((days[0], days[-1])))


def _minutes(result: Result) -> float:
    return result.provenance.get("training_seconds", 0.0) / 60


def _runs(results: Sequence[Result]) -> Table:
    """One row a run, with every field in which runs differ and what every result of its task has been measured for."""
    always = ("dataset", "split", "loss", "latent", "seed")
    varying = varying_fields(result.run for result in results)
    fields = [*always, *(name for name in varying if name not in always)]
    tasks = dict.fromkeys(result.run.task for result in results)
    measures = list(dict.fromkeys(one for task in tasks for one in get_task(task).measures if one.required))
    rows = []
    for result in results:
        values = (f"{shown_value(result.run, name)}" for name in fields)
        measured = (_number(one.of(result.metrics)) for one in measures)
        costs = (f"{result.provenance.get('parameters', 0):,}", f"{_minutes(result):.1f}")
        rows.append([result.run.run_id, *values, *measured, *costs])
    named = ["d" if name == "latent" else name.replace("_", " ") for name in fields]
    return Table(["run", *named, *(one.heading for one in measures), "parameters", "minutes"], rows, "Every run")


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.3f}"
