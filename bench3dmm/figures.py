"""One function a figure or table: data in, a matplotlib Figure (or a pandas table) out; nothing here trains.

Every figure says at its foot which dataset, profile and seed it shows.
"""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench3dmm.data.paper_counts import TABLE1, TABLE1_PERCENT, TABLE2, TABLE2_PERCENT
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.render import (
    ERROR_MAP,
    ERROR_RANGE,
    colour_map,
    contact_sheet,
    fit_view,
    project,
    render_meshes,
)
from bench3dmm.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.mesh.coarsen import Hierarchy
    from bench3dmm.mesh.template import Template
    from bench3dmm.results import Result

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's eight colours, which colour-blind readers can tell apart."""

FIXED_POSITIONS = "test meshes at fixed positions of the split"
"""How the meshes of heatmap figures are chosen: not by their error."""

PAPER_TABLES = {"Table 1": (TABLE1, TABLE1_PERCENT), "Table 2": (TABLE2, TABLE2_PERCENT)}
"""Counts and printed percentages."""

INK, SOFT = "#222222", "#6b6b6b"
DPI = 200
FOOT_SIZE = 6.5  # points


@contextmanager
def style() -> Iterator[None]:
    """Fonts, sizes and colours shared by all figures."""
    import matplotlib

    settings = {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "axes.labelcolor": INK,
        "axes.edgecolor": SOFT,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
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
        content = buffer.getvalue()
        write_atomically(path, lambda file, content=content: file.write(content))
    return paths


def expression_table(dataset: Dataset, paper_required: bool = True) -> pd.DataFrame:
    """Meshes per expression beside the paper's count: Table 1 for COMA's expressions, Table 2 for BU3DFE's.

    Args:
        paper_required: whether to refuse expressions that are those of neither table; else they are counted alone.

    Returns:
        One row an expression in the paper's order and a last row ``total``; columns ``meshes``, ``percent``,
        ``paper`` and ``paper percent``, the latter as printed. ``attrs["table"]`` names the paper's table.

    Raises:
        DataError: the dataset's expressions are those of neither table.
    """
    table, order = _paper_table(dataset)
    if paper_required and not table:
        unknown = [name for name in order if name not in (*TABLE1, *TABLE2)] or order
        raise DataError(
            f"{dataset.name}: expressions of neither Table 1 nor Table 2 of the paper: {', '.join(unknown)}"
        )
    counts = dataset.samples["expression"].value_counts()
    frame = pd.DataFrame(
        {"meshes": [int(counts.get(name, 0)) for name in order]}, index=pd.Index(order, name="expression")
    )
    frame.loc["total"] = frame.sum()
    frame["percent"] = (100 * frame["meshes"] / frame["meshes"]["total"]).round(2)
    if table:
        paper, printed = PAPER_TABLES[table]
        frame["paper"] = pd.Series({**paper, "total": sum(paper.values())})
        frame["paper percent"] = pd.Series({**printed, "total": 100.0})
    frame.attrs["table"] = table
    return frame


def error_table(results: Sequence[Result]) -> pd.DataFrame:
    """The per-vertex Euclidean error of runs on their test split, in mm, one row a run, best first."""
    rows = [
        {
            "run": _run_label(result),
            "mean": result.metrics["mean_mm"],
            "std": result.metrics["std_mm"],
            "median": result.metrics["median_mm"],
            "95th percentile": result.metrics["p95_mm"],
        }
        for result in results
    ]
    return pd.DataFrame(rows).sort_values("mean").round(3).reset_index(drop=True)


def contact_sheet_figure(dataset: Dataset, people: int = 6, cell: int = 200) -> Figure:
    """People (rows) by expressions (columns): the neutral face, then each expression at its strongest.

    The people are those with the most expressions, spread evenly over the sorted list of subjects.
    """
    chosen = contact_sheet_samples(dataset, people)
    faces = dataset.template.faces
    shown = [index for row in chosen.to_numpy() for index in row if index >= 0]
    meshes = dataset.vertices[shown]
    width, height = size = tight_size(meshes, cell)
    images = dict(zip(shown, render_meshes(meshes, faces, size=size), strict=True))
    blank = np.full((height, width, 3), 255, dtype=np.uint8)
    cells = [images.get(index, blank) for row in chosen.to_numpy() for index in row]
    sheet = contact_sheet(cells, columns=chosen.shape[1], gap=0)

    with style():
        lines = 2 if any("_" in name for name in chosen.columns) else 1
        margins = {"left": 0.62, "right": 0.15, "top": 0.12 + 0.15 * lines}
        footer = f"{dataset_line(dataset)} · each expression at its strongest, one scale for all"
        figure, axes = picture(sheet, max(chosen.shape[1] * 0.8, 4.5), **margins, footer=footer)
        for column, name in enumerate(chosen.columns):
            label = name.replace("_", "\n")
            axes.text((column + 0.5) * width, -6, label, ha="center", va="bottom", fontsize=8)
        for row, name in enumerate(chosen.index):
            axes.text(-12, (row + 0.5) * height, name, ha="right", va="center", fontsize=8)
    return figure


def contact_sheet_samples(dataset: Dataset, people: int = 6) -> pd.DataFrame:
    """The mesh in each cell of the contact sheet: rows subjects, columns expressions, −1 for none."""
    samples = dataset.samples.reset_index(drop=True)
    _, paper = _paper_table(dataset)
    grouped = samples.groupby(["subject", "expression"], sort=True)["level"]
    chosen = grouped.idxmax().unstack(fill_value=-1)
    chosen = chosen.reindex(columns=[name for name in paper if name in chosen.columns])
    if "neutral" not in chosen:
        chosen.insert(0, "neutral", samples.groupby("subject", sort=True)["level"].idxmin())
    found = (chosen >= 0).sum(axis=1)
    complete = chosen[found == found.max()]
    spread = np.unique(np.linspace(0, len(complete) - 1, min(people, len(complete))).round().astype(int))
    return complete.iloc[spread].astype(int)


def spiral_figure(
    template: Template, hierarchy: Hierarchy, hops: int = 2, vertex: int | None = None, name: str = ""
) -> Figure:
    """The spiral ordering on the mesh and on an image patch (the paper's Fig. 2).

    Args:
        template: the finest level of `hierarchy`.
        hops: rings of the spiral.
        vertex: its centre; by default the most even, flattest spot that faces the viewer.
        name: what to call the mesh at the figure's foot.
    """
    from matplotlib.figure import Figure

    ordering = hierarchy.spirals(0, hops, 1)
    vertices, faces = np.asarray(template.vertices), np.asarray(template.faces)
    centre = even_vertex(vertices, faces, ordering) if vertex is None else vertex
    spiral = ordering[centre][ordering[centre] >= 0]

    with style():
        figure = Figure(figsize=(9.0, 3.45))
        grid = figure.add_gridspec(
            1, 3, left=0.01, right=0.99, top=0.9, bottom=0.09, wspace=0.06, width_ratios=[0.8, 1.1, 1]
        )
        whole, patch, image = (figure.add_subplot(grid[0, column]) for column in range(3))
        _draw_whole(whole, vertices, faces, spiral)
        whole.set_title("where on the mesh")
        _draw_patch(patch, vertices, faces, spiral)
        patch.set_title(f"on the mesh: {hops} hops, {len(spiral)} vertices")
        _draw_pixels(image, hops)
        image.set_title(f"on an image: {hops} hops, {(2 * hops + 1) ** 2} pixels")
        add_footer(figure, f"spiral ordering of vertex {centre} of {name or template.name} · no training")
    return figure


def even_vertex(vertices: np.ndarray, faces: np.ndarray, spirals: np.ndarray) -> int:
    """A good vertex to show a spiral at: complete, facing the viewer (+z), on a large, flat and even patch."""
    normals = vertex_normals(vertices, faces)
    members = np.where(spirals >= 0, spirals, spirals[:, :1])
    flatness = np.einsum("vld,vd->vl", normals[members], normals).min(axis=1)
    edges = np.unique(_edges(faces), axis=0)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    shortest, longest = np.full(len(vertices), np.inf), np.zeros(len(vertices))
    for end in edges.T:
        np.minimum.at(shortest, end, length)
        np.maximum.at(longest, end, length)
    shortest, longest = shortest[members].min(axis=1), longest[members].max(axis=1)
    evenness = shortest / longest
    largeness = np.minimum(shortest / np.median(length), 1.0)
    regular = (np.bincount(edges.ravel(), minlength=len(vertices))[members] == 6).mean(axis=1)
    whole = (spirals >= 0).mean(axis=1)
    return int(np.argmax(flatness + evenness + largeness + regular + whole + 0.5 * normals[:, 2]))


def heatmap_figure(result: Result, dataset: Dataset, rows: int = 4, cmap: str = ERROR_MAP) -> Figure:
    """Reference, reconstruction and per-vertex error of stored test meshes (the paper's Figs. 7–9).

    Args:
        result: a stored run that carries reconstructions.
        dataset: the one the run was trained on.
        rows: how many of the stored meshes to show.
        cmap: see `render.ERROR_MAP` and `render.PAPER_MAP`.
    """
    reference, reconstruction, labels = stored_reconstructions(result, dataset, slice(rows))
    footer = f"{run_line(result)} · {FIXED_POSITIONS}"
    return heatmap_rows(reference, reconstruction, dataset.template.faces, labels, footer, cmap)


def stored_reconstructions(
    result: Result, dataset: Dataset, places: slice | Sequence[int]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Meshes a run was tested on and their reconstructions, (n, V, 3) mm, and who and what they show.

    Args:
        places: which of the stored ones.

    Raises:
        DataError: the dataset is not the one the run was measured on.
    """
    if result.provenance["dataset_recipe_sha256"] != dataset.card.get("recipe_sha256"):
        raise DataError(f"run {result.run.run_id} was measured on another version of {dataset.name}; run it again")
    index = np.asarray(result.arrays["reconstruction_index"])[places]
    reference = np.asarray(dataset.vertices[index], dtype=np.float64)
    reconstruction = reference + result.arrays["reconstruction_offset"][places]
    labels = [f"{row.subject}\n{row.expression}".replace("_", "\n") for row in dataset.samples.iloc[index].itertuples()]
    return reference, reconstruction, labels


def heatmap_rows(
    reference: np.ndarray,
    reconstruction: np.ndarray,
    faces: np.ndarray,
    labels: Sequence[str],
    footer: str,
    cmap: str = ERROR_MAP,
    cell: int = 320,
) -> Figure:
    """Rows of reference, reconstruction and error, both (n, V, 3) mm; the error is clamped to 0–6 mm."""
    error = np.linalg.norm(reference - reconstruction, axis=2)
    both = np.concatenate([reference, reconstruction])
    width, height = size = tight_size(both, cell)
    view = fit_view(both, "front", size)
    clay = render_meshes(both, faces, size=size, view=view)
    painted = render_meshes(reconstruction, faces, values=error, size=size, view=view, cmap=cmap)
    count = len(reference)
    cells = [image for row in range(count) for image in (clay[row], clay[count + row], painted[row])]
    sheet = contact_sheet(cells, columns=3, gap=0)

    with style():
        figure, axes = picture(sheet, 2.7, left=0.75, right=1.35, top=0.28, footer=footer)
        for column, title in enumerate(("reference", "reconstruction", "error")):
            axes.text((column + 0.5) * width, -8, title, ha="center", va="bottom", fontsize=8)
        for row, label in enumerate(labels):
            axes.text(-12, (row + 0.5) * height, label, ha="right", va="center", fontsize=8)
            mean = f"mean\n{error[row].mean():.2f} mm"
            axes.text(3 * width + 10, (row + 0.5) * height, mean, va="center", fontsize=8)
        colour_bar(figure, cmap)
    return figure


def error_cdf_figure(results: Sequence[Result], limit: float = 10.0) -> Figure:
    """The share of test vertices within an error, one curve a run (the paper's Fig. 6)."""
    from matplotlib.figure import Figure

    if not results:
        raise Bench3dmmError("error_cdf_figure needs at least one result")
    with style():
        figure = Figure(figsize=(5.6, 3.8))
        axes = figure.add_axes((0.11, 0.19, 0.86, 0.74))
        several = len({result.run.split for result in results}) > 1
        for result, colour, dash in zip(results, *_strokes(len(results)), strict=True):
            label = _run_label(result) + (f", {result.run.split}" if several else "")
            axes.plot(*cumulative_error([result], limit), color=colour, ls=dash, label=label)
        cumulative_axes(axes, limit)
        axes.set_ylabel("test vertices within it (%)")
        axes.legend(loc="lower right")
        add_footer(figure, run_line(*results))
    return figure


def cumulative_error(results: Sequence[Result], limit: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Errors in mm up to a limit, and the share of test vertices within each, in percent, averaged over the runs."""
    edges = results[0].arrays["histogram_edges"]
    counts = np.stack([result.arrays["histogram"] for result in results])
    share = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    share = np.concatenate([[0.0], share.mean(axis=0)])
    within = edges <= limit
    return edges[within], 100 * share[within]


def cumulative_axes(axes: Axes, limit: float) -> None:
    axes.set(xlim=(0, limit), ylim=(0, 100), xlabel="per-vertex Euclidean error (mm)")
    axes.grid(True)


def run_line(*results: Result) -> str:
    """What the runs share and where they differ: datasets, splits, profiles, seeds."""

    def several(values: Sequence[object]) -> str:
        return ", ".join(str(value) for value in dict.fromkeys(values))

    runs = [result.run for result in results]
    seeds = "seeds" if len({run.seed for run in runs}) > 1 else "seed"
    line = (
        f"{several([run.dataset for run in runs])} · {several([run.split for run in runs])} split"
        f" · profile {several([run.profile for run in runs])} · {seeds} {several([run.seed for run in runs])}"
    )
    return f"{line} · {_run_label(results[0])}" if len(runs) == 1 else line


def _run_label(result: Result) -> str:
    """A model fitted in closed form has neither a preset nor a loss worth naming."""
    run = result.run
    if len(result.arrays["loss"]):
        return f"{run.model} ({run.preset}), d = {run.latent}, {run.loss}"
    return f"{run.model}, d = {run.latent}"


def _strokes(count: int) -> tuple[list[str], list[str]]:
    """Colours, and a new dash each time they start over."""
    dashes = ("-", "--", ":", "-.")
    colours = [PALETTE[index % len(PALETTE)] for index in range(count)]
    return colours, [dashes[index // len(PALETTE) % len(dashes)] for index in range(count)]


def _paper_table(dataset: Dataset) -> tuple[str, list[str]]:
    """The paper's table that has a dataset's expressions, with all of its own; none, with the dataset's, sorted."""
    found = set(dataset.samples["expression"])
    for table, (paper, _) in PAPER_TABLES.items():
        if found <= set(paper):
            return table, list(paper)
    return "", sorted(found)


def dataset_line(dataset: Dataset) -> str:
    people = dataset.samples["subject"].nunique()
    size = f"{len(dataset):,} meshes of {people} people"
    return f"{dataset.name} · {size} · sha256 {dataset.sha256[:12]} · no training"


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


def add_footer(figure: Figure, text: str) -> None:
    """Small print at the figure's foot; a constrained layout leaves it room."""
    width, height = figure.get_size_inches()
    lines = _footer_lines(text, width)
    figure.text(0.08 / width, 0.08 / height, "\n".join(lines), fontsize=FOOT_SIZE, color=SOFT, va="bottom")
    layout = figure.get_layout_engine()
    if layout is not None:
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


def _edges(faces: np.ndarray) -> np.ndarray:
    """Each edge once per face, (3F, 2), smaller vertex first."""
    return np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)


def _draw_whole(axes: Axes, vertices: np.ndarray, faces: np.ndarray, spiral: np.ndarray) -> None:
    """The mesh in clay with a circle around the spiral."""
    size = (420, 520)
    view = fit_view(vertices, "front", size)
    image = render_meshes(vertices[None], faces, size=size, view=view)[0]
    axes.imshow(image, extent=(0, size[0], size[1], 0), interpolation="antialiased")
    outline = project(vertices[spiral], view, size)
    middle, reach = outline[0], np.linalg.norm(outline - outline[0], axis=1).max()
    ring = np.linspace(0, 2 * np.pi, 100)
    axes.plot(
        middle[0] + 1.25 * reach * np.cos(ring),
        middle[1] + 1.25 * reach * np.sin(ring),
        color=PALETTE[1],
        lw=1.6,
    )
    axes.set_axis_off()


def _draw_patch(axes: Axes, vertices: np.ndarray, faces: np.ndarray, spiral: np.ndarray) -> None:
    """The triangles around the spiral, flat on the tangent plane of its centre, with the numbered path."""
    normal = vertex_normals(vertices, faces)[spiral[0]]
    right = np.cross([0.0, 1.0, 0.0], normal)
    right /= np.linalg.norm(right)
    flat = (vertices - vertices[spiral[0]]) @ np.stack([right, np.cross(normal, right)]).T
    around = faces[np.isin(faces, spiral).any(axis=1)]
    axes.triplot(flat[:, 0], flat[:, 1], around, color="#c9c9c9", lw=0.8, zorder=1)
    inside = faces[np.isin(faces, spiral).all(axis=1)]
    axes.tripcolor(flat[:, 0], flat[:, 1], inside, facecolors=np.zeros(len(inside)), cmap=_plain("#dcebf5"), zorder=0)
    _draw_path(axes, flat[spiral])
    reach = 1.28 * np.abs(flat[spiral]).max()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_axis_off()


def _draw_pixels(axes: Axes, hops: int) -> None:
    """The same ordering on a regular grid, where every ring is closed and has eight more pixels."""
    from matplotlib.patches import Rectangle

    path = [(0, 0)]
    for ring in range(1, hops + 1):
        x, y = ring, 1 - ring  # beside the end of the ring before
        path.append((x, y))
        for dx, dy, steps in ((0, 1, 2 * ring - 1), (-1, 0, 2 * ring), (0, -1, 2 * ring), (1, 0, 2 * ring)):
            for _ in range(steps):
                x, y = x + dx, y + dy
                path.append((x, y))
    for x in range(-hops - 1, hops + 2):
        for y in range(-hops - 1, hops + 2):
            inside = max(abs(x), abs(y)) <= hops
            face = "#dcebf5" if inside else "white"
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="#c9c9c9", lw=0.8))
    _draw_path(axes, np.array(path, dtype=float))
    reach = hops + 0.95
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_axis_off()


def _draw_path(axes: Axes, points: np.ndarray) -> None:
    """A numbered path through (L, 2) points with an arrow at each step, from blue to orange."""
    for start, end in itertools.pairwise(points):
        axes.annotate(
            "",
            xy=end,
            xytext=start,
            arrowprops={"arrowstyle": "-|>", "color": PALETTE[0], "lw": 1.3, "shrinkA": 6, "shrinkB": 6},
            zorder=2,
        )
    colours = [PALETTE[1]] + [PALETTE[0]] * (len(points) - 1)
    axes.scatter(points[:, 0], points[:, 1], s=120, color=colours, zorder=3, edgecolors="white", linewidths=0.8)
    for number, (x, y) in enumerate(points):
        axes.text(x, y, str(number), ha="center", va="center_baseline", fontsize=6.5, color="white", zorder=4)


def _plain(colour: str):
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])
