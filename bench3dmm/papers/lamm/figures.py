"""LAMM's regions, and faces that it edited: displaced, swapped and sampled regions.

Faces are at fixed positions of the test set, not chosen by how they look; the methods are in `bench3dmm.apply.editing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.apply.editing import sample_region, swap_region
from bench3dmm.apply.generative import neutral_rows
from bench3dmm.data.faces import partition_of
from bench3dmm.data.rows import even_positions, training_rows
from bench3dmm.mesh.partition import Partition
from bench3dmm.view.camera import fit_view, project
from bench3dmm.view.curves import run_line
from bench3dmm.view.grid import mesh_grid
from bench3dmm.view.render import contact_sheet, render_mesh
from bench3dmm.view.style import PALETTE, picture, style, tight_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench3dmm.apply.trained import TrainedModel
    from bench3dmm.data.dataset import Dataset
    from bench3dmm.runs.results import Result

EDITS: dict[str, dict[str, tuple[float, float, float]]] = {
    "nose\n6 mm forward": {"nose": (0, 0, 6)},
    "mouth\n6 mm forward": {"mouth": (0, 0, 6)},
    "chin\n8 mm down": {"chin": (0, -8, 0)},
    "brows\n5 mm up": {"right brow": (0, 5, 0), "left brow": (0, 5, 0)},
}
MOVED_MM = max(float(np.linalg.norm(moved)) for edit in EDITS.values() for moved in edit.values())
SWAPPED = ("nose", "mouth", "chin", "right eye")
SAMPLED = ("nose", "mouth", "chin")
SAMPLES = 5
PLAIN = "no\ndisplacement"
EXAMPLES = 300  # training meshes whose regions are sampled from
REGION_PIXELS = 520
# Sides in two shades of one hue; neighbours differ in hue and in lightness.
COLOURS = {
    "right eye": "#0072b2",
    "left eye": "#56b4e9",
    "right brow": "#009e73",
    "left brow": "#7fd8b8",
    "nose": "#e69f00",
    "mouth": "#d55e00",
    "chin": "#f0e442",
    "right cheek": "#cc79a7",
    "left cheek": "#e9b8d3",
    "forehead": "#d8cdb8",
    "skull": "#8a8a8a",
}


def partition_figure(*datasets: Dataset) -> Figure:
    """The regions of templates in colour, with their control vertices as dots; a legend names both."""
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D

    partitions = [partition_of(one.template.vertices, one.template.faces) for one in datasets]
    names = partitions[0].names
    colours = [COLOURS.get(name, PALETTE[place % len(PALETTE)]) for place, name in enumerate(names)]
    images, dots = [], []
    for dataset, partition in zip(datasets, partitions, strict=True):
        template = dataset.template
        size = tight_size(template.vertices[None], REGION_PIXELS)
        view = fit_view(template.vertices[None], "front", size)
        image = render_mesh(
            template.vertices,
            template.faces,
            values=partition.labels.astype(float),
            size=size,
            view=view,
            cmap=ListedColormap(colours),
            clim=(-0.5, len(colours) - 0.5),
        )
        images.append(image)
        dots.append(project(template.vertices[partition.control_ids], view, size))
    width = max(image.shape[1] for image in images)
    images = [_centred(image, width) for image in images]
    counts = " · ".join(
        f"{one.name}: {one.template.n_vertices:,} vertices, {len(partition.control_ids)} of them control vertices"
        for one, partition in zip(datasets, partitions, strict=True)
    )
    with style():
        sheet = contact_sheet(images, columns=len(images), gap=0)
        figure, axes = picture(sheet, 2.6 * len(images), left=0.1, right=1.5, top=0.25, footer=counts)
        for column, (dataset, points) in enumerate(zip(datasets, dots, strict=True)):
            original = tight_size(dataset.template.vertices[None], REGION_PIXELS)[0]
            shift = column * width + (width - original) / 2
            axes.plot(points[:, 0] + shift, points[:, 1], "o", ms=1.6, mfc="white", mec="black", mew=0.4)
            axes.text((column + 0.5) * width, -6, dataset.name, ha="center", va="bottom", fontsize=9)
        marks = [
            Line2D([], [], marker="s", ls="", ms=6, color=colour, label=_counted(partitions[0], name))
            for name, colour in zip(names, colours, strict=True)
        ]
        axes.legend(handles=marks, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, title="control vertices")
    return figure


def edit_figure(result: Result, model: TrainedModel, dataset: Dataset) -> Figure:
    """One face, neutral if the test set has such, with regions displaced, and how far that moves each vertex."""
    row = _neutral_row(result, dataset)
    mesh = np.asarray(dataset.vertices[row], dtype=np.float64)
    plain = model.reconstruct(mesh)
    shapes, movements, notes = [], [], []
    edits = _edits(model.partition)
    for moved in edits.values():
        edited = model.edit(mesh, moved)
        movement = np.linalg.norm(edited - plain, axis=1)
        inside = np.isin(model.partition.labels, [model.partition.names.index(name) for name in moved])
        shapes.append(np.stack([mesh, plain, edited, edited]))
        movements.append(movement)
        notes.append(f"in / out\n{movement[inside].mean():.2f} /\n{movement[~inside].mean():.2f} mm")
    titles = ["true", PLAIN, "edited", "movement"]
    footer = _footer(result, _shown(dataset, row), "all control vertices of a region displaced alike")
    return mesh_grid(
        np.stack(shapes),
        dataset,
        list(edits),
        titles,
        footer,
        np.stack(movements),
        notes=notes,
        scale="movement (mm)",
        limit=MOVED_MM,
        camera="three-quarter",
    )


def swap_figure(result: Result, model: TrainedModel, dataset: Dataset, count: int = 3) -> Figure:
    """Faces, neutral if the test set has four such, with one region of another face each."""
    rows = _neutral_rows(result, dataset, at_least=4)
    count = min(count, len(rows) // 2)
    chosen = rows[even_positions(len(rows), 2 * count)]
    faces, names = dataset.template.faces, _known(SWAPPED, model.partition)
    shapes, labels = [], []
    for mesh_row, donor_row in zip(chosen[:count], chosen[count:], strict=False):
        mesh, donor = (np.asarray(dataset.vertices[row], dtype=np.float64) for row in (mesh_row, donor_row))
        swapped = [swap_region(model.editor, model.partition, faces, mesh, donor, name) for name in names]
        shapes.append(np.stack([mesh, donor, model.reconstruct(mesh), *swapped]))
        labels.append(f"{_person(dataset, mesh_row)}\nwith parts\nof {_person(dataset, donor_row)}")
    titles = ["true", "donor", PLAIN, *(f"donor's\n{name}" for name in names)]
    expressions = ", ".join(dict.fromkeys(dataset.samples["expression"].iloc[chosen]))
    return mesh_grid(np.stack(shapes), dataset, labels, titles, _footer(result, f"test meshes, {expressions}"))


def region_samples_figure(result: Result, model: TrainedModel, dataset: Dataset) -> Figure:
    """One face, as in `edit_figure`, with random shapes of a region, drawn from a Gaussian of its control vertices.

    That of up to 300 of the run's training meshes, at even positions.
    """
    examples = training_rows(result.run, dataset)
    row = _neutral_row(result, dataset)
    mesh = np.asarray(dataset.vertices[row], dtype=np.float64)
    given = np.asarray(dataset.vertices[examples[even_positions(len(examples), EXAMPLES)]], dtype=np.float64)
    shapes = []
    names = _known(SAMPLED, model.partition)
    for name in names:
        drawn = sample_region(model.editor, model.partition, dataset.template.faces, mesh, given, name, SAMPLES)
        shapes.append(np.stack([mesh, model.reconstruct(mesh), *drawn]))
    titles = ["true", PLAIN, *(f"sample {number}" for number in range(1, SAMPLES + 1))]
    footer = _footer(
        result,
        _shown(dataset, row),
        f"Gaussian of the region's control vertices in {len(given)} training meshes, laid onto its border",
    )
    return mesh_grid(np.stack(shapes), dataset, names, titles, footer)


def _known(names: Sequence[str], partition: Partition) -> list[str]:
    """Those regions, or on a partition without them as many others that can be edited."""
    return [name for name in names if name in partition.controls] or list(partition.controls)[: len(names)]


def _edits(partition: Partition) -> dict[str, dict[str, tuple[float, float, float]]]:
    known = {label: moved for label, moved in EDITS.items() if set(moved) <= set(partition.controls)}
    others = list(partition.controls)[: len(EDITS)]
    return known or {f"{name}\n6 mm forward": {name: (0, 0, 6)} for name in others}


def _counted(partition: Partition, name: str) -> str:
    controls: Mapping[str, np.ndarray] = partition.controls
    return f"{name} ({len(controls[name])})" if name in controls else name


def _centred(image: np.ndarray, width: int) -> np.ndarray:
    left = (width - image.shape[1]) // 2
    return np.pad(image, ((0, 0), (left, width - image.shape[1] - left), (0, 0)), constant_values=255)


def _neutral_rows(result: Result, dataset: Dataset, at_least: int) -> np.ndarray:
    """Neutral meshes among the test meshes, or all test meshes if there are fewer."""
    neutral = set(neutral_rows(dataset.samples).values())
    rows = np.array([row for row in result.arrays["sample_index"] if row in neutral], dtype=int)
    return rows if len(rows) >= at_least else result.arrays["sample_index"]


def _neutral_row(result: Result, dataset: Dataset) -> int:
    rows = _neutral_rows(result, dataset, at_least=1)
    return int(rows[len(rows) // 2])


def _person(dataset: Dataset, row: int) -> str:
    return str(dataset.samples["subject"].iloc[row]).replace("_", " ")


def _shown(dataset: Dataset, row: int) -> str:
    return f"{_person(dataset, row)}, {dataset.samples['expression'].iloc[row]}"


def _footer(result: Result, *parts: str) -> str:
    return " · ".join([run_line(result), *parts])
