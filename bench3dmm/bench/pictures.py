"""Pictures of a bench record; each says at its foot on which machine it was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench3dmm.bench.cases import SPIRALNET_WIDTHS
from bench3dmm.bench.peers import LATENT
from bench3dmm.bench.scaling import exponent
from bench3dmm.bench.stored import of_section
from bench3dmm.view.style import INK, PALETTE, SOFT, add_footer, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"engine": PALETTE[0], "published": PALETTE[1]}
GROWS_FROM = {"vertices": 5_000, "batch": 16}  # below, overheads that do not depend on the size weigh most
CLAIMED_RATE = 60  # meshes a second of 12,000 vertices (LAMM, abstract)
LABELS = {"engine": "bench3dmm", "published": "published formulation"}


def compare_figure(record: dict[str, Any]) -> Figure:
    """Time of a step and of a forward pass, and memory of training: both sides as bars, their ratio beside."""
    from matplotlib.figure import Figure

    rows = record["compare"]
    memory = [row for row in rows if "peak_mb" in row]
    with style():
        figure = Figure(figsize=(9.0, 0.32 * (len(rows) + len(memory)) + 2.0), layout="constrained")
        above, below = figure.subplots(2, 1, height_ratios=(len(rows) + 1, len(memory) + 1))
        _pairs(
            above,
            [_row_label(row) for row in rows],
            {side: [1e3 * row[f"{side}_s"]["median"] for row in rows] for side in COLOURS},
            {side: [[1e3 * row[f"{side}_s"][end] for row in rows] for end in ("min", "max")] for side in COLOURS},
        )
        above.set_xscale("log")
        above.set_xlim(right=2.5e3 * max(row["published_s"]["max"] for row in rows))
        above.set_xlabel("milliseconds (median; whiskers: least and most)")
        above.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        _pairs(
            below,
            [_row_label(row) for row in memory],
            {side: [row["peak_mb"][side] for row in memory] for side in COLOURS},
        )
        below.margins(x=0.12)
        below.set_xlabel("peak memory of training, MB")
        add_footer(figure, machine_line(record, "compare"))
    return figure


def peers_figure(record: dict[str, Any]) -> Figure:
    """A training step and the reconstruction of one mesh, every model on both meshes."""
    from matplotlib.figure import Figure

    rows = [row for row in record["peers"] if row["latent"] == LATENT]
    meshes = list(dict.fromkeys(row["mesh"] for row in rows))
    names = list(dict.fromkeys((row["model"], row["preset"]) for row in rows))
    titles = {
        "step_s": f"training step, batch {rows[0]['batch']}",
        "one_mesh_s": "reconstruction of one mesh",
    }
    height = 0.8 / len(meshes)
    with style():
        figure = Figure(figsize=(9.0, 0.45 * len(names) + 1.4), layout="constrained")
        for axes, (key, title) in zip(figure.subplots(1, 2, sharey=True), titles.items(), strict=True):
            for place, mesh in enumerate(meshes):
                shown = {(row["model"], row["preset"]): row[key] for row in rows if row["mesh"] == mesh and key in row}
                at = np.array([-names.index(name) - height * (place - (len(meshes) - 1) / 2) for name in shown])
                middle, *ends = (1e3 * np.array([t[end] for t in shown.values()]) for end in ("median", "min", "max"))
                vertices = next(row["vertices"] for row in rows if row["mesh"] == mesh)
                axes.barh(
                    at, middle, height=height, color=PALETTE[place], label=f"{mesh}, {vertices:,} vertices",
                    xerr=np.abs(np.array(ends) - middle), error_kw={"ecolor": INK, "elinewidth": 0.7},
                )  # fmt: skip
                for y, value, end in zip(at, middle, ends[1], strict=True):
                    axes.annotate(
                        f"{value:.3g}", (end, y), (4, 0), textcoords="offset points", va="center", fontsize=7,
                        color=SOFT,
                    )  # fmt: skip
            axes.margins(x=0.12)
            axes.set_title(title)
            axes.set_xlabel("milliseconds (median; whiskers: least and most)")
        first = figure.axes[0]
        first.set_yticks(-np.arange(len(names)), [_peer_label(*name) for name in names], fontsize=8)
        figure.axes[1].legend(loc="upper right")  # the quickest model is on top
        for name in names:
            if fits := [row for row in rows if (row["model"], row["preset"]) == name and "fit_s" in row]:
                text = "; ".join(
                    f"{row['fit_s']:.1f} s for {row['fit_meshes']:,} meshes ({row['mesh']})" for row in fits
                )
                first.text(0, -names.index(name), f" closed form, once:\n {text}", va="center", fontsize=7, color=SOFT)
        add_footer(figure, f"d = {rows[0]['latent']}. {machine_line(record, 'peers')}")
    return figure


def _peer_label(model: str, preset: str) -> str:
    return f"{model},\nSpiralNet++'s widths" if preset == SPIRALNET_WIDTHS else model


def layers_figure(record: dict[str, Any]) -> Figure:
    """Each spiral convolution, forward and backward: what was achieved, and the floor."""
    from matplotlib.figure import Figure

    frame = pd.DataFrame(record["layers"])
    groups = list(frame.groupby("preset", sort=False))
    with style():
        figure = Figure(figsize=(9.0, 4.6), layout="constrained")
        for axes, (preset, rows) in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
            at = np.arange(len(rows))[::-1]
            axes.barh(at, 1e3 * rows["achieved_s"], color=COLOURS["engine"], height=0.7, label="achieved")
            axes.barh(at, 1e3 * rows["floor_s"], color=PALETTE[4], height=0.35, label="floor")
            names = []
            for y, row in zip(at, rows.to_dict("records"), strict=True):
                text = f" {row['floor_fraction']:.0%} · {row['gflops']:.0f} GFLOP/s"
                axes.text(1e3 * row["achieved_s"], y, text, va="center", fontsize=7, color=SOFT)
                (v_in, v_out), (c_in, c_out) = row["vertices"], row["channels"]
                names.append(f"{row['layer']}\n{v_in:,} → {v_out:,} v, {c_in} → {c_out} ch")
            axes.set_yticks(at, names, fontsize=7)
            axes.set_xlim(0, 1.5e3 * rows["achieved_s"].max())
            axes.set_xlabel("ms, forward and backward, one thread")
            axes.set_title(f"preset {preset}, {rows['mesh'].iloc[0]}, batch {rows['batch'].iloc[0]}")
        axes.legend(loc="upper right")
        add_footer(figure, "Percent: floor / achieved. " + machine_line(record, "layers"))
    return figure


def lamm_figure(record: dict[str, Any]) -> Figure:
    """Meshes a second on one CPU thread, and training memory and time over vertices, of LAMM and of spiral models."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    frame = pd.DataFrame(record["lamm"])
    frame["label"] = frame["model"] + " (" + frame["preset"] + ")"
    labels = list(dict.fromkeys(frame["label"]))
    strokes = {
        label: {"color": PALETTE[place % len(PALETTE)], "marker": "osD^vP*X"[place % 8], "ls": line}
        for place, (label, line) in enumerate(
            (label, "-" if label.startswith("lamm") else (0, (4, 1.6))) for label in labels
        )
    }
    generated, trained = frame[frame["what"] == "generation"], frame[frame["what"] == "training"]
    with style():
        figure = Figure(figsize=(10.5, 3.6), layout="constrained")
        bars, memory, time = figure.subplots(1, 3)
        _generation_bars(bars, generated, strokes)
        for axes, key, factor, title in ((memory, "peak_mb", 1.0, "MB"), (time, "step_s", 1e3, "ms")):
            for label, part in trained.groupby("label", sort=False):
                axes.plot(part["vertices"], factor * part[key], ms=4, label=label, **strokes[label])
            axes.set(xscale="log", yscale="log", xlabel="vertices")
            sizes = sorted(set(trained["vertices"]))
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_minor_locator(NullLocator())
            axes.grid(True, which="major", alpha=0.3)
            axes.set_title(f"training, batch {trained['batch'].iloc[0]}: {title}")
        figure.legend(*time.get_legend_handles_labels(), loc="outside right center", fontsize=7)
        add_footer(figure, f"d = {frame['latent'].iloc[0]}. " + machine_line(record, "lamm"))
    return figure


def _generation_bars(axes: Axes, generated: pd.DataFrame, strokes: dict[str, dict[str, Any]]) -> None:
    """Meshes a second of each model, a bar for each number of meshes decoded at once, the fewest on top."""
    from matplotlib.patches import Patch

    labels, at_once = list(dict.fromkeys(generated["label"])), sorted(set(generated["batch"]))
    height = 0.8 / len(at_once)
    for label, batch, timing in zip(generated["label"], generated["batch"], generated["mesh_s"], strict=True):
        y = len(labels) - 1 - labels.index(label) + 0.4 - height * (at_once.index(batch) + 0.5)
        rate, alpha = 1 / timing["median"], 1.0 if batch == at_once[0] else 0.45
        axes.barh(y, rate, height=0.92 * height, color=strokes[label]["color"], alpha=alpha, lw=0)
        axes.annotate(f"{rate:,.0f}", (rate, y), (3, 0), textcoords="offset points", va="center", fontsize=6.5)
    axes.axvline(CLAIMED_RATE, color=SOFT, ls=":", lw=1)
    axes.set_yticks(range(len(labels)), labels[::-1], fontsize=7)
    axes.set_xlabel(f"meshes a second (dotted: {CLAIMED_RATE}, LAMM's claim)", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(CLAIMED_RATE / 3, 2.2 * max(1 / timing["median"] for timing in generated["mesh_s"]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title(f"decoding, {generated['vertices'].iloc[0]:,} vertices, one thread")
    marks = [
        Patch(color=SOFT, alpha=1.0 if batch == at_once[0] else 0.45, label=f"{batch} at a time") for batch in at_once
    ]
    axes.legend(handles=marks, loc="upper right", fontsize=6.5)


def scaling_figure(record: dict[str, Any]) -> Figure:
    """Time and memory of a training step over vertices, batch and latent size, log-log, with a linear guide."""
    from matplotlib.figure import Figure

    rows = record["scaling"]
    frame = pd.DataFrame(rows)
    titles = {"vertices": "vertices", "batch": "batch size", "latent": "latent size d"}
    with style():
        figure = Figure(figsize=(9.0, 5.0), layout="constrained")
        grid = figure.subplots(2, 3, sharex="col", sharey="row")
        for column, (axis, title) in enumerate(titles.items()):
            for row, (key, factor) in enumerate((("step_s", 1e3), ("peak_mb", 1.0))):
                axes = grid[row, column]
                for side, colour in COLOURS.items():
                    part = frame[(frame["axis"] == axis) & (frame["side"] == side)].sort_values("value")
                    marker = "o" if side == "engine" else "s"
                    label = LABELS[side]
                    axes.plot(part["value"], factor * part[key], color=colour, marker=marker, ms=4, label=label)
                axes.set(xscale="log", yscale="log")
                axes.grid(True, which="major", alpha=0.3)
                if key == "step_s" and axis != "latent":
                    _guide(axes, frame[(frame["axis"] == axis) & (frame["side"] == "engine")], factor)
            grid[1, column].set_xlabel(title)
            least = GROWS_FROM.get(axis, 0)
            slope = exponent(rows, axis, "engine", least)
            grid[0, column].set_title(f"time ∝ size$^{{{slope:.2f}}}$" + (f" from {least:,} on" if least else ""))
        grid[0, 0].set_ylabel("ms per training step")
        grid[1, 0].set_ylabel("peak memory of training, MB")
        grid[0, 2].legend(*grid[0, 0].get_legend_handles_labels(), loc="lower left")
        add_footer(
            figure,
            "Preset paper; where not on the axis: 6,704 vertices, batch 16, d = 16. " + machine_line(record, "scaling"),
        )
    return figure


def machine_line(record: dict[str, Any], section: str) -> str:
    """Device, threads, rates and versions of where a section was measured."""
    record = of_section(record, section)
    machine = record["machine"]
    return (
        f"{record['device']}; float32 matrix product {machine['gemm_flops'] / 1e9:,.0f} GFLOP/s, "
        f"copy {machine['bandwidth'] / 1e9:.0f} GB/s; torch {record['versions']['torch']}"
    )


def _row_label(row: dict[str, Any]) -> str:
    what = row["what"] if row["what"] == "training step" else f"forward, batch {row['batch']}"
    return f"{what}: {row['preset']}, {row['vertices']:,} v, d = {row['latent']}"


def _pairs(
    axes: Axes, names: list[str], values: dict[str, list[float]], ranges: dict[str, list[list[float]]] | None = None
) -> None:
    at = np.arange(len(names))[::-1]
    for side, offset in (("engine", 0.2), ("published", -0.2)):
        bars = np.array(values[side])
        spread = None if ranges is None else np.abs(np.array(ranges[side]) - bars)
        axes.barh(
            at + offset, bars, height=0.38, color=COLOURS[side], label=LABELS[side], xerr=spread,
            error_kw={"ecolor": INK, "elinewidth": 0.7},
        )  # fmt: skip
    ends = values["published"] if ranges is None else ranges["published"][1]
    for y, fast, slow, end in zip(at, values["engine"], values["published"], ends, strict=True):
        axes.annotate(
            f"{slow / fast:.1f} ×", (max(fast, slow, end), y), (6, 0), textcoords="offset points", va="center",
            fontsize=8, color=INK,
        )  # fmt: skip
    axes.set_yticks(at, names, fontsize=8)


def _guide(axes: Axes, part: pd.DataFrame, factor: float) -> None:
    """A dotted line of slope one under the largest point."""
    part = part.sort_values("value")
    end = part.iloc[-1]
    start = part["value"].iloc[0]
    top = 0.6 * factor * end["step_s"]
    line = ([start, end["value"]], [top * start / end["value"], top])
    axes.plot(*line, color=SOFT, ls=":", lw=1, label="linear")
