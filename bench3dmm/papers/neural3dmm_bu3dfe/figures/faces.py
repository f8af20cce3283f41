"""Pictures of meshes: spirals (Fig. 2), landmark weights (Fig. 3), reconstructions with their error (Figs. 7–9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.mesh.geodesic import landmark_weights, released_landmark_weights
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import WEIGHTED_LATENT
from bench3dmm.papers.setup import Chosen, Setup, choose
from bench3dmm.view.camera import fit_view, project
from bench3dmm.view.heatmaps import FIXED_POSITIONS, heatmap_rows, stored_reconstructions
from bench3dmm.view.render import ERROR_MAP, contact_sheet, render_meshes
from bench3dmm.view.show import MeshView, show_mesh
from bench3dmm.view.spirals import spiral_figure
from bench3dmm.view.style import colour_bar, picture, style, tight_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.mesh.hierarchy import Hierarchy
    from bench3dmm.mesh.template import Template
    from bench3dmm.runs.results import Result

WEIGHT_MAP = "cividis"
LEAST_WEIGHT = 0.01  # where the colour scale of Fig. 3 ends
PLACES = (0, 2, 3, 5)
"""Which of the six reconstructions a run stores are shown: at fixed positions of the split."""


def figure2(template: Template, hierarchy: Hierarchy, name: str = "") -> Figure:
    """The spiral ordering on the mesh and on an image patch (Fig. 2); see `bench3dmm.view.spirals.spiral_figure`."""
    return spiral_figure(template, hierarchy, name=name)


def figure3(template: Template, name: str = "") -> Figure:
    """Vertex weights of the weighted loss, from the template's landmarks (Fig. 3): eq. 6 and the released code's.

    The scale is logarithmic: nearly all weights are small, as the paper's caption says.

    Raises:
        MeshError: the template has no landmarks.
    """
    from matplotlib.colors import LogNorm

    weights = np.stack([landmark_weights(template), released_landmark_weights(template)])
    vertices = np.repeat(template.vertices[None], 2, axis=0)
    width, _ = size = tight_size(template.vertices, 640)
    view = fit_view(template.vertices, "front", size)
    limits = (np.log10(LEAST_WEIGHT), 0.0)
    shown = np.log10(np.maximum(weights, 1e-9))
    images = render_meshes(
        vertices, template.faces, values=shown, size=size, view=view, cmap=WEIGHT_MAP, clim=limits
    )  # fmt: skip
    footer = (
        f"{name or template.name} · {len(template.landmarks)} landmarks, circled · no training"
        " · the released code reads landmark ids one too high, gives a landmark its distance to the next one"
        " and leaves z unweighted"
    )
    gap = 24
    with style():
        sheet = contact_sheet(list(images), columns=2, gap=gap)
        figure, axes = picture(sheet, 4.0, left=0.05, right=0.95, top=0.25, footer=footer)
        landmarks = project(template.vertices[_facing(template)], view, size)
        for column, title in enumerate(("equation 6", "released code")):
            corner = np.array([gap + column * (width + gap), gap])
            axes.text(corner[0] + width / 2, 4, title, ha="center", va="bottom", fontsize=9)
            x, y = (landmarks + corner).T
            axes.scatter(x, y, s=8, facecolors="none", edgecolors="white", linewidths=0.5)
        axes.set(xlim=(0, sheet.shape[1]), ylim=(sheet.shape[0], 0))
        colour_bar(figure, WEIGHT_MAP, LogNorm(LEAST_WEIGHT, 1), "weight", extend="min")
    return figure


def figure7(results: Sequence[Result], dataset: Dataset, setup: Setup | None = None, cmap: str = ERROR_MAP) -> Figure:
    """Reference, reconstruction and error: percentage split, d = 512 (Fig. 7).

    Args:
        dataset: the one in BU3DFE's place.
        cmap: ``paper`` for the paper's blue–green–red.

    Raises:
        DataError: none of its runs is among the results, or the dataset is another.
    """
    return _heatmaps("Fig. 7", results, dataset, setup, cmap, "splits", {"percentage": PLACES})


def figure8(results: Sequence[Result], dataset: Dataset, setup: Setup | None = None, cmap: str = ERROR_MAP) -> Figure:
    """Reference, reconstruction and error: identity split, d = 512 (Fig. 8); see `figure7`."""
    return _heatmaps("Fig. 8", results, dataset, setup, cmap, "splits", {"identity": PLACES})


def figure9(results: Sequence[Result], dataset: Dataset, setup: Setup | None = None, cmap: str = ERROR_MAP) -> Figure:
    """Reference, reconstruction and error: weighted loss, d = 512, both splits (Fig. 9); see `figure7`.

    Its meshes are the first ones of Figs. 7 and 8.
    """
    shown = {"percentage": PLACES[:2], "identity": PLACES[:2]}
    return _heatmaps("Fig. 9", results, dataset, setup, cmap, "weighted-loss", shown, loss="weighted-l1")


def error_view(
    results: Sequence[Result],
    dataset: Dataset,
    setup: Setup | None = None,
    *,
    split: str = "percentage",
    loss: str = "weighted-l1",
    place: int = PLACES[0],
    cmap: str = ERROR_MAP,
) -> MeshView:
    """One reconstruction painted with its error, to turn: by default the first one of Fig. 9; see `figure7`.

    Args:
        split, loss: of the run; ``l1`` for the meshes of Figs. 7 and 8.
        place: among the meshes that the run stores, one of `PLACES` for those of the figures.

    Raises:
        Bench3dmmError: without the extra ``interactive``.
    """
    fields: dict[str, Any] = {"latent": WEIGHTED_LATENT, "loss": loss, "split": split}
    result = choose("a mesh to turn", results, setup or Setup(), "weighted-loss", **fields).results[0]
    (reference,), (reconstruction,), (label,) = stored_reconstructions(result, dataset, [place])
    error = np.linalg.norm(reference - reconstruction, axis=1)
    footer = " · ".join([label.replace("\n", " "), f"mean {error.mean():.2f} mm", Chosen([result], []).footer])
    mesh = reconstruction, dataset.template.faces
    view = show_mesh(mesh, error, interactive=True, footer=footer, cmap=cmap)
    assert isinstance(view, MeshView)  # as it is interactive
    return view


def _heatmaps(
    what: str,
    results: Sequence[Result],
    dataset: Dataset,
    setup: Setup | None,
    cmap: str,
    experiment: str,
    shown: Mapping[str, Sequence[int]],
    loss: str = "l1",
) -> Figure:
    """Rows of meshes: of each split those at some of the stored places, from the first seed that there is."""
    where: dict[str, Any] = {"latent": WEIGHTED_LATENT, "loss": loss}
    if len(shown) == 1:
        (where["split"],) = shown
    chosen = choose(what, results, setup or Setup(), experiment, **where)
    first, missing, parts = [], [], []
    for split, places in shown.items():
        ofsplit = chosen.where(split=split)
        if not ofsplit:
            missing += [run for run in chosen.missing if run.split == split][:1]
            continue
        first.append(ofsplit[0])
        reference, reconstruction, labels = stored_reconstructions(
            ofsplit[0], dataset, [place for place in places if place < len(ofsplit[0].arrays["reconstruction_index"])]
        )
        if len(shown) > 1:
            labels = [f"{split}\n{label}" for label in labels]
        parts.append((reference, reconstruction, labels))
    reference, reconstruction = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    labels = [label for *_, those in parts for label in those]
    footer = f"{Chosen(first, missing).footer} · {FIXED_POSITIONS}"
    if len(first) > 1:
        footer = f"{footer} · d = {WEIGHTED_LATENT}, {loss}"
    return heatmap_rows(reference, reconstruction, dataset.template.faces, labels, footer, cmap)


def _facing(template: Template) -> np.ndarray:
    """The landmarks on the side that is seen."""
    normals = vertex_normals(template.vertices, template.faces)
    return template.landmarks[normals[template.landmarks, 2] > 0]
