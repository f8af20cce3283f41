"""Models on one protocol: rankings, what else is measured of them, and errors over latent size, time, region, face.

Runs of the experiments ``peers``, ``common-training`` and ``extrapolation``. Models of others that are among the
results are shown beside those of this package where they were run on the same protocol.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench3dmm.artefacts.published import is_original
from bench3dmm.artefacts.setup import Chosen, Setup, choose
from bench3dmm.artefacts.tables import NONE, number, spread
from bench3dmm.data.splits import WITHOUT
from bench3dmm.errors import DataError
from bench3dmm.experiments import COMMON_TRAINING_LATENT, EXTRAPOLATION_LATENT, PEERS
from bench3dmm.figures import INK, PALETTE, SOFT, add_footer, colour_bar, picture, run_line, style, tight_size
from bench3dmm.models import closed_form
from bench3dmm.ranking import (
    BETTER,
    LEAST_SEEDS,
    TIE,
    Pair,
    Ranking,
    Standing,
    headline,
    on_protocol,
    rankings,
    unranked,
)
from bench3dmm.render import ERROR_MAP, contact_sheet, fit_view, render_meshes
from bench3dmm.results import CHECKOUT_RESULTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench3dmm.bootstrap import Interval
    from bench3dmm.data.dataset import Dataset
    from bench3dmm.results import Result

PLACES = (("bu3dfe", "percentage"), ("coma", "percentage"), ("bu3dfe", "identity"))
"""Whose place the dataset takes, and the split: what the experiment ``peers`` measures."""
PEER_EXPERIMENTS = ("peers", "common-training", "extrapolation")
BASE = "neural3dmm"  # whose training is the common one
COMMON_LATENT = 16  # at which other measures than the mean error are compared
FACES = (0, 3)  # which of the six stored reconstructions are drawn
STRIP = 40  # pixels below a face, for its mean error
MOST_NOTES = 160  # characters that a foot spends on what is missing
PUBLISHED_CSV = CHECKOUT_RESULTS / "published_peers.csv"
BENCH_JSON = CHECKOUT_RESULTS / "bench.json"
INTERVALS = "95 % bootstrap intervals over test {unit} and seeds"
HOLLOW = f"hollow marks: fewer than {LEAST_SEEDS} seeds"
STROKES = {
    "pca": {"color": INK, "marker": "D", "ls": (0, (4, 1.6))},
    "coma": {"color": PALETTE[1], "marker": "s"},
    "spiralnet": {"color": PALETTE[2], "marker": "^"},
    "neural3dmm": {"color": PALETTE[0], "marker": "o"},
}
FOREIGN = [{"color": colour, "marker": marker} for colour, marker in zip(PALETTE[3:7], "vPX*", strict=True)]


# --- which results ------------------------------------------------------------------------------------------------


def _chosen(what: str, results: Sequence[Result], setup: Setup, place: str, split: str, **where: Any) -> Chosen:
    """The peers' runs on one dataset and split, and those of models of others."""
    where = {"dataset": getattr(setup, place), "split": split, **where}
    return choose(what, results, setup, "peers", optional=_foreign(results, setup, **where), **where)


def _foreign(results: Sequence[Result], setup: Setup, **where: Any) -> list:
    """Runs of models that are not this package's, on the same protocol."""
    fields = {"profile": setup.profile, **where}
    return [
        result.run
        for result in results
        if result.run.model not in PEERS
        and on_protocol(result.run)
        and result.run.seed in setup.seeds
        and all(getattr(result.run, name) == value for name, value in fields.items())
    ]


@dataclass(frozen=True)
class _Panel:
    """What was measured on one dataset and split."""

    chosen: Chosen
    rankings: list[Ranking]

    @property
    def title(self) -> str:
        return f"{self.rankings[0].dataset}, {self.rankings[0].split}"


def _panels(what: str, results: Sequence[Result], setup: Setup, **where: Any) -> list[_Panel]:
    """Those of `PLACES` of which something is there.

    Raises:
        DataError: nothing is there at all.
    """
    panels, reasons = [], []
    for place, split in PLACES:
        try:
            chosen = _chosen(what, results, setup, place, split, **where)
        except DataError as error:
            reasons.append(error)
            continue
        panels.append(_Panel(chosen, rankings(chosen.results)))
    if not panels:
        raise reasons[0]
    return panels


def peer_rankings(results: Sequence[Result], setup: Setup | None = None) -> list[Ranking]:
    """The rankings on every dataset, split and latent size of the experiment ``peers``.

    Raises:
        DataError: none of its runs is among the results.
    """
    return [ranking for panel in _panels("the ranking", results, setup or Setup()) for ranking in panel.rankings]


def peers_headline(results: Sequence[Result], setup: Setup | None = None) -> list[str]:
    """Where PCA is first, and where not, in sentences to stand above everything else; see `peer_rankings`."""
    return headline(peer_rankings(results, setup))


# --- tables -------------------------------------------------------------------------------------------------------


def ranking_table(
    results: Sequence[Result], setup: Setup | None = None, place: str = "bu3dfe", split: str = "percentage"
) -> pd.DataFrame:
    """Models by rank at each latent size: mean error in mm ± standard deviation over seeds, interval, parameters.

    Args:
        place: whose place the dataset takes, ``coma`` or ``bu3dfe``.

    Raises:
        DataError: none of its runs is among the results, or they cannot be compared.
    """
    setup = setup or Setup()
    chosen = _chosen("the ranking", results, setup, place, split)
    found = rankings(chosen.results)
    frame = rank_frame(found)
    frame.attrs["footer"] = " · ".join(
        [_foot(chosen, setup, "peers"), rank_note(found), "mm, mean ± standard deviation over seeds"]
    )
    return frame


def rank_frame(found: Sequence[Ranking]) -> pd.DataFrame:
    """Rankings as rows, one a model, with all that `ranking_table` shows."""
    rows = [
        {
            "d": f"d = {ranking.latent}",
            "rank": standing.place,
            "model": standing.model,
            "error (mm)": spread(standing.mean.point, standing.sd),
            "95 % interval": _interval(standing.mean),
            "seeds": len(standing.seeds),
            "parameters": NONE if standing.parameters is None else f"{standing.parameters:,}",
        }
        for ranking in found
        for standing in ranking.standings
    ]
    return pd.DataFrame(rows).set_index(["d", "rank"])


def rank_note(found: Sequence[Ranking]) -> str:
    """What the ranks of a table mean, who has none, and from how many persons and which machines they come."""
    unit = found[0].unit
    persons = ", ".join(dict.fromkeys(f"{one.units} test {unit}" for one in found))
    devices = "; ".join(dict.fromkeys(device for one in found for device in one.devices))
    without = "; ".join(f"{where}: {why}" for where, why in unranked(found).items())
    return " · ".join(
        filter(
            None,
            [
                persons,
                devices,
                INTERVALS.format(unit=unit),
                "rank: 1 + the number of models that are better, with the paired interval of the difference below 0; "
                "= where it is shared",
                f"not ranked at {without}" if without else "",
            ],
        )
    )


def pairs_table(
    results: Sequence[Result], setup: Setup | None = None, place: str = "bu3dfe", split: str = "percentage"
) -> pd.DataFrame:
    """Every two models at each latent size: difference and ratio of their errors with intervals, and what they say.

    Arguments and errors as those of `ranking_table`.
    """
    setup = setup or Setup()
    chosen = _chosen("the table of pairs", results, setup, place, split)
    found = rankings(chosen.results)
    rows = [
        {
            "d": f"d = {ranking.latent}",
            "first": pair.first,
            "second": pair.second,
            "first − second (mm)": f"{pair.difference.point:+.3f}",
            "95 % interval": _interval(pair.difference, "+.3f"),
            "first / second": f"{pair.ratio.point:.3f}",
            "95 % interval of it": _interval(pair.ratio),
            "verdict": _verdict(pair),
        }
        for ranking in found
        for pair in ranking.pairs
    ]
    columns = ["d", "first", "second", "first − second (mm)", "95 % interval", "first / second"]
    frame = pd.DataFrame(rows, columns=[*columns, "95 % interval of it", "verdict"]).set_index("d")
    frame.attrs["footer"] = " · ".join([_foot(chosen, setup, "peers"), rank_note(found)])
    return frame


def _verdict(pair: Pair) -> str:
    if pair.verdict == TIE:
        return "tie"
    return f"{pair.first if pair.verdict == BETTER else pair.second} is better"


@dataclass(frozen=True)
class _Measure:
    """A number of `Result.metrics` as a table shows it; results from before it was measured lack it."""

    column: str
    of: Callable[[Mapping[str, Any]], float | None]
    scale: float = 1.0
    digits: int = 3


MEASURES = (
    _Measure("median (mm)", lambda m: m.get("median_mm")),
    _Measure("95th percentile (mm)", lambda m: m.get("p95_mm")),
    _Measure("normals (°)", lambda m: m.get("normal_deg"), digits=2),
    _Measure("specificity (mm)", lambda m: m.get("specificity_mm")),
    _Measure("compactness (%)", lambda m: m.get("compactness"), scale=100, digits=1),
)


def measures_table(
    results: Sequence[Result],
    setup: Setup | None = None,
    place: str = "bu3dfe",
    split: str = "percentage",
    latent: int = COMMON_LATENT,
) -> pd.DataFrame:
    """What statistical shape modelling measures, of each model at one latent size, mean over seeds.

    Generalization (the mean error on test meshes) is marked * for the models of rank 1; of the other measures no
    interval is known, and none is marked. Arguments and errors as those of `ranking_table`.
    """
    setup = setup or Setup()
    chosen = _chosen("the table of measures", results, setup, place, split, latent=latent)
    (ranking,) = rankings(chosen.results)
    measures = [*MEASURES[:3], *_region_measures(chosen.results), *MEASURES[3:]]
    rows = []
    for standing in ranking.standings:
        metrics = [result.metrics for result in _of(chosen, standing)]
        mark = "*" if standing.rank == 1 else ""
        cells = {measure.column: _mean(measure, metrics) for measure in measures}
        rows.append(
            {
                "model": standing.model,
                "parameters": NONE if standing.parameters is None else f"{standing.parameters:,}",
                "generalization (mm)": spread(standing.mean.point, standing.sd) + mark,
                **cells,
            }
        )
    frame = pd.DataFrame(rows).set_index("model")
    absent = [measure.column for measure in measures if (frame[measure.column] == NONE).all()]
    frame = frame.drop(columns=absent)
    absent += [] if len(measures) > len(MEASURES) else ["error by region"]
    frame.attrs["footer"] = " · ".join(
        filter(
            None,
            [
                f"d = {latent}",
                _foot(chosen, setup, "peers"),
                rank_note([ranking]),
                "*: rank 1" if ranking.pairs else "",
                "specificity: mean distance of random shapes to the nearest training mesh; compactness: share of the "
                "training meshes' variance that is explained",
                f"not measured in these results: {', '.join(absent)}" if absent else "",
            ],
        )
    )
    return frame


def _region_measures(results: Sequence[Result]) -> list[_Measure]:
    return [
        _Measure(f"{region} (mm)", lambda m, region=region: m.get("by_region", {}).get(region))
        for region in _regions(results)
    ]


def _regions(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(region for result in results for region in result.metrics.get("by_region", {})))


def _mean(measure: _Measure, metrics: Sequence[Mapping[str, Any]]) -> str:
    """Over seeds, of those that have it."""
    values = [value for one in metrics if (value := measure.of(one)) is not None]
    return f"{measure.scale * np.mean(values):.{measure.digits}f}" if values else NONE


def breakdown_table(
    results: Sequence[Result],
    setup: Setup | None = None,
    by: str = "expression",
    place: str = "bu3dfe",
    split: str = "percentage",
    latent: int = COMMON_LATENT,
) -> pd.DataFrame:
    """Mean error in mm on the meshes of each expression, or of each intensity (rows), of each model (columns).

    Args:
        by: ``expression`` or ``level``.
        place, split, latent: as those of `measures_table`.

    Raises:
        DataError: none of its runs is among the results, or none says it.
    """
    setup = setup or Setup()
    chosen = _chosen(f"the table of errors by {by}", results, setup, place, split, latent=latent)
    (ranking,) = rankings(chosen.results)
    key, heading = f"by_{by}", {"level": "intensity"}.get(by, by)
    groups = list(dict.fromkeys(label for result in chosen.results for label in result.metrics.get(key, {})))
    if not groups:
        raise DataError(
            f"the table of errors by {by}: the results were stored before it was measured; "
            f"run `{setup.command('peers')} --force`"
        )
    columns = {}
    for standing in ranking.standings:
        metrics = [result.metrics for result in _of(chosen, standing)]
        groupwise = [_Measure(label, lambda m, label=label: _group_mean(m, key, label)) for label in groups]
        columns[standing.model] = [_mean(measure, metrics) for measure in groupwise]
    meshes = [max(_group(result.metrics, key, label).get("meshes", 0) for result in chosen.results) for label in groups]
    frame = pd.DataFrame({"meshes": meshes, **columns}, index=pd.Index(groups, name=heading))
    frame.attrs["footer"] = f"mm, mean over seeds · d = {latent} · {_foot(chosen, setup, 'peers')}"
    return frame


def _group(metrics: Mapping[str, Any], key: str, label: str) -> Mapping[str, Any]:
    return metrics.get(key, {}).get(label, {})


def _group_mean(metrics: Mapping[str, Any], key: str, label: str) -> float | None:
    return _group(metrics, key, label).get("mean_mm")


def extrapolation_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """Mean error in mm on an expression that training left out (rows), of each model (columns), and their mean.

    CoMA's extrapolation (Ranjan et al. 2018, section 4.3), at d = 8. A model that lacks an expression has no mean.

    Raises:
        DataError: none of its runs is among the results.
    """
    setup = setup or Setup()
    own = {run.split for run in setup.runs("extrapolation")}
    fields = {"dataset": setup.coma, "latent": EXTRAPOLATION_LATENT, "seed": min(setup.seeds)}
    foreign = [run for run in _foreign(results, setup, **fields) if run.split in own]
    chosen = choose("the table of extrapolation", results, setup, "extrapolation", optional=foreign)
    splits = sorted(own)
    models = _in_order(result.run.model for result in chosen.results)
    errors = pd.DataFrame(index=[split.removeprefix(WITHOUT) for split in splits], columns=models, dtype=float)
    for result in chosen.results:
        errors.loc[result.run.split.removeprefix(WITHOUT), result.run.model] = result.metrics["mean_mm"]
    errors.loc[f"mean of {len(splits)}"] = errors.mean(skipna=False)
    frame = errors.map(number).rename_axis("left out")
    missing = f"{len(chosen.missing)} of {len(chosen.missing) + len(chosen.results)} runs missing"
    first = chosen.results[0].run
    frame.attrs["footer"] = " · ".join(
        filter(
            None,
            [
                "mm, on all test meshes of the expression, which training did not see",
                f"{first.dataset} · profile {first.profile} · seed {first.seed} · d = {first.latent}",
                "one seed: no ranking is claimed",
                f"{missing}: `{setup.command('extrapolation')}`" if chosen.missing else "",
            ],
        )
    )
    return frame


def common_training_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """Models with the training they were published with and with Neural3DMM's, ranked together at d = 16.

    What is left between two models with one training is their architecture's.

    Raises:
        DataError: no run with Neural3DMM's training is among the results.
    """
    setup = setup or Setup()
    alike = setup.runs("common-training")
    where = {"dataset": setup.bu3dfe, "split": "percentage", "latent": COMMON_TRAINING_LATENT}
    published = [run for run in setup.runs("peers", **where) if not closed_form(run.model)]
    chosen = choose("the table of trainings", results, setup, "common-training", optional=published)
    (ranking,) = rankings(chosen.results)
    rows = [
        {
            "rank": standing.place,
            "model": standing.runs[0].model,
            "training": "Neural3DMM's" if standing.runs[0] in alike or standing.runs[0].model == BASE else "its own",
            "error (mm)": spread(standing.mean.point, standing.sd),
            "95 % interval": _interval(standing.mean),
            "seeds": len(standing.seeds),
        }
        for standing in ranking.standings
    ]
    frame = pd.DataFrame(rows).set_index("rank")
    foot = _foot(chosen, setup, "common-training")
    frame.attrs["footer"] = " · ".join([f"d = {COMMON_TRAINING_LATENT}", foot, rank_note([ranking])])
    return frame


def published_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """Published errors of these models, and ours at the same latent sizes; the footer says why they do not compare.

    Raises:
        DataError: none of the runs on the dataset in COMA's place is among the results.
    """
    setup = setup or Setup()
    stated = published_peers()
    chosen = _chosen("the published numbers", results, setup, "coma", "percentage")
    ours = {ranking.latent: ranking for ranking in rankings(chosen.results)}
    rows = []
    for model in _in_order(stated["model"]):
        for latent, group in stated[stated["model"] == model].groupby("latent"):
            for row in group.itertuples():
                rows.append(
                    (model, latent, row.dataset, row.split, spread(row.mean_mm, row.sd_mm), row.median_mm, row.source)
                )
            standing = ours[latent].standing(model) if latent in ours else None
            if standing is not None:
                medians = [result.metrics["median_mm"] for result in _of(chosen, standing)]
                source = f"here, profile {setup.profile}, {len(standing.seeds)} seeds"
                mean = number(standing.mean.point)
                rows.append((model, latent, setup.coma, "percentage", mean, float(np.mean(medians)), source))
    columns = ["model", "d", "dataset", "split", "error (mm)", "median (mm)", "source"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["median (mm)"] = [number(value) for value in frame["median (mm)"]]
    frame = frame.set_index(["model", "d"])
    epochs = ", ".join(str(count) for count in sorted({result.run.n_epochs for result in chosen.results}))
    reasons = [f"{epochs} epochs here, 300 in the papers", "each source splits in its own way"]
    if not is_original(setup.coma, "coma"):
        reasons.insert(0, f"{setup.coma} is not COMA: other faces, other noise, another scale")
    notes = [
        f"not to be compared: {'; '.join(reasons)}",
        "± in published numbers: as printed, of single errors, not over seeds",
        _foot(chosen, setup, "peers"),
    ]
    frame.attrs["footer"] = " · ".join(notes)
    return frame


def published_peers() -> pd.DataFrame:
    """``results/published_peers.csv`` of the checkout; no rows where the package is installed without one."""
    if not PUBLISHED_CSV.exists():
        columns = ["model", "experiment", "dataset", "split", "latent", "mean_mm", "sd_mm", "median_mm", "source"]
        return pd.DataFrame(columns=columns)
    return pd.read_csv(PUBLISHED_CSV)


# --- figures ------------------------------------------------------------------------------------------------------


def error_over_latent_figure(results: Sequence[Result], setup: Setup | None = None) -> Figure:
    """Mean error over the latent size, a line a model, a panel for each dataset and split; bands are 95 % intervals.

    Raises:
        DataError: none of its runs is among the results.
    """
    from matplotlib.figure import Figure

    setup = setup or Setup()
    panels = _panels("the figure of errors over the latent size", results, setup)
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
    chosen = _chosen("the figure of errors over time", results, setup, place, split)
    panel = _Panel(chosen, rankings(chosen.results))
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


def _over_time(axes: Axes, panel: _Panel, times: Mapping, cost: str, model: str, stroke: Mapping[str, Any]) -> None:
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
    panels = _panels("the figure of errors by region", results, setup, latent=latent)
    regions = _regions([result for panel in panels for result in panel.chosen.results])
    if not regions:
        raise DataError(
            "the figure of errors by region: the results were stored before regions were measured; "
            f"run `{setup.command('peers')} --force`"
        )
    panels = [panel for panel in panels if _regions(panel.chosen.results)]
    strokes = _strokes(panels)
    step = 0.7 / max(1, len(strokes))
    with style():
        figure = Figure(figsize=(1.2 + 2.7 * len(panels), 3.6), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(row, panels, strict=True):
            for place, (model, stroke) in enumerate(strokes.items()):
                standing = panel.rankings[0].standing(model)
                errors = _by_region(_of(panel.chosen, standing), regions) if standing else np.empty((0, len(regions)))
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
    from bench3dmm.figures import stored_reconstructions

    setup = setup or Setup()
    chosen = _chosen("the figure of faces", results, setup, "bu3dfe", split, latent=latent)
    firsts = {model: chosen.where(model=model)[0] for model in _in_order(r.run.model for r in chosen.results)}
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
    footer = f"{_foot(Chosen(list(firsts.values()), []), setup, 'peers')} · d = {latent}"
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


# --- shared -------------------------------------------------------------------------------------------------------


def _of(chosen: Chosen, standing: Standing) -> list[Result]:
    """The results behind one standing."""
    return [result for result in chosen.results if result.run in standing.runs]


def _in_order(models) -> list[str]:
    """Each model once: this package's in their order, then those of others by name."""
    found = set(models)
    return [*(name for name in PEERS if name in found), *sorted(found - set(PEERS))]


def _strokes(panels: Sequence[_Panel]) -> dict[str, dict[str, Any]]:
    """Colour, marker and dash of every model, the same in all panels; shape and colour both tell them apart."""
    names = _in_order(s.model for panel in panels for ranking in panel.rankings for s in ranking.standings)
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


def _legend(figure: Figure, row: Sequence[Axes]) -> None:
    handles: dict[str, Any] = {}
    for axes in row:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        handles = {name: handles[name] for name in _in_order(handles)}
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=len(handles), handlelength=3)


def _interval(interval: Interval, form: str = ".3f") -> str:
    return f"[{interval.low:{form}}, {interval.high:{form}}]"


def _foot(chosen: Chosen, setup: Setup, experiment: str) -> str:
    """Dataset, split, profile, seeds, and what is missing; in full where that is short, else how much it is."""
    line = chosen.footer
    whole, _, missing = line.partition("missing: ")
    if len(missing) > MOST_NOTES:
        count = len(chosen.missing)
        line = f"{whole}{count} of {count + len(chosen.results)} runs missing: `{setup.command(experiment)}`"
    return line


def _figure_foot(panels: Sequence[_Panel], setup: Setup, *notes: str) -> str:
    """One foot for all panels; a place of which nothing is there is named."""
    results = [result for panel in panels for result in panel.chosen.results]
    missing = [run for panel in panels for run in panel.chosen.missing]
    there = {(panel.rankings[0].dataset, panel.rankings[0].split) for panel in panels}
    persons = ", ".join(f"{panel.rankings[0].units} test {panel.rankings[0].unit} ({panel.title})" for panel in panels)
    return " · ".join(
        filter(
            None,
            [
                run_line(*results),
                persons,
                *notes,
                f"{len(missing)} of {len(missing) + len(results)} runs of these panels missing" if missing else "",
                *[
                    f"nothing of {getattr(setup, place)}, {split}"
                    for place, split in (PLACES if len(panels) > 1 else ())
                    if (getattr(setup, place), split) not in there
                ],
            ],
        )
    )
