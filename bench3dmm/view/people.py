"""People of a dataset, each with their expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench3dmm.data.synthetic.counts import table_of
from bench3dmm.view.render import contact_sheet, render_meshes
from bench3dmm.view.style import name_cells, picture, style, tight_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset


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
        titles = [name.replace("_", "\n") for name in chosen.columns]
        name_cells(axes, size, titles, list(chosen.index), beside=12)
    return figure


def contact_sheet_samples(dataset: Dataset, people: int = 6) -> pd.DataFrame:
    """The mesh in each cell of the contact sheet: rows subjects, columns expressions, −1 for none."""
    samples = dataset.samples.reset_index(drop=True)
    _, paper = table_of(dataset)
    grouped = samples.groupby(["subject", "expression"], sort=True)["level"]
    chosen = grouped.idxmax().unstack(fill_value=-1)
    chosen = chosen.reindex(columns=[name for name in paper if name in chosen.columns])
    if "neutral" not in chosen:
        chosen.insert(0, "neutral", samples.groupby("subject", sort=True)["level"].idxmin())
    found = (chosen >= 0).sum(axis=1)
    complete = chosen[found == found.max()]
    spread = np.unique(np.linspace(0, len(complete) - 1, min(people, len(complete))).round().astype(int))
    return complete.iloc[spread].astype(int)


def dataset_line(dataset: Dataset) -> str:
    people = dataset.samples["subject"].nunique()
    size = f"{len(dataset):,} meshes of {people} people"
    return f"{dataset.name} · {size} · sha256 {dataset.sha256[:12]} · no training"
