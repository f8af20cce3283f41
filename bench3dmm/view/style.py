"""What all figures share: fonts, colours, margins, small print, and how they are saved."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.system.storage import write_bytes
from bench3dmm.view.render import ERROR_RANGE, colour_map

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's eight colours, which colour-blind readers can tell apart."""

INK, SOFT = "#222222", "#6b6b6b"
DPI = 200
FOOT_SIZE = 6.5  # points


@contextmanager
def style() -> Iterator[None]:
    """Fonts, sizes and colours shared by all figures."""
    import matplotlib
    from matplotlib.rcsetup import cycler

    settings: dict[RcKeyType, Any] = {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "axes.labelcolor": INK,
        "axes.edgecolor": SOFT,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=PALETTE),
        "text.color": INK,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.8,
        "pdf.fonttype": 42,
    }
    with matplotlib.rc_context(settings):
        yield


def save_figure(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write ``folder/name.png`` and ``folder/name.pdf``; the same figure gives the same bytes."""
    paths = Path(folder) / f"{name}.png", Path(folder) / f"{name}.pdf"
    for path, metadata in zip(paths, ({"Software": None}, {"CreationDate": None}), strict=True):
        buffer = io.BytesIO()
        with style():
            figure.savefig(buffer, format=path.suffix[1:], dpi=DPI, metadata=metadata, facecolor="white")
        write_bytes(path, buffer.getvalue())
    return paths


def picture(
    image: np.ndarray, width: float, *, left: float, right: float, top: float, footer: str
) -> tuple[Figure, Axes]:
    """A figure around one image `width` inches wide with margins in inches, its axes in pixels."""
    from matplotlib.figure import Figure

    bottom = 0.1 + footer_height(footer, left + width + right)
    height = width * image.shape[0] / image.shape[1]
    total = (left + width + right, bottom + height + top)
    figure = Figure(figsize=total)
    axes = figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
    axes.imshow(image, interpolation="antialiased")
    axes.set_axis_off()
    add_footer(figure, footer)
    return figure, axes


def name_cells(
    axes: Axes,
    size: tuple[int, int],
    titles: Sequence[str],
    labels: Sequence[str],
    notes: Sequence[str] = (),
    *,
    above: int = 6,
    beside: int = 10,
) -> None:
    """Titles above the columns of a `picture` of cells without gaps, labels left of its rows and notes right of them.

    Args:
        size: (width, height) of a cell, pixels.
        above, beside: how far from the cells, pixels.
    """
    width, height = size
    for column, title in enumerate(titles):
        axes.text((column + 0.5) * width, -above, title, ha="center", va="bottom", fontsize=8)
    for row, label in enumerate(labels):
        axes.text(-beside, (row + 0.5) * height, label, ha="right", va="center", fontsize=8)
    for row, note in enumerate(notes):
        axes.text(len(titles) * width + 10, (row + 0.5) * height, note, va="center", fontsize=8)


def mean_notes(errors: np.ndarray) -> list[str]:
    """What stands beside rows of errors (R, V), mm."""
    return [f"mean\n{mean:.2f} mm" for mean in errors.mean(axis=1)]


def tight_size(vertices: np.ndarray, height: int) -> tuple[int, int]:
    """(width, height) in pixels of a picture that the meshes (N, V, 3) fill, seen from the front."""
    extent = np.ptp(vertices[..., :2].reshape(-1, 2), axis=0)
    return max(1, round(height * float(extent[0] / max(extent[1], 1e-9)))), height


def colour_bar(
    figure: Figure,
    cmap: str,
    norm: Normalize | None = None,
    label: str = "per-vertex error (mm)",
    extend: str = "max",
) -> Axes:
    """A scale right of the figure's picture, three inches high at most; the error's, unless a `norm` is given."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    width, height = figure.get_size_inches()
    beside = figure.axes[0].get_position()
    tall = min(3.0 / height, 0.9 * beside.height)
    middle = (beside.y0 + beside.y1) / 2
    axes = figure.add_axes((1 - 0.7 / width, middle - tall / 2, 0.13 / width, tall))
    scale = ScalarMappable(norm or Normalize(*ERROR_RANGE), colour_map(cmap))
    bar = figure.colorbar(scale, cax=axes, extend=extend, extendfrac=0.03)
    bar.set_label(label)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bar.outline.set_visible(False)
    return axes


def legend_entries(panels: Iterable[Axes]) -> dict[str, Artist]:
    """By label, what panels have for a legend: each label once, as the first panel draws it."""
    entries: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return entries


def add_footer(figure: Figure, text: str) -> None:
    """Small print at the figure's foot; a constrained layout leaves it room."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    width, height = figure.get_size_inches()
    lines = _footer_lines(text, width)
    figure.text(0.08 / width, 0.08 / height, "\n".join(lines), fontsize=FOOT_SIZE, color=SOFT, va="bottom")
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        room = footer_height(text, width) / height
        layout.set(rect=(0, room, 1, 1 - room))


def footer_height(text: str, width: float) -> float:
    """Inches that the footer takes at the foot of a figure so many inches wide."""
    return 0.1 + len(_footer_lines(text, width)) * 1.25 * FOOT_SIZE / 72


def _footer_lines(text: str, width: float) -> list[str]:
    """The footer broken into lines that fit, between its parts where possible."""
    characters = max(20, int((width - 0.16) * 72 / (0.56 * FOOT_SIZE)))
    parts = [part for line in text.split(" · ") for part in textwrap.wrap(line, characters)]
    lines = parts[:1]
    for part in parts[1:]:
        joined = f"{lines[-1]} · {part}"
        if len(joined) <= characters:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines
