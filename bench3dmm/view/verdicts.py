"""All verdicts in one picture: how far each claim's effect lies on the claimed side of its threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench3dmm.errors import DataError
from bench3dmm.statistics.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED
from bench3dmm.view.style import INK, PALETTE, SOFT, add_footer, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench3dmm.statistics.claims import Verdict

COLOURS = {REPRODUCED: PALETTE[0], NOT_REPRODUCED: PALETTE[1], INCONCLUSIVE: SOFT}
MARKERS = {REPRODUCED: "o", NOT_REPRODUCED: "s", INCONCLUSIVE: "D"}
LIMITS = 1 / 3.2, 3.2  # margins beyond are drawn as arrows at the border
ROW = 0.235  # inches


def margin(verdict: Verdict, effect: float) -> float:
    """An effect over its threshold, or the inverse where the claim holds below it: above 1 on the claimed side."""
    threshold = verdict.claim.threshold
    if verdict.claim.side == "above":
        return max(effect, 0.0) / threshold
    return threshold / effect if effect > 0 else math.inf


def claims_figure(verdicts: Sequence[Verdict]) -> Figure:
    """Every claim in a row: our effect with its 95 % interval, the paper's own, and the threshold between them.

    Raises:
        DataError: no claim has an effect.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    drawn = [verdict for verdict in verdicts if verdict.effect is not None]
    if not drawn:
        raise DataError("no claim has an effect yet; `bench3dmm list experiments` shows what a sweep trains")
    with style():
        figure = Figure(figsize=(7.2, 1.35 + ROW * len(verdicts)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(1, color=INK, lw=1)
        for row, verdict in enumerate(verdicts):
            _draw_claim(axes, -row, verdict)
        axes.set_xscale("log")
        axes.set_xlim(*LIMITS)
        axes.set_xticks([0.5, 1, 2], ["half", "threshold", "twice"])
        axes.minorticks_off()
        axes.set_ylim(-len(verdicts) + 0.4, 0.6)
        axes.set_yticks(range(0, -len(verdicts), -1), [verdict.claim.id for verdict in verdicts])
        for label, verdict in zip(axes.get_yticklabels(), verdicts, strict=True):
            label.set_color(INK if verdict.verdict != INCONCLUSIVE else SOFT)
        axes.set_xlabel("← against the claim      effect over threshold      for the claim →")
        axes.grid(True, axis="x")
        handles = [
            Line2D([], [], color=COLOURS[word], marker=MARKERS[word], ms=6, label=f"{_count(verdicts, word)} {word}")
            for word in COLOURS
        ]
        paper = Line2D([], [], ls="", marker="o", mfc="white", mec=INK, ms=5, label="the paper's own numbers")
        figure.legend(handles=[*handles, paper], loc="outside upper center", ncols=2, handlelength=2.2)
        add_footer(figure, _footer(drawn))
    return figure


def _draw_claim(axes: Axes, y: float, verdict: Verdict) -> None:
    colour = COLOURS[verdict.verdict]
    if verdict.effect is not None:
        ends = [margin(verdict, end) for end in (verdict.effect.low, verdict.effect.high)]
        low, high = (_inside(end) for end in sorted(ends))
        axes.plot([low, high], [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
        for end, marker in ((min(ends), "<"), (max(ends), ">")):
            if _inside(end) != end:
                axes.plot([_inside(end)], [y], marker, color=colour, ms=5, clip_on=False, zorder=4)
        point = _inside(margin(verdict, verdict.effect.point))
        axes.plot([point], [y], MARKERS[verdict.verdict], color=colour, ms=6, zorder=5)
    if verdict.paper_effect is not None:
        paper = _inside(margin(verdict, verdict.paper_effect))
        axes.plot([paper], [y], "o", mfc="white", mec=INK, ms=5, mew=1.1, zorder=4, clip_on=False)


def _inside(value: float) -> float:
    return min(max(value, LIMITS[0]), LIMITS[1])


def _count(verdicts: Sequence[Verdict], word: str) -> int:
    return sum(verdict.verdict == word for verdict in verdicts)


def _footer(verdicts: Sequence[Verdict]) -> str:
    datasets = dict.fromkeys(name for verdict in verdicts for name in verdict.datasets)
    profiles = dict.fromkeys(str(verdict.profile) for verdict in verdicts)
    seeds = sorted({seed for verdict in verdicts for seed in verdict.seeds})
    return (
        f"{', '.join(datasets)} · profile {', '.join(profiles)} · seeds {', '.join(map(str, seeds))} · lines: 95 % "
        "bootstrap intervals · claims about several d or splits show the worst of them"
    )
