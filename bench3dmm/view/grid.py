"""Meshes in rows and columns, seen by one camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.view.camera import fit_view
from bench3dmm.view.render import ERROR_MAP, contact_sheet, render_meshes
from bench3dmm.view.style import colour_bar, mean_notes, name_cells, picture, style, tight_size

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
    size = tight_size(flat, CELL)
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
        if painted is None:
            name_cells(axes, size, titles, labels)
        else:
            from matplotlib.colors import Normalize

            name_cells(axes, size, titles, labels, notes or mean_notes(painted))
            colour_bar(figure, ERROR_MAP, Normalize(0, limit), scale)
    return figure
