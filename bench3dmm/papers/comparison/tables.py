"""Models on one protocol: rankings, and what else is measured of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench3dmm.data.splits import WITHOUT
from bench3dmm.errors import DataError
from bench3dmm.models.registry import closed_form
from bench3dmm.papers.comparison.chosen import (
    COMMON_LATENT,
    chosen_of,
    foot,
    foreign_runs,
    in_order,
    regions_of,
    results_of,
    runs_missing,
)
from bench3dmm.papers.comparison.experiments import COMMON_TRAINING_LATENT, EXTRAPOLATION_LATENT
from bench3dmm.papers.setup import Setup, choose, is_original
from bench3dmm.runs.results import CHECKOUT_RESULTS
from bench3dmm.statistics.ranking import BETTER, TIE, Pair, rankings
from bench3dmm.system.words import small_print
from bench3dmm.view.rankings import interval_text, rank_frame, rank_note
from bench3dmm.view.tables import NONE, number, spread

if TYPE_CHECKING:
    from bench3dmm.runs.results import Result


BASE = "neural3dmm"  # whose training is the common one
PUBLISHED_CSV = CHECKOUT_RESULTS / "published_peers.csv"


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
    chosen = chosen_of("the ranking", results, setup, place, split)
    found = rankings(chosen.results)
    frame = rank_frame(found)
    frame.attrs["footer"] = small_print(
        foot(chosen, setup, "peers"), rank_note(found), "mm, mean ± standard deviation over seeds"
    )
    return frame


def pairs_table(
    results: Sequence[Result], setup: Setup | None = None, place: str = "bu3dfe", split: str = "percentage"
) -> pd.DataFrame:
    """Every two models at each latent size: difference and ratio of their errors with intervals, and what they say.

    Arguments and errors as those of `ranking_table`.
    """
    setup = setup or Setup()
    chosen = chosen_of("the table of pairs", results, setup, place, split)
    found = rankings(chosen.results)
    rows = [
        {
            "d": f"d = {ranking.latent}",
            "first": pair.first,
            "second": pair.second,
            "first − second (mm)": f"{pair.difference.point:+.3f}",
            "95 % interval": interval_text(pair.difference, "+.3f"),
            "first / second": f"{pair.ratio.point:.3f}",
            "95 % interval of it": interval_text(pair.ratio),
            "verdict": _verdict(pair),
        }
        for ranking in found
        for pair in ranking.pairs
    ]
    columns = ["d", "first", "second", "first − second (mm)", "95 % interval", "first / second"]
    frame = pd.DataFrame(rows, columns=[*columns, "95 % interval of it", "verdict"]).set_index("d")
    frame.attrs["footer"] = small_print(foot(chosen, setup, "peers"), rank_note(found))
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
    chosen = chosen_of("the table of measures", results, setup, place, split, latent=latent)
    (ranking,) = rankings(chosen.results)
    measures = [*MEASURES[:3], *_region_measures(chosen.results), *MEASURES[3:]]
    rows = []
    for standing in ranking.standings:
        metrics = [result.metrics for result in results_of(chosen, standing)]
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
    frame.attrs["footer"] = small_print(
        f"d = {latent}",
        foot(chosen, setup, "peers"),
        rank_note([ranking]),
        "*: rank 1" if ranking.pairs else "",
        "specificity: mean distance of random shapes to the nearest training mesh; compactness: share of the training "
        "meshes' variance that is explained",
        f"not measured in these results: {', '.join(absent)}" if absent else "",
    )
    return frame


def _region_measures(results: Sequence[Result]) -> list[_Measure]:
    return [_region_measure(region) for region in regions_of(results)]


def _region_measure(region: str) -> _Measure:
    return _Measure(f"{region} (mm)", lambda m: m.get("by_region", {}).get(region))


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
    chosen = chosen_of(f"the table of errors by {by}", results, setup, place, split, latent=latent)
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
        metrics = [result.metrics for result in results_of(chosen, standing)]
        columns[standing.model] = [_mean(_group_measure(key, label), metrics) for label in groups]
    meshes = [max(_group(result.metrics, key, label).get("meshes", 0) for result in chosen.results) for label in groups]
    frame = pd.DataFrame({"meshes": meshes, **columns}, index=pd.Index(groups, name=heading))
    frame.attrs["footer"] = f"mm, mean over seeds · d = {latent} · {foot(chosen, setup, 'peers')}"
    return frame


def _group(metrics: Mapping[str, Any], key: str, label: str) -> Mapping[str, Any]:
    return metrics.get(key, {}).get(label, {})


def _group_measure(key: str, label: str) -> _Measure:
    return _Measure(label, lambda metrics: _group(metrics, key, label).get("mean_mm"))


def extrapolation_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """Mean error in mm on an expression that training left out (rows), of each model (columns), and their mean.

    CoMA's extrapolation (Ranjan et al. 2018, section 4.3), at d = 8. A model that lacks an expression has no mean.

    Raises:
        DataError: none of its runs is among the results.
    """
    setup = setup or Setup()
    own = {run.split for run in setup.runs("extrapolation")}
    fields = {"dataset": setup.coma, "latent": EXTRAPOLATION_LATENT, "seed": min(setup.seeds)}
    foreign = [run for run in foreign_runs(results, setup, **fields) if run.split in own]
    chosen = choose("the table of extrapolation", results, setup, "extrapolation", optional=foreign)
    splits = sorted(own)
    models = in_order(result.run.model for result in chosen.results)
    errors = pd.DataFrame(index=[split.removeprefix(WITHOUT) for split in splits], columns=models, dtype=float)
    for result in chosen.results:
        errors.loc[result.run.split.removeprefix(WITHOUT), result.run.model] = result.metrics["mean_mm"]
    errors.loc[f"mean of {len(splits)}"] = errors.mean(skipna=False)
    frame = errors.map(number).rename_axis("left out")
    first = chosen.results[0].run
    frame.attrs["footer"] = small_print(
        "mm, on all test meshes of the expression, which training did not see",
        f"{first.dataset} · profile {first.profile} · seed {first.seed} · d = {first.latent}",
        "one seed: no ranking is claimed",
        runs_missing(chosen, setup, "extrapolation"),
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
            "95 % interval": interval_text(standing.mean),
            "seeds": len(standing.seeds),
        }
        for standing in ranking.standings
    ]
    frame = pd.DataFrame(rows).set_index("rank")
    frame.attrs["footer"] = small_print(
        f"d = {COMMON_TRAINING_LATENT}", foot(chosen, setup, "common-training"), rank_note([ranking])
    )
    return frame


def published_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """Published errors of these models, and ours at the same latent sizes; the footer says why they do not compare.

    Raises:
        DataError: none of the runs on the dataset in COMA's place is among the results.
    """
    setup = setup or Setup()
    stated = published_peers()
    chosen = chosen_of("the published numbers", results, setup, "coma", "percentage")
    ours = {ranking.latent: ranking for ranking in rankings(chosen.results)}
    rows = []
    for model in in_order(stated["model"]):
        for latent, group in stated[stated["model"] == model].groupby("latent"):
            for row in group.itertuples():
                rows.append(
                    (model, latent, row.dataset, row.split, spread(row.mean_mm, row.sd_mm), row.median_mm, row.source)
                )
            standing = ours[latent].standing(model) if latent in ours else None
            if standing is not None:
                medians = [result.metrics["median_mm"] for result in results_of(chosen, standing)]
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
    frame.attrs["footer"] = small_print(
        f"not to be compared: {'; '.join(reasons)}",
        "± in published numbers: as printed, of single errors, not over seeds",
        foot(chosen, setup, "peers"),
    )
    return frame


def published_peers() -> pd.DataFrame:
    """``results/published_peers.csv`` of the checkout; no rows where the package is installed without one."""
    if not PUBLISHED_CSV.exists():
        columns = ["model", "experiment", "dataset", "split", "latent", "mean_mm", "sd_mm", "median_mm", "source"]
        return pd.DataFrame(columns=columns)
    return pd.read_csv(PUBLISHED_CSV)
