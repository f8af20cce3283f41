"""Models on one protocol: errors over latent size, time, region and face."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.errors import DataError
from bench3dmm.papers.comparison.chosen import (
    COMMON_LATENT,
    HOLLOW,
    PLACES,
    Panel,
    chosen_of,
    foot,
    in_order,
    panels_of,
    regions_of,
    results_of,
)
from bench3dmm.papers.comparison.experiments import PEERS
from bench3dmm.papers.setup import BENCH_JSON, Chosen, Setup
from bench3dmm.statistics.ranking import LEAST_SEEDS, Standing, rankings
from bench3dmm.system.words import small_print
from bench3dmm.view.camera import fit_view
from bench3dmm.view.curves import run_line
from bench3dmm.view.heatmaps import stored_reconstructions
from bench3dmm.view.rankings import INTERVALS
from bench3dmm.view.render import ERROR_MAP, contact_sheet, render_meshes
from bench3dmm.view.style import INK, PALETTE, SOFT, add_footer, colour_bar, legend_entries, picture, style, tight_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.runs.results import Result


FACES = (0, 3)  # which of the six stored reconstructions are drawn
STRIP = 40  # pixels below a face, for its mean error
STROKES: dict[str, dict[str, Any]] = {
    "pca": {"color": INK, "marker": "D", "ls": (0, (4, 1.6))},
    "coma": {"color": PALETTE[1], "marker": "s"},
    "spiralnet": {"color": PALETTE[2], "marker": "^"},
    "neural3dmm": {"color": PALETTE[0], "marker": "o"},
}
FOREIGN: list[dict[str, Any]] = [
    {"color": colour, "marker": marker} for colour, marker in zip(PALETTE[3:7], "vPX*", strict=True)
]


# --- figures ------------------------------------------------------------------------------------------------------


def error_over_latent_figure(results: Sequence[Result], setup: Setup | None = None) -> Figure:
    """Mean error over the latent size, a line a model, a panel for each dataset and split; bands are 95 % intervals.

    Raises:
        DataError: none of its runs is among the results.
    """
    from matplotlib.figure import Figure

    setup = setup or Setup()
    panels = panels_of("the figure of errors over the latent size", results, setup)
    strokes = _strokes(panels)
    with style():
        figure = Figure(figsize=(1.2 + 2.7 * len(panels), 3.9), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(row, panels, strict=True):
            for model, stroke in strokes.items():
                points = [(r.latent, s) for r in panel.rankings if (s := r.standing(model))]
                if points:
                    _band(axes, points, model, stroke)
            latents = [ranking.latent for ranking in panel.rankings]
            axes.set_xscale("log", base=2)
            axes.set_xticks(latents, [str(latent) for latent in latents])
            axes.set_xlabel("latent size d")
            axes.set_title(panel.title)
            axes.grid(True)
        _millimetres(row, [s.mean.point for p in panels for r in p.rankings for s in r.standings])
        _legend(figure, row)
        add_footer(
            figure, _figure_foot(panels, setup, "bands: " + INTERVALS.format(unit=panels[0].rankings[0].unit), HOLLOW)
        )
    return figure


def _band(axes: Axes, points: Sequence[tuple[int, Standing]], model: str, stroke: Mapping[str, Any]) -> None:
    """A model's line; its marks are hollow where there are too few seeds to rank it."""
    latents, standings = zip(*points, strict=True)
    means = [standing.mean for standing in standings]
    ends = [mean.low for mean in means], [mean.high for mean in means]
    axes.fill_between(latents, *ends, color=stroke["color"], alpha=0.15, lw=0)
    axes.plot(latents, [mean.point for mean in means], ms=5, label=model, zorder=3, **stroke)
    few = [(d, s.mean.point) for d, s in points if len(s.seeds) < LEAST_SEEDS and not s.closed_form]
    if few:
        axes.plot(
            *zip(*few, strict=True), ls="", ms=5, mfc="white", color=stroke["color"], marker=stroke["marker"], zorder=4
        )


def error_over_time_figure(
    results: Sequence[Result],
    setup: Setup | None = None,
    place: str = "bu3dfe",
    split: str = "percentage",
    bench: str | Path = BENCH_JSON,
) -> Figure:
    """Mean error over what a model costs: ms a training step (PCA has none) and ms to reconstruct one mesh.

    Each model is a line through its latent sizes that were timed. The times are those of ``bench3dmm bench peers``;
    without them those of the stored trainings stand in, which were measured beside other trainings.

    Args:
        bench: the file of times.

    Raises:
        DataError: none of its runs is among the results.
    """
    from matplotlib.figure import Figure

    setup = setup or Setup()
    chosen = chosen_of("the figure of errors over time", results, setup, place, split)
    panel = Panel(chosen, rankings(chosen.results))
    times, source = _times(chosen, Path(bench))
    costs = [cost for cost in ("training step", "one mesh") if any(cost in of_run for of_run in times.values())]
    strokes = _strokes([panel])
    with style():
        figure = Figure(figsize=(1.2 + 3.3 * max(1, len(costs)), 3.9), layout="constrained")
        row = figure.subplots(1, max(1, len(costs)), squeeze=False, sharey=True)[0]
        for axes, cost in zip(row, costs, strict=False):
            for model, stroke in strokes.items():
                _over_time(axes, panel, times, cost, model, stroke)
            _time_axis(axes, [1e3 * of_run[cost] for of_run in times.values() if cost in of_run], COSTS[cost])
            axes.grid(True)
        timed = {latent for _, latent in times}
        every = [(r.latent, s.mean.point) for r in panel.rankings for s in r.standings]
        _millimetres(row, [mean for latent, mean in every if latent in timed] or [mean for _, mean in every])
        _legend(figure, row)
        add_footer(figure, _figure_foot([panel], setup, f"numbers at the points: latent size · {source}"))
    return figure


STEP = 16  # meshes
COSTS = {"training step": f"ms a training step, {STEP} meshes", "one mesh": "ms to reconstruct one mesh"}


def _over_time(axes: Axes, panel: Panel, times: Mapping, cost: str, model: str, stroke: Mapping[str, Any]) -> None:
    """A model's line; where it has no such cost, as PCA no training steps, its errors as marks at the border."""
    measured = [(r.latent, s) for r in panel.rankings if (s := r.standing(model))]
    points = [(1e3 * times[model, d][cost], s.mean.point, d) for d, s in measured if cost in times.get((model, d), {})]
    if points:
        x, y, latents = zip(*points, strict=True)
        axes.plot(x, y, ms=5, label=model, zorder=3, **stroke)
        for at, height, latent in zip(x, y, latents, strict=True):
            axes.annotate(f"{latent}", (at, height), (5, 3), textcoords="offset points", fontsize=6.5, color=SOFT)
    elif measured and all(standing.closed_form for _, standing in measured):
        timed = {latent for _, latent in times}
        for latent, standing in measured:
            if latent not in timed:
                continue
            axes.axhline(standing.mean.point, color=stroke["color"], lw=0.7, ls=stroke.get("ls", "-"), zorder=1)
            axes.annotate(
                f"{model}, {latent}: no steps",
                (0.01, standing.mean.point),
                (0, 2),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                fontsize=6.5,
                color=SOFT,
            )


def _time_axis(axes: Axes, milliseconds: Sequence[float], label: str) -> None:
    """Logarithmic, with room at the left for what is said of a model without steps."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(min(milliseconds) / 3, max(milliseconds) * 1.5)
    axes.xaxis.set_major_locator(FixedLocator([t * 10.0**e for e in range(-4, 6) for t in (1, 2, 5)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(label)


def _times(chosen: Chosen, bench: Path) -> tuple[dict[tuple[str, int], dict[str, float]], str]:
    """Seconds of each model at each latent size that was timed, and where they are from."""
    first = chosen.results[0].run
    mesh = first.dataset.partition("@")[0]
    timed = [row for row in _bench_rows(bench) if (row.get("mesh"), row.get("preset")) == (mesh, first.preset)]
    if timed:
        named = {"training step": "step_s", "one mesh": "one_mesh_s"}
        times = {
            (row["model"], row["latent"]): {cost: row[key]["median"] for cost, key in named.items() if row.get(key)}
            for row in timed
        }
        latents = ", ".join(str(latent) for latent in sorted({latent for _, latent in times}))
        return times, f"times: `bench3dmm bench peers`, nothing else running, at d = {latents}"
    trained: dict[tuple[str, int], list[float]] = {}
    for result in chosen.results:
        made, run = result.provenance, result.run
        if len(result.arrays["loss"]) and made.get("train_meshes"):
            seen = run.n_epochs * made["train_meshes"]
            trained.setdefault((run.model, run.latent), []).append(STEP * float(made["training_seconds"]) / seen)
    times = {key: {"training step": float(np.median(values))} for key, values in trained.items()}
    return times, (
        "times: of the stored trainings, measured while others ran beside them, so rough; "
        "`bench3dmm bench peers` measures them properly"
    )


def _bench_rows(bench: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(bench.read_text()).get("peers", [])
    except FileNotFoundError:
        return []


def region_figure(results: Sequence[Result], setup: Setup | None = None, latent: int = COMMON_LATENT) -> Figure:
    """Mean error in each region of the face, a mark a model; bars are the lowest and highest seed.

    Raises:
        DataError: none of its runs is among the results, or none says it.
    """
    from matplotlib.figure import Figure

    setup = setup or Setup()
    panels = panels_of("the figure of errors by region", results, setup, latent=latent)
    regions = regions_of([result for panel in panels for result in panel.chosen.results])
    if not regions:
        raise DataError(
            "the figure of errors by region: the results were stored before regions were measured; "
            f"run `{setup.command('peers')} --force`"
        )
    panels = [panel for panel in panels if regions_of(panel.chosen.results)]
    strokes = _strokes(panels)
    step = 0.7 / max(1, len(strokes))
    with style():
        figure = Figure(figsize=(1.2 + 2.7 * len(panels), 3.6), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(row, panels, strict=True):
            for place, (model, stroke) in enumerate(strokes.items()):
                standing = panel.rankings[0].standing(model)
                errors = (
                    _by_region(results_of(panel.chosen, standing), regions) if standing else np.empty((0, len(regions)))
                )
                if not len(errors):
                    continue
                x = np.arange(len(regions)) + (place - (len(strokes) - 1) / 2) * step
                mean = errors.mean(axis=0)
                spans = [mean - errors.min(axis=0), errors.max(axis=0) - mean]
                marks = {name: stroke[name] for name in ("color", "marker")}
                axes.errorbar(x, mean, spans, fmt="none", ecolor=stroke["color"], elinewidth=1.2, capsize=2)
                axes.plot(x, mean, ls="", ms=5.5, label=model, zorder=3, **marks)
            axes.set_xticks(range(len(regions)), regions)
            axes.set_xlim(-0.5, len(regions) - 0.5)
            axes.set_title(panel.title)
            axes.grid(True, axis="y")
        row[0].set_ylim(bottom=0)
        row[0].set_ylabel("mean error (mm)")
        _legend(figure, row)
        add_footer(figure, _figure_foot(panels, setup, f"d = {latent} · bars: lowest and highest seed"))
    return figure


def _by_region(results: Sequence[Result], regions: Sequence[str]) -> np.ndarray:
    """(S, regions) mean errors of the seeds that were measured by region."""
    measured = [result.metrics["by_region"] for result in results if result.metrics.get("by_region")]
    return np.array([[of.get(region, np.nan) for region in regions] for of in measured]).reshape(-1, len(regions))


def peers_faces_figure(
    results: Sequence[Result],
    dataset: Dataset,
    setup: Setup | None = None,
    split: str = "percentage",
    latent: int = COMMON_LATENT,
    cmap: str = ERROR_MAP,
) -> Figure:
    """Test meshes (rows) and the error of every model's reconstruction of them, on one scale; the first seed of each.

    Args:
        dataset: the one in BU3DFE's place.

    Raises:
        DataError: none of its runs is among the results, or the dataset is another.
    """
    setup = setup or Setup()
    chosen = chosen_of("the figure of faces", results, setup, "bu3dfe", split, latent=latent)
    firsts = {model: chosen.where(model=model)[0] for model in in_order(r.run.model for r in chosen.results)}
    places = [place for place in FACES if place < len(chosen.results[0].arrays["reconstruction_index"])]
    shown = {model: stored_reconstructions(result, dataset, places) for model, result in firsts.items()}
    reference, _, labels = next(iter(shown.values()))
    faces, count = dataset.template.faces, len(reference)
    width, height = size = tight_size(reference, 320)
    view = fit_view(reference, "front", size)
    columns = [render_meshes(reference, faces, size=size, view=view)]
    errors = {model: np.linalg.norm(made - reference, axis=2) for model, (_, made, _) in shown.items()}
    for model, (_, made, _) in shown.items():
        columns.append(render_meshes(made, faces, values=errors[model], size=size, view=view, cmap=cmap))
    cells = [np.pad(c[row], ((0, STRIP), (0, 0), (0, 0)), constant_values=255) for row in range(count) for c in columns]
    sheet, height = contact_sheet(cells, columns=len(columns), gap=0), height + STRIP
    footer = f"{foot(Chosen(list(firsts.values()), []), setup, 'peers')} · d = {latent}"
    absent = [model for model in PEERS if model not in firsts]
    if absent:
        footer += f" · missing: {', '.join(absent)}, see `{setup.command('peers')}`"
    with style():
        figure, axes = picture(sheet, 1.25 * len(columns), left=0.75, right=0.95, top=0.3, footer=footer)
        for column, title in enumerate(["reference", *shown]):
            axes.text((column + 0.5) * width, -8, title, ha="center", va="bottom", fontsize=8)
        for row, label in enumerate(labels):
            axes.text(-12, (row + 0.5) * height, label, ha="right", va="center", fontsize=8)
            for column, error in enumerate(errors.values(), 1):
                text = f"{error[row].mean():.2f} mm"
                axes.text((column + 0.5) * width, (row + 1) * height - STRIP, text, ha="center", va="top", fontsize=6.5)
        colour_bar(figure, cmap)
    return figure


def _strokes(panels: Sequence[Panel]) -> dict[str, dict[str, Any]]:
    """Colour, marker and dash of every model, the same in all panels; shape and colour both tell them apart."""
    names = in_order(s.model for panel in panels for ranking in panel.rankings for s in ranking.standings)
    others = [name for name in names if name not in STROKES]
    return {name: STROKES[name] if name in STROKES else FOREIGN[others.index(name) % len(FOREIGN)] for name in names}


def _millimetres(row: Sequence[Axes], values: Sequence[float]) -> None:
    """A logarithmic axis: errors at small and large codes differ by a factor, and models by a share of it."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ticks = [t * 10.0**e for e in range(-4, 4) for t in (1, 1.5, 2, 3, 5, 7)]
    row[0].set_yscale("log")
    low, high = row[0].get_ylim()
    row[0].set_ylim(min(low, 0.9 * min(values)), max(high, 1.1 * max(values)))
    row[0].yaxis.set_major_locator(FixedLocator(ticks))
    row[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    row[0].yaxis.set_minor_locator(NullLocator())
    row[0].set_ylabel("generalization error (mm)")


ENTRY_INCHES, LETTER_INCHES = 0.6, 0.07  # of a legend's entry: line and gaps, and each letter of its name


def _legend(figure: Figure, row: Sequence[Axes]) -> None:
    if handles := legend_entries(row):
        handles = {name: handles[name] for name in in_order(handles)}
        widest = ENTRY_INCHES + LETTER_INCHES * max(map(len, handles))
        columns = max(1, min(len(handles), int(figure.get_figwidth() / widest)))
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=columns, handlelength=3)


def _figure_foot(panels: Sequence[Panel], setup: Setup, *notes: str) -> str:
    """One foot for all panels; a place of which nothing is there is named."""
    results = [result for panel in panels for result in panel.chosen.results]
    missing = [run for panel in panels for run in panel.chosen.missing]
    there = {(panel.rankings[0].dataset, panel.rankings[0].split) for panel in panels}
    persons = ", ".join(f"{panel.rankings[0].units} test {panel.rankings[0].unit} ({panel.title})" for panel in panels)
    absent = [
        f"nothing of {getattr(setup, place)}, {split}"
        for place, split in (PLACES if len(panels) > 1 else ())
        if (getattr(setup, place), split) not in there
    ]
    return small_print(
        run_line(*results),
        persons,
        *notes,
        f"{len(missing)} of {len(missing) + len(results)} runs of these panels missing" if missing else "",
        *absent,
    )
