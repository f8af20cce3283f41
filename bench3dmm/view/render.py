"""Meshes as pictures: studio light, parallel projection, one camera for a whole batch.

Draws with pyvista where off-screen OpenGL works. VTK crashes the interpreter where it does not, so that is
tried once in a subprocess; without it matplotlib draws the same views, without highlights and slower.
``BENCH3DMM_RENDERER=pyvista|matplotlib`` settles the choice by hand.

Axes are those of the datasets: y up, z towards the viewer, x to the subject's left (the picture's right), mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import Bench3dmmError, MeshError, UnknownNameError
from bench3dmm.view.camera import View, fit_view, project, width_height
from bench3dmm.view.renderers import (
    CLAY,
    INSIDE,
    SUPERSAMPLING,
    Scene,
    draw_matplotlib,
    draw_pyvista,
    lambert,
    renderer,
    shrink,
)

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


EDGE = "#4a4440"
"""The colour of a wireframe's edges."""

ERROR_MAP = "YlOrRd"
"""The colour map of error heatmaps: sequential from light to dark, safe for colour-blind readers."""

PAPER_MAP = "paper"
"""Blue → green → red, the map of the paper's heatmaps (Figs. 7–9), for pictures side by side with them."""

ERROR_RANGE = (0.0, 6.0)
"""Millimetres at the two ends of an error heatmap, as in the paper's Figs. 7–9; beyond is clamped."""


def render_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    values: np.ndarray | None = None,
    size: int | tuple[int, int] = 400,
    camera: str = "front",
    view: View | None = None,
    cmap: str | Colormap = ERROR_MAP,
    clim: tuple[float, float] = ERROR_RANGE,
    background: str | None = "white",
) -> np.ndarray:
    """One mesh as an image; see `render_meshes` for the arguments.

    Args:
        vertices: (V, 3) mm.
        values: (V,) painted through `cmap`, or None for clay.

    Returns:
        (height, width, 3) uint8, or (height, width, 4) with ``background=None``.
    """
    vertices = np.asarray(vertices)
    if vertices.ndim != 2:
        raise MeshError(f"render_mesh takes one mesh (V, 3), got {vertices.shape}; use render_meshes for many")
    batch = None if values is None else np.asarray(values)[None]
    return render_meshes(
        vertices[None],
        faces,
        values=batch,
        size=size,
        camera=camera,
        view=view,
        cmap=cmap,
        clim=clim,
        background=background,
    )[0]


def render_meshes(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    values: np.ndarray | None = None,
    size: int | tuple[int, int] = 400,
    camera: str = "front",
    view: View | None = None,
    cmap: str | Colormap = ERROR_MAP,
    clim: tuple[float, float] = ERROR_RANGE,
    background: str | None = "white",
) -> np.ndarray:
    """Meshes of one topology, all with one camera, so that their sizes compare.

    Args:
        vertices: (N, V, 3) mm.
        faces: (F, 3), counter-clockwise seen from outside.
        values: (N, V) painted through `cmap` between the two ends of `clim` (values beyond are clamped; a
            value that is not finite is grey), or None for clay.
        size: side of a square picture, or (width, height), in pixels.
        camera: one of `CAMERAS`; framed to the bounds of all the meshes unless `view` is given.
        view: a camera of `fit_view`, to share it among several calls.
        cmap: any matplotlib colour map, or `PAPER_MAP`.
        background: a matplotlib colour, or None for transparent.

    Returns:
        (N, height, width, 3) uint8, or (N, height, width, 4) with ``background=None``.

    Raises:
        MeshError: shapes that do not fit together, or a vertex that is not finite.
        UnknownNameError: a camera, colour map or renderer that does not exist.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    faces = np.asarray(faces, dtype=np.int64)
    _check_meshes(vertices, faces, values)
    shape = width_height(size)
    view = view or fit_view(vertices, camera, shape)
    colours = None if values is None else paint(values, cmap, clim)
    draw = draw_pyvista if renderer() == "pyvista" else draw_matplotlib
    return np.stack(list(draw(Scene(vertices, faces, colours, shape, view, background))))


def render_wireframe(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    size: int | tuple[int, int] = 400,
    view: View | None = None,
    line_width: float = 1.0,
) -> np.ndarray:
    """One mesh (V, 3) of flat triangles with their edges, to show its connectivity; by matplotlib everywhere.

    Args:
        line_width: of the edges, in pixels.

    Returns:
        (height, width, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    vertices, faces = np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    _check_meshes(vertices[None], faces, None)
    width, height = width_height(size)
    view = view or fit_view(vertices, "front", size)
    corners = ((vertices - view.centre) @ view.axes.T)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    order = np.argsort(corners[:, :, 2].mean(axis=1), kind="stable")
    colours = np.clip(1.1 * np.array(CLAY) * lambert(normals, soft=True)[:, None], 0.0, 1.0)
    colours[normals[:, 2] <= 0] = INSIDE

    figure = Figure(figsize=(width / 72, height / 72), dpi=72 * SUPERSAMPLING)  # a point is a pixel
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    triangles = project(vertices, view, size)[faces[order]]
    axes.add_collection(
        PolyCollection(triangles, facecolors=colours[order], edgecolors=EDGE, linewidths=line_width, joinstyle="round")
    )
    canvas.draw()
    return shrink(np.asarray(canvas.buffer_rgba())[..., :3])


def paint(values: np.ndarray, cmap: str | Colormap = ERROR_MAP, clim: tuple[float, float] = ERROR_RANGE) -> np.ndarray:
    """Values (…) as colours (…, 3) in [0, 1]: clamped to `clim`, grey where a value is not finite."""
    low, high = clim
    if not high > low:
        raise Bench3dmmError(f"clim=({low}, {high}): the second limit must be above the first")
    shown = np.clip((np.asarray(values, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    colours = colour_map(cmap)(shown)[..., :3]
    colours[~np.isfinite(shown)] = 0.6
    return colours


def colour_map(name: str | Colormap) -> Colormap:
    """A matplotlib colour map by name, or itself; `PAPER_MAP` is the paper's blue → green → red."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    if not isinstance(name, str):
        return name
    if name == PAPER_MAP:
        return LinearSegmentedColormap.from_list(PAPER_MAP, ["#0000ff", "#00ff00", "#ff0000"])
    if name not in matplotlib.colormaps:
        raise UnknownNameError("colour map", name, [*matplotlib.colormaps, PAPER_MAP])
    return matplotlib.colormaps[name]


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, labels: Sequence[str] | None = None, gap: int = 8
) -> np.ndarray:
    """Images (H, W, 3) of one size in rows of `columns`, each with its label below, as one image."""
    if not len(images) or columns < 1:
        raise Bench3dmmError(f"a contact sheet needs images and columns, got {len(images)} and {columns}")
    if labels is not None and len(labels) != len(images):
        raise Bench3dmmError(f"{len(labels)} labels for {len(images)} images")
    height, width = images[0].shape[:2]
    text_height = 0 if labels is None else max(12, height // 12)
    rows = -(-len(images) // columns)
    step_y, step_x = height + text_height + gap, width + gap
    sheet = np.full((rows * step_y + gap, columns * step_x + gap, 3), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        y, x = gap + index // columns * step_y, gap + index % columns * step_x
        sheet[y : y + height, x : x + width] = image[..., :3]
    return sheet if labels is None else _write_labels(sheet, labels, columns, step_x, step_y, text_height, gap)


def _check_meshes(vertices: np.ndarray, faces: np.ndarray, values: np.ndarray | None) -> None:
    if vertices.ndim != 3 or vertices.shape[2] != 3 or not vertices.size:
        raise MeshError(f"vertices must be (N, V, 3) with N, V > 0, got {vertices.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3 or not faces.size:
        raise MeshError(f"faces must be (F, 3) with F > 0, got {faces.shape}")
    if faces.min() < 0 or faces.max() >= vertices.shape[1]:
        raise MeshError(f"faces name vertex {faces.max()}, the meshes have {vertices.shape[1]}")
    if not np.isfinite(vertices).all():
        mesh, vertex = np.argwhere(~np.isfinite(vertices))[0, :2]
        raise MeshError(f"mesh {mesh}, vertex {vertex} is not finite: {vertices[mesh, vertex]}")
    if values is not None and np.shape(values) != vertices.shape[:2]:
        raise MeshError(f"values {np.shape(values)} do not match the vertices {vertices.shape[:2]}")


def _write_labels(
    sheet: np.ndarray,
    labels: Sequence[str],
    columns: int,
    step_x: int,
    step_y: int,
    text_height: int,
    gap: int,
) -> np.ndarray:
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size=int(text_height * 0.7))
    for index, label in enumerate(labels):
        x = gap + index % columns * step_x + (step_x - gap) / 2
        y = gap + (index // columns + 1) * step_y - gap - text_height / 2
        draw.text((x, y), str(label), fill=(60, 60, 60), font=font, anchor="mm")
    return np.asarray(picture)
