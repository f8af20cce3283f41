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

EXIT_FAILED, EXIT_USAGE = 1, 2

SORTED = ["profile", "dataset", "split", "model", "preset", "latent", "loss", "epochs", "seed"]
ERRORS = ["mean (mm)", "median (mm)"]


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


def error_cells(results: pd.DataFrame) -> list[list[str]]:
    """The columns `ERRORS` of results, as `bench3dmm.runs.results.load_results` gives them."""
    return [[f"{mean:.3f}", f"{median:.3f}"] for mean, median in zip(results.mean_mm, results.median_mm, strict=True)]
