"""Meshes in rows and columns, seen by one camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.view.camera import fit_view
from bench3dmm.view.render import ERROR_MAP, contact_sheet, render_meshes
from bench3dmm.view.style import colour_bar, picture, style, tight_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset

CELL = 240  # pixels
CELL_INCHES = 0.95
RANGE_MM = 4.0


def mesh_grid(
    shapes: np.ndarray,
    dataset: Dataset,
    labels: Sequence[str],
    titles: Sequence[str],
    footer: str,
    painted: np.ndarray | None = None,
    *,
    notes: Sequence[str] | None = None,
    scale: str = "per-vertex error (mm)",
    limit: float = RANGE_MM,
    camera: str = "front",
) -> Figure:
    """Meshes (R, C, V, 3) with labels at the rows and titles above the columns.

    Args:
        painted: (R, V) mm, on the last column, with a colour bar and ``notes``, or their means, beside the rows.
        scale, limit: the colour bar's label, and what it ends at.
        camera: see `bench3dmm.view.camera.CAMERAS`.
    """
    faces, flat = dataset.template.faces, shapes.reshape(-1, *shapes.shape[2:])
    width, height = size = tight_size(flat, CELL)
    view = fit_view(flat, camera, size)
    images = list(render_meshes(flat, faces, size=size, view=view))
    columns = shapes.shape[1]
    if painted is not None:
        images[columns - 1 :: columns] = render_meshes(
            shapes[:, -1], faces, values=painted, size=size, view=view, cmap=ERROR_MAP, clim=(0, limit)
        )
    sheet = contact_sheet(images, columns=columns, gap=0)
    lines = max(title.count("\n") for title in titles) + 1
    with style():
        right = 0.15 if painted is None else 1.45
        margins = {"left": 0.9, "right": right, "top": 0.1 + 0.15 * lines}
        figure, axes = picture(sheet, columns * CELL_INCHES, **margins, footer=footer)
        for column, title in enumerate(titles):
            axes.text((column + 0.5) * width, -6, title, ha="center", va="bottom", fontsize=8)
        for row, label in enumerate(labels):
            axes.text(-10, (row + 0.5) * height, label, ha="right", va="center", fontsize=8)
        if painted is not None:
            from matplotlib.colors import Normalize

            notes = notes or [f"mean\n{mean:.2f} mm" for mean in painted.mean(axis=1)]
            for row, note in enumerate(notes):
                axes.text(columns * width + 10, (row + 0.5) * height, note, va="center", fontsize=8)
            colour_bar(figure, ERROR_MAP, Normalize(0, limit), scale)
    return figure
