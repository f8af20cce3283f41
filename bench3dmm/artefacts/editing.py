"""What happens when one region is told to move: LAMM, PCA and what needs no training on the manipulation task.

Runs of the experiment ``manipulation``; the measures are those of `bench3dmm.manipulation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench3dmm.artefacts.setup import Chosen, Setup, choose, persons
from bench3dmm.artefacts.tables import NONE
from bench3dmm.bootstrap import (
    RESAMPLES,
    Interval,
    draw_units,
    draw_weights,
    percentile_interval,
    resampled_means,
)
from bench3dmm.manipulation import EDITORS, MEASURES

if TYPE_CHECKING:
    from bench3dmm.results import Result

EDITING_EXPERIMENTS = ("manipulation",)
REFERENCES = {"handles": "handles (radial basis)", "copy": "source, unchanged", "paste": "target's region, pasted"}
MOVED, LEAKED = MEASURES.index("moved_mm"), MEASURES.index("leaked_mm")


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
            "seam (%)": _cell(rated.mean("seam_percent"), 1),
            "all at once (mm)": _cell(rated.all_at_once()),
            "seeds": rated.seeds,
        }
        for label, rated in _methods(chosen.results).items()
    ]
    frame = pd.DataFrame(rows).set_index("method")
    frame.attrs["footer"] = _foot(
        chosen,
        "one region edited, the rest told to stay: error at its control vertices and inside it against the target, "
        "movement outside, ratio of movements, change of the length of edges across its border",
        "all at once: error of the whole mesh against the target when all control vertices move",
    )
    return frame


def locality_table(results: Sequence[Result], setup: Setup | None = None, place: str = "bu3dfe") -> pd.DataFrame:
    """The ratio of the mean movements inside and outside an edited region (rows) of each method (columns).

    Intervals, arguments and errors as those of `manipulation_table`; methods that do not move or do not leak are left
    out.
    """
    chosen = _chosen("the table of locality", results, setup or Setup(), place)
    regions = list(chosen.results[0].metrics["manipulation"]["by_region"])
    columns = {
        label: [_cell(rated.ratio(number), 1) for number in (*range(len(regions)), None)]
        for label, rated in _methods(chosen.results).items()
        if rated.leaks
    }
    frame = pd.DataFrame(columns, index=[*regions, "all"]).rename_axis("edited region")
    frame.attrs["footer"] = _foot(chosen, "mean movement inside over mean movement outside")
    return frame


class _Rated:
    """One method's edits: over seeds, pairs and regions.

    Attributes:
        values: (S, n, regions, measures).
        full: (S, n).
    """

    def __init__(self, values: np.ndarray, full: np.ndarray, units: np.ndarray) -> None:
        self.values, self.full = values.astype(np.float64), full
        rng = np.random.default_rng(0)
        self.pairs = draw_units(units, RESAMPLES, rng)
        self.drawn_seeds = draw_weights(len(values), RESAMPLES, rng)

    @property
    def seeds(self) -> int:
        return len(self.values)

    @property
    def leaks(self) -> bool:
        return bool(self.values[..., LEAKED].any())

    def mean(self, measure: str) -> Interval:
        return self._interval(lambda mean: mean(self.values[..., MEASURES.index(measure)].mean(axis=2)))

    def all_at_once(self) -> Interval:
        return self._interval(lambda mean: mean(self.full))

    def ratio(self, region: int | None = None) -> Interval | None:
        """Of one region, or of all; None where nothing leaks."""
        values = self.values if region is None else self.values[:, :, [region]]
        if not values[..., LEAKED].any():
            return None
        return self._interval(
            lambda mean: mean(values[..., MOVED].mean(axis=2)) / mean(values[..., LEAKED].mean(axis=2))
        )

    def _interval(self, effect: Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray]) -> Interval:
        """Of a function of means of (S, n) arrays, all drawn alike."""
        draws = effect(lambda values: resampled_means(values, self.pairs, self.drawn_seeds))
        return Interval(float(effect(lambda values: values.mean())), *percentile_interval(draws))


def _methods(results: Sequence[Result]) -> dict[str, _Rated]:
    """By label: the trained methods, best in the region first, then what needs no training."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(_label(result), []).append(result)
    known = persons(results[0].run.dataset)
    pairs = results[0].arrays["edit_pairs"]
    units = np.arange(len(pairs)) if known is None else known[pairs[:, 0]]

    def rated(group: Sequence[Result], editor: str) -> _Rated:
        at = EDITORS.index(editor)
        values, full = ([one.arrays[name][at] for one in group] for name in ("edit_values", "edit_full"))
        return _Rated(np.stack(values), np.stack(full), units)

    trained = {label: rated(group, "model") for label, group in groups.items()}
    trained = dict(sorted(trained.items(), key=lambda entry: entry[1].mean("inside_mm").point))
    return trained | {label: rated(results[:1], editor) for editor, label in REFERENCES.items()}


def _label(result: Result) -> str:
    run = result.run
    name = run.model if run.preset == "paper" else f"{run.model} ({run.preset})"
    return name if run.task == "manipulation" else f"{name}, without stage 1"


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
