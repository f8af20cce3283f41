"""Errors of runs: their distribution as curves, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench3dmm.errors import Bench3dmmError
from bench3dmm.view.style import PALETTE, add_footer, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench3dmm.runs.results import Result


def error_table(results: Sequence[Result]) -> pd.DataFrame:
    """The per-vertex Euclidean error of runs on their test split, in mm, one row a run, best first."""
    rows = [
        {
            "run": run_label(result),
            "mean": result.metrics["mean_mm"],
            "std": result.metrics["std_mm"],
            "median": result.metrics["median_mm"],
            "95th percentile": result.metrics["p95_mm"],
        }
        for result in results
    ]
    return pd.DataFrame(rows).sort_values("mean").round(3).reset_index(drop=True)


def error_cdf_figure(results: Sequence[Result], limit: float = 10.0) -> Figure:
    """The share of test vertices within an error, one curve a run (the paper's Fig. 6)."""
    from matplotlib.figure import Figure

    if not results:
        raise Bench3dmmError("error_cdf_figure needs at least one result")
    with style():
        figure = Figure(figsize=(5.6, 3.8))
        axes = figure.add_axes((0.11, 0.19, 0.86, 0.74))
        several = len({result.run.split for result in results}) > 1
        for result, colour, dash in zip(results, *_strokes(len(results)), strict=True):
            label = run_label(result) + (f", {result.run.split}" if several else "")
            axes.plot(*cumulative_error([result], limit), color=colour, ls=dash, label=label)
        cumulative_axes(axes, limit)
        axes.set_ylabel("test vertices within it (%)")
        axes.legend(loc="lower right")
        add_footer(figure, run_line(*results))
    return figure


def cumulative_error(results: Sequence[Result], limit: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Errors in mm up to a limit, and the share of test vertices within each, in percent, averaged over the runs."""
    edges = results[0].arrays["histogram_edges"]
    counts = np.stack([result.arrays["histogram"] for result in results])
    share = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    share = np.concatenate([[0.0], share.mean(axis=0)])
    within = edges <= limit
    return edges[within], 100 * share[within]


def cumulative_axes(axes: Axes, limit: float) -> None:
    axes.set(xlim=(0, limit), ylim=(0, 100), xlabel="per-vertex Euclidean error (mm)")
    axes.grid(True)


def run_line(*results: Result) -> str:
    """What the runs share and where they differ: datasets, splits, profiles, seeds."""

    def several(values: Sequence[object]) -> str:
        return ", ".join(str(value) for value in dict.fromkeys(values))

    runs = [result.run for result in results]
    seeds = "seeds" if len({run.seed for run in runs}) > 1 else "seed"
    line = (
        f"{several([run.dataset for run in runs])} · {several([run.split for run in runs])} split"
        f" · profile {several([run.profile for run in runs])} · {seeds} {several([run.seed for run in runs])}"
    )
    return f"{line} · {run_label(results[0])}" if len(runs) == 1 else line


def run_label(result: Result) -> str:
    """A model fitted in closed form has neither a preset nor a loss worth naming."""
    run = result.run
    if len(result.arrays["loss"]):
        return f"{run.model} ({run.preset}), d = {run.latent}, {run.loss}"
    return f"{run.model}, d = {run.latent}"


def _strokes(count: int) -> tuple[list[str], list[str]]:
    """Colours, and a new dash each time they start over."""
    dashes = ("-", "--", ":", "-.")
    colours = [PALETTE[index % len(PALETTE)] for index in range(count)]
    return colours, [dashes[index // len(PALETTE) % len(dashes)] for index in range(count)]
