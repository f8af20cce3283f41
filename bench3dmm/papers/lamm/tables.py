"""What happens when one region is told to move: LAMM, PCA and what needs no training on the manipulation task.

Runs of the experiment ``manipulation``; the measures are those of `bench3dmm.tasks.parts.edits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench3dmm.bench import load_bench
from bench3dmm.errors import DataError
from bench3dmm.papers.lamm.claims import lamm_verdicts
from bench3dmm.papers.lamm.ratings import methods
from bench3dmm.papers.setup import BENCH_JSON, Chosen, Setup, choose
from bench3dmm.statistics.claims import verdict_table
from bench3dmm.view.tables import NONE

if TYPE_CHECKING:
    from bench3dmm.runs.results import Result
    from bench3dmm.statistics.bootstrap import Interval

EDITING_EXPERIMENTS = ("manipulation",)


def edits_opening(results: Sequence[Result], setup: Setup | None = None) -> list[str]:
    """Nothing to say before the tables. Raises DataError, with what trains them, where no edits are stored."""
    setup = setup or Setup()
    runs = set(setup.runs(*EDITING_EXPERIMENTS))
    if not any(result.run in runs for result in results):
        raise DataError(f"No edits are stored; `{setup.command('manipulation')}` trains them")
    return []


def manipulation_table(results: Sequence[Result], setup: Setup | None = None, place: str = "bu3dfe") -> pd.DataFrame:
    """Methods (rows) by what an edit of one region does inside it, at its control vertices, outside and at its border.

    Means over regions and pairs of held-out meshes with 95 % bootstrap intervals over the sources' persons and seeds.
    The ratio is that of the mean movements inside and outside.

    Args:
        place: whose place the dataset takes, ``coma`` or ``bu3dfe``.

    Raises:
        DataError: none of the runs is among the results.
    """
    chosen = _chosen("the table of edits", results, setup or Setup(), place)
    rows = [
        {
            "method": label,
            "control (mm)": _cell(rated.mean("control_mm")),
            "inside (mm)": _cell(rated.mean("inside_mm")),
            "outside (mm)": _cell(rated.mean("leaked_mm")),
            "in / out": _cell(rated.ratio(), 1),
            "in / told to stay": _cell(rated.ratio(name="held_ratio"), 1),
            "seam (%)": _cell(rated.mean("seam_percent"), 1),
            "all at once (mm)": _cell(rated.all_at_once()),
            "seeds": rated.seeds,
        }
        for label, rated in methods(chosen.results).items()
    ]
    frame = pd.DataFrame(rows).set_index("method")
    frame.attrs["footer"] = _foot(
        chosen,
        "one region edited, the rest told to stay: error at its control vertices and inside it against the target, "
        "movement outside, ratios of the movement inside to that outside and to that of the regions with control "
        "vertices, change of the length of edges across its border",
        "all at once: error of the whole mesh against the target when all control vertices move",
    )
    return frame


def locality_table(
    results: Sequence[Result], setup: Setup | None = None, place: str = "bu3dfe", told_to_stay: bool = False
) -> pd.DataFrame:
    """The ratio of the mean movements inside and outside an edited region (rows) of each method (columns).

    Intervals, arguments and errors as those of `manipulation_table`; methods that do not move or do not leak are left
    out.

    Args:
        told_to_stay: outside are only the regions with control vertices.
    """
    chosen = _chosen("the table of locality", results, setup or Setup(), place)
    regions = list(chosen.results[0].metrics["manipulation"]["by_region"])
    name = "held_ratio" if told_to_stay else "ratio"
    columns = {
        label: [_cell(rated.ratio(number, name), 1) for number in (*range(len(regions)), None)]
        for label, rated in methods(chosen.results).items()
        if rated.leaks(name)
    }
    frame = pd.DataFrame(columns, index=[*regions, "all"]).rename_axis("edited region")
    outside = "of the other regions with control vertices, which are told to stay" if told_to_stay else "outside"
    frame.attrs["footer"] = _foot(chosen, f"mean movement inside over mean movement {outside}")
    return frame


def lamm_claims_table(
    results: Sequence[Result], setup: Setup | None = None, bench: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """What LAMM's paper claims, our effects with intervals, and the verdicts; see `bench3dmm.papers.lamm.claims`.

    Args:
        bench: a record of `bench3dmm.bench`; by default the checkout's.
    """
    setup = setup or Setup()
    if bench is None and BENCH_JSON.exists():
        bench = load_bench(BENCH_JSON)
    frame = verdict_table(lamm_verdicts(results, setup, bench))
    frame = frame[["statement", "effect is", "holds if", "ours", "95 % interval", "verdict", "reason"]].round(3)
    frame.attrs["footer"] = f"{setup.bu3dfe} and {setup.coma} · profile {setup.profile}"
    return frame


def _chosen(what: str, results: Sequence[Result], setup: Setup, place: str) -> Chosen:
    return choose(what, results, setup, "manipulation", dataset=getattr(setup, place))


def _foot(chosen: Chosen, *notes: str) -> str:
    pairs = chosen.results[0].arrays["edit_pairs"]
    same = chosen.results[0].metrics["manipulation"]["by_pair"]
    counted = f"{len(pairs)} pairs of test meshes, of {' and '.join(same)}"
    return " · ".join([chosen.footer, counted, *notes])


def _cell(interval: Interval | None, digits: int = 2) -> str:
    if interval is None:
        return NONE
    return f"{interval.point:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
