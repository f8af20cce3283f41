"""How commands print: tables, and runs told apart by the fields in which they differ."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from bench3dmm.record.grid import shown_value, varying_fields
from bench3dmm.record.run import Run

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from bench3dmm.runs.results import Result

EXIT_FAILED, EXIT_USAGE = 1, 2

SORTED = ["profile", "dataset", "split", "model", "preset", "latent", "loss", "epochs", "seed"]


def new_table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def print_table(table: Table) -> None:
    from rich.console import Console

    # A pipe has no width of its own: do not cut what a script may read.
    Console(width=None if sys.stdout.isatty() else 400, highlight=False).print(table)


def print_runs(runs: Sequence[Run], header: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A row a run: every field in which the runs differ, then the cells; above them what the runs share."""
    varying = varying_fields(runs)
    shared = [name for name in SORTED if name not in varying]
    if shared:
        typer.echo("each run: " + ", ".join(f"{name} {shown_value(runs[0], name)}" for name in shared))
    table = new_table("run_id", *varying, *header)
    for run, row in zip(runs, cells, strict=True):
        table.add_row(run.run_id, *(f"{shown_value(run, name)}" for name in varying), *row)
    print_table(table)


def score_columns(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells of what runs came to, of results as `bench3dmm.runs.results.load_results` gives them: the first
    measures of their task, or where they are of several tasks each one's headline and its name."""
    from bench3dmm.tasks.registry import get_task

    tasks = results["task"].unique()
    if len(tasks) != 1 or not results["metric"].all():
        cells = zip(results["score"], results["metric"], strict=True)
        return ["score", "measure"], [[f"{score:.3f}", metric] for score, metric in cells]
    measures = [measure for measure in get_task(tasks[0]).measures if measure.required][:2]
    values = results[[measure.key for measure in measures]].to_numpy(float)
    return [measure.heading for measure in measures], [[f"{value:.3f}" for value in row] for row in values]


def print_result(result: Result) -> None:
    """What a run measured: by expression where its task does that, and all other measures below each other."""
    from bench3dmm.tasks.registry import get_task

    measures = get_task(result.run.task).measures
    groups = result.metrics.get("by_expression") or {}
    columns = [one for one in measures if groups and all(one.of(group) == one.of(group) for group in groups.values())]
    if columns:
        table = new_table("", "meshes", *(one.heading for one in columns))
        for name, values in {**groups, "all": result.metrics}.items():
            table.add_row(name, str(values.get("meshes", "")), *(f"{one.of(values):.3f}" for one in columns))
        print_table(table)
    if measures[0] not in columns:
        table = new_table("measure", "value")
        for one in measures:
            if one not in columns and one.of(result.metrics) == one.of(result.metrics):
                table.add_row(one.heading, f"{one.of(result.metrics):.3f}")
        print_table(table)
