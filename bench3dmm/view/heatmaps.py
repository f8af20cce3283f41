"""Reference, reconstruction and error of stored test meshes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import DataError
from bench3dmm.view.camera import fit_view
from bench3dmm.view.curves import run_line
from bench3dmm.view.render import ERROR_MAP, contact_sheet, render_meshes
from bench3dmm.view.style import colour_bar, mean_notes, name_cells, picture, style, tight_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.runs.results import Result


FIXED_POSITIONS = "test meshes at fixed positions of the split"
"""How the meshes of heatmap figures are chosen: not by their error."""


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
    size = tight_size(both, cell)
    view = fit_view(both, "front", size)
    clay = render_meshes(both, faces, size=size, view=view)
    painted = render_meshes(reconstruction, faces, values=error, size=size, view=view, cmap=cmap)
    count = len(reference)
    cells = [image for row in range(count) for image in (clay[row], clay[count + row], painted[row])]
    sheet = contact_sheet(cells, columns=3, gap=0)

    with style():
        figure, axes = picture(sheet, 2.7, left=0.75, right=1.35, top=0.28, footer=footer)
        titles = ("reference", "reconstruction", "error")
        name_cells(axes, size, titles, labels, mean_notes(error), above=8, beside=12)
        colour_bar(figure, cmap)
    return figure
