"""Errors over the latent size (Figs. 4 and 5), their distribution (Fig. 6), and how they fall as training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bench3dmm.papers.neural3dmm_bu3dfe.experiments import CONVERGENCE_LATENTS, LATENTS
from bench3dmm.papers.neural3dmm_bu3dfe.published import published, published_label
from bench3dmm.papers.setup import Chosen, Setup, choose, summarise
from bench3dmm.record.profiles import PROFILES
from bench3dmm.view.curves import cumulative_axes, cumulative_error
from bench3dmm.view.render import colour_map
from bench3dmm.view.style import INK, PALETTE, SOFT, add_footer, legend_entries, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench3dmm.runs.results import Result

SIZE = (4.6, 3.7)  # inches; its fonts stay readable when shrunk to a column
SPLITS = ("percentage", "identity")
MARKERS = ("o", "s", "^")
BAND = "band: 95 % bootstrap interval over test persons"
LIMIT_MM = 10.0  # of Fig. 6


def figure4(results: Sequence[Result], setup: Setup | None = None) -> Figure:
    """Generalization error over the latent size, on the datasets in COMA's and BU3DFE's places (Fig. 4).

    Latent sizes that only Fig. 5 needs are shown where they are among the results, as the paper shows them.

    Raises:
        DataError: none of its runs is among the results.
    """
    setup = setup or Setup()
    larger = setup.runs("splits", split="percentage")
    chosen = choose("Fig. 4", results, setup, "datasets", optional=larger)
    curves = [
        _Curve(
            dataset,
            chosen.where(dataset=dataset),
            published_label(place),
            published(place, dataset, "percentage"),
        )
        for place, dataset in (("coma", setup.coma), ("bu3dfe", setup.bu3dfe))
    ]
    return _error_over_latent(curves, chosen)


def figure5(results: Sequence[Result], setup: Setup | None = None) -> Figure:
    """Generalization error over the latent size, percentage against identity split (Fig. 5).

    Raises:
        DataError: none of its runs is among the results.
    """
    setup = setup or Setup()
    chosen = choose("Fig. 5", results, setup, "splits")
    curves = [
        _Curve(
            f"{setup.bu3dfe}, {split}",
            chosen.where(split=split),
            f"{published_label('bu3dfe')}, {split}",
            published("bu3dfe", setup.bu3dfe, split),
        )
        for split in SPLITS
    ]
    return _error_over_latent(curves, chosen)


def figure6(results: Sequence[Result], setup: Setup | None = None) -> Figure:
    """Cumulative per-vertex error of both splits, every latent size and the weighted loss (Fig. 6).

    Raises:
        DataError: none of its runs is among the results.
    """
    from matplotlib.figure import Figure

    setup = setup or Setup()
    chosen = choose("Fig. 6", results, setup, "splits", "weighted-loss")
    with style():
        figure = Figure(figsize=(7.2, 3.9), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, split in zip(panels, SPLITS, strict=True):
            _draw_cumulative(axes, chosen, split, setup.bu3dfe)
        panels[0].set_ylabel("test vertices within it (%)")
        _legends(panels)
        add_footer(figure, chosen.footer + (" · mean over seeds" if chosen.several_seeds else ""))
    return figure


def convergence_figure(results: Sequence[Result], setup: Setup | None = None) -> Figure:
    """Error over the epochs of training, for three latent sizes: how far a profile is from converged.

    Every point is a training of its own, run to its end.

    Raises:
        DataError: none of its runs is among the results.
    """
    from matplotlib.figure import Figure

    setup = setup or Setup()
    chosen = choose("the figure of convergence", results, setup, "convergence")
    epochs = sorted({result.run.n_epochs for result in chosen.results})
    profile = PROFILES[setup.profile].epochs
    with style():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(profile, color=SOFT, lw=1.4, ls=":", zorder=1)
        for latent, colour, marker in zip(CONVERGENCE_LATENTS, PALETTE, MARKERS, strict=False):
            points = sorted((r.run.n_epochs, r.metrics["mean_mm"]) for r in chosen.where(latent=latent))
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=4.5, label=f"d = {latent}")
        axes.set_xscale("log", base=2)
        axes.set_xticks(epochs, [str(count) for count in epochs])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("epochs of training (the paper: 300)")
        axes.set_ylabel("generalization error (mm)")
        axes.annotate(
            f" profile {setup.profile}", (profile, 0.03), xycoords=axes.get_xaxis_transform(), color=SOFT, fontsize=8
        )
        axes.grid(True)
        axes.legend(handlelength=2.8)
        add_footer(figure, chosen.footer)
    return figure


class _Curve(NamedTuple):
    """Our runs and the paper's errors by latent size, drawn in one colour."""

    label: str
    results: list[Result]
    paper_label: str
    paper: pd.Series


def _error_over_latent(curves: Sequence[_Curve], chosen: Chosen) -> Figure:
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        latents = {result.run.latent for result in chosen.results}
        for curve, colour, marker in zip(curves, PALETTE, MARKERS, strict=False):
            if curve.results:
                _draw_ours(axes, summarise(curve.results), curve.label, colour, marker)
            if len(curve.paper):
                _draw_paper(axes, curve.paper, curve.paper_label, colour, marker)
                latents |= {int(latent) for latent in curve.paper.index}
        _latent_axis(axes, sorted(latents))
        axes.set_ylim(bottom=0)
        axes.set_ylabel("generalization error (mm)")
        axes.legend(handlelength=2.8)
        drawn = f"bars: lowest and highest seed · {BAND} and seeds" if chosen.several_seeds else BAND
        add_footer(figure, f"{chosen.footer} · {drawn}")
    return figure


def _draw_ours(axes: Axes, frame: pd.DataFrame, label: str, colour: str, marker: str) -> None:
    """The mean over seeds with the seeds' range, in front of the bootstrap band."""
    frame = frame.sort_values("latent")
    latent, mean = frame["latent"], frame["mean"]
    axes.fill_between(latent, frame["low"], frame["high"], color=colour, alpha=0.18, lw=0)
    axes.plot(latent, mean, color=colour, marker=marker, ms=4.5, label=label, zorder=3)
    several = frame["seeds"] > 1
    spread = [(mean - frame["lowest"])[several], (frame["highest"] - mean)[several]]
    axes.errorbar(latent[several], mean[several], spread, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3)


def _draw_paper(axes: Axes, paper: pd.Series, label: str, colour: str, marker: str) -> None:
    line: dict[str, Any] = {"color": colour, "ls": (0, (4, 2)), "lw": 1.2, "zorder": 2}
    axes.plot(paper.index, paper, **line, marker=marker, ms=5, mfc="white", label=label)


def _latent_axis(axes: Axes, latents: Sequence[int]) -> None:
    """Latent sizes double rather than add up: a logarithmic axis, labelled at those that were trained."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(latents, [str(latent) for latent in latents])
    axes.minorticks_off()
    axes.set_xlabel("latent size d")
    axes.grid(True)


def _draw_cumulative(axes: Axes, chosen: Chosen, split: str, dataset: str) -> None:
    """One split: a curve a latent size, the weighted loss dashed, the paper's medians on the line of one half."""
    axes.axhline(50, color=SOFT, lw=0.8, zorder=1)
    for latent in LATENTS:
        for loss in ("l1", "weighted-l1"):
            results = chosen.where(split=split, latent=latent, loss=loss)
            paper = published("bu3dfe", dataset, split, loss, "median_error")
            colour, weighted = _latent_colour(latent), loss != "l1"
            if results:
                label = f"d = {latent}" + (", weighted L1" if weighted else "")
                line: dict[str, Any] = {"ls": (0, (4, 1.6)) if weighted else "-", "label": label, "zorder": 3}
                axes.plot(*cumulative_error(results, LIMIT_MM), color=colour, **line)
            if latent in paper.index:
                axes.plot(
                    [paper[latent]], [50], "D" if weighted else "o", ms=5, mfc="white", mec=colour, mew=1.4, zorder=4,
                    label=f"{published_label('bu3dfe')}: median" + (", weighted L1" if weighted else ""),
                )  # fmt: skip
    cumulative_axes(axes, LIMIT_MM)
    axes.set_title(f"{split} split")


def _latent_colour(latent: int) -> str:
    """From light to dark as the code grows, so that no hue has to be told apart."""
    from matplotlib.colors import to_hex

    return to_hex(colour_map("plasma")(0.86 * (1 - LATENTS.index(latent) / (len(LATENTS) - 1))))


def _legends(panels: Sequence[Axes]) -> None:
    """Our curves in the right panel, the paper's medians, without their colours, in the left one."""
    from matplotlib.lines import Line2D

    entries = {label: handle for label, handle in legend_entries(panels).items() if isinstance(handle, Line2D)}
    ours = {label: handle for label, handle in entries.items() if label.startswith("d = ")}
    panels[1].legend(ours.values(), ours, loc="lower right", handlelength=2.8)
    medians = {
        label.removeprefix(f"{published_label('bu3dfe')}: "): Line2D(
            [], [], ls="", marker=handle.get_marker(), ms=5, mfc="white", mec=INK, mew=1.4
        )
        for label, handle in entries.items()
        if label not in ours
    }
    if medians:
        title = published_label("bu3dfe")
        panels[0].legend(medians.values(), medians, loc="lower right", title=title, title_fontsize=8, alignment="left")
