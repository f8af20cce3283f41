"""The architecture (Fig. 1), drawn from the levels of a hierarchy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.models.neural3dmm import PRESETS
from bench3dmm.models.registry import check_model
from bench3dmm.view.camera import fit_view
from bench3dmm.view.render import render_wireframe
from bench3dmm.view.style import INK, PALETTE, SOFT, add_footer, footer_height, style, tight_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench3dmm.mesh.hierarchy import Hierarchy

WIDTH = 7.2  # inches
HEIGHT = 3.2  # without the footer
STEP = 1.26  # from level to level
LEFT = 0.66  # of the first level's middle
ENCODER, DECODER = 2.2, 0.7  # heights of the two rows' middles
TALL = 1.04  # of the finest mesh
SHRINK = 0.9  # from level to level
CODE_FROM = LEFT + 4 * STEP + 0.34  # where the coarsest mesh ends
TEXT = 7


def figure1(hierarchy: Hierarchy, preset: str = "paper", latent: int = 16, name: str = "") -> Figure:
    """Encoder and decoder on the real levels of a hierarchy (Fig. 1).

    Above an arrow stands what is done between two levels, in the paper's notation: SC(h, w) a spiral convolution of
    h hops and w filters, DS(p) and US(p) down- and upsampling by p, FC(n) a fully connected layer of n outputs.

    Args:
        hierarchy: five levels, finest first.
        preset: ``paper`` or ``release``.
        latent: size d of the code.
        name: what to call the mesh at the figure's foot.
    """
    from matplotlib.figure import Figure

    check_model("neural3dmm", preset)
    plan = PRESETS[preset]
    depth = len(plan.encoder)
    footer = (
        f"{name or 'hierarchy'} {hierarchy.sha256[:12]} · preset {preset} · no training · SC(hops, filters) spiral"
        " convolution, DS and US down- and upsampling by a factor, FC fully connected, L spiral length"
        f" · {hierarchy.sizes[-1] + 1} = {hierarchy.sizes[-1]} coarsest vertices and the dummy vertex"
    )
    with style():
        bottom = footer_height(footer, WIDTH)
        total = HEIGHT + bottom
        figure = Figure(figsize=(WIDTH, total))
        axes = figure.add_axes((0, bottom / total, 1, HEIGHT / total), xlim=(0, WIDTH), ylim=(0, HEIGHT))  # in inches
        axes.set_axis_off()
        channels = (3, *plan.encoder), (3, *_decoded_channels(plan))
        for level in range(depth + 1):
            _draw_level(axes, hierarchy, level, _spiral_line(hierarchy, plan, level), [row[level] for row in channels])
        for level in range(depth):
            factor = _factor(*hierarchy.sizes[level : level + 2])
            _draw_step(axes, level, ENCODER, [f"SC({plan.hops[level]}, {plan.encoder[level]})", f"DS({factor})"])
            convolutions = [plan.decoder[depth - 1 - level]] + ([plan.final] if level == 0 and plan.final else [])
            labels = [f"SC({plan.hops[level]}, {filters})" for filters in convolutions]
            _draw_step(axes, level, DECODER, [f"US({factor})", *labels])
        _draw_code(axes, latent, f"FC({hierarchy.sizes[-1] + 1} · {plan.encoder[-1]})")
        for height, label in ((ENCODER, "encoder"), (DECODER, "decoder")):
            axes.text(0.08, height, label, rotation=90, ha="center", va="center", fontsize=9, color=SOFT)
        add_footer(figure, footer)
    return figure


def _factor(fine: int, coarse: int) -> str:
    """By which a level has fewer vertices: a whole number where that gives as many, else about."""
    whole = round(fine / coarse)
    return str(whole) if math.ceil(fine / whole) == coarse else f"{fine / coarse:.1f}"


def _decoded_channels(plan) -> tuple[int, ...]:
    """Channels of the decoder's features at levels 1, 2, … and the coarsest."""
    return (*plan.decoder[-2::-1], plan.encoder[-1])


def _spiral_line(hierarchy: Hierarchy, plan, level: int) -> str:
    """Length of the spirals that are read at a level; none are at the coarsest."""
    if level == len(plan.encoder):
        return ""
    hops, dilation = plan.hops[level], plan.dilation[level]
    length = hierarchy.spirals(level, hops, dilation).shape[1]
    return f"L = {length}" + (f", dilation {dilation}" if dilation > 1 else "")


def _middle(level: int) -> float:
    return LEFT + STEP * level


def _draw_level(axes: Axes, hierarchy: Hierarchy, level: int, spiral: str, channels: list[int]) -> None:
    """A level's mesh in both rows, its size above, its features (vertices × channels) below."""
    at = hierarchy.levels[level]
    width, height = size = tight_size(hierarchy.levels[0].vertices, 500)
    view = fit_view(hierarchy.levels[0].vertices, "front", size)  # one frame: the levels differ in nothing else
    line_width = float(np.clip(30 / np.sqrt(len(at.vertices)), 0.25, 2.5))
    image = render_wireframe(at.vertices, at.faces, size=size, view=view, line_width=line_width)
    x, tall = _middle(level), TALL * SHRINK**level
    wide = tall * width / height
    for y, count in zip((ENCODER, DECODER), channels, strict=True):
        extent = (x - wide / 2, x + wide / 2, y - tall / 2, y + tall / 2)
        axes.imshow(image, extent=extent, interpolation="antialiased", aspect="auto", zorder=1)
        features = f"{len(at.vertices):,} × {count}"
        axes.text(x, y - tall / 2 - 0.05, features, ha="center", va="top", fontsize=TEXT, color=SOFT)
    axes.text(x, HEIGHT - 0.05, f"{len(at.vertices):,} vertices", ha="center", va="top", fontsize=8)
    axes.text(x, HEIGHT - 0.21, spiral, ha="center", va="top", fontsize=TEXT, color=SOFT)


def _draw_step(axes: Axes, level: int, height: float, labels: list[str]) -> None:
    """An arrow between a level and the next, to the right in the encoder and to the left in the decoder."""
    ends = (_middle(level) + 0.45, _middle(level + 1) - 0.41)
    middle = sum(ends) / 2
    start, end = ends if height == ENCODER else ends[::-1]
    _arrow(axes, (start, height), (end, height))
    axes.text(
        middle, height + 0.05, "\n".join(labels), ha="center", va="bottom", fontsize=TEXT - 0.5, linespacing=1.1
    )  # fmt: skip


def _draw_code(axes: Axes, latent: int, decoder_label: str) -> None:
    """The code as a column of cells between the coarsest meshes."""
    from matplotlib.patches import Rectangle

    x, y, side, cells = WIDTH - 0.33, (ENCODER + DECODER) / 2, 0.1, 8
    for cell in range(cells):
        bottom = y + (cell - cells / 2) * side
        axes.add_patch(Rectangle((x - side / 2, bottom), side, side, facecolor=PALETTE[5], edgecolor="white", lw=0.8))
    axes.text(x - 0.16, y, f"z\nd = {latent}", ha="right", va="center", fontsize=8)
    reach = cells / 2 * side + 0.04
    _arrow(axes, (CODE_FROM, ENCODER), (x, y + reach), bend=-0.25)
    _arrow(axes, (x, y - reach), (CODE_FROM, DECODER), bend=-0.25)
    axes.text(x - 0.28, ENCODER + 0.04, f"FC({latent})", ha="center", va="bottom", fontsize=TEXT - 0.5)
    axes.text(x - 0.22, DECODER - 0.04, decoder_label, ha="center", va="top", fontsize=TEXT - 0.5)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "lw": 1.0, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    axes.annotate("", xy=end, xytext=start, arrowprops={**arrow, "connectionstyle": f"arc3,rad={bend}"}, zorder=2)
