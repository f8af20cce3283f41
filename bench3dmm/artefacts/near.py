"""What the weighted loss trades: error over the distance to the nearest landmark (section 4.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.artefacts.setup import Setup, choose
from bench3dmm.errors import MeshError
from bench3dmm.figures import PALETTE, SOFT, add_footer, style
from bench3dmm.mesh.geodesic import landmark_distance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench3dmm.mesh.template import Template
    from bench3dmm.results import Result

EDGES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, np.inf)  # mm
NEAR = 10.0  # mm, what the claims call near
SPLITS = ("percentage", "identity")
LOSSES = {"l1": "L1", "weighted-l1": "weighted L1"}


def landmark_distance_figure(results: Sequence[Result], template: Template, setup: Setup | None = None) -> Figure:
    """Mean error of the vertices at each distance from a landmark, with plain and with weighted L1, d = 512.

    Raises:
        DataError: none of its runs is among the results.
        MeshError: the template has no landmarks.
    """
    from matplotlib.figure import Figure

    if not len(template.landmarks):
        raise MeshError(f"{template.name} has no landmarks to be near to")
    setup = setup or Setup()
    chosen = choose("the figure of errors near landmarks", results, setup, "weighted-loss")
    distance = landmark_distance(template)
    bins = np.digitize(distance, EDGES) - 1
    there = np.unique(bins)
    middle = [distance[bins == place].mean() for place in there]
    with style():
        figure = Figure(figsize=(7.2, 3.5), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, split in zip(panels, SPLITS, strict=True):
            for loss, label, colour, marker in (
                ("l1", "L1", PALETTE[0], "o"),
                ("weighted-l1", "weighted L1", PALETTE[1], "s"),
            ):
                runs = chosen.where(split=split, loss=loss)
                if runs:
                    errors = np.array(
                        [[r.arrays["vertex_error"][bins == place].mean() for place in there] for r in runs]
                    )
                    axes.plot(middle, errors.mean(axis=0), color=colour, marker=marker, ms=4, label=label, zorder=3)
                    axes.fill_between(middle, errors.min(axis=0), errors.max(axis=0), color=colour, alpha=0.2, lw=0)
            axes.axvline(NEAR, color=SOFT, lw=1.4, ls=":", zorder=1)
            axes.set_title(f"{split} split")
            axes.set_xlabel("distance to the nearest landmark (mm)")
            axes.set_xlim(left=0)
            axes.grid(True)
        panels[0].set_ylim(bottom=0)  # of both, once all is drawn
        panels[0].set_ylabel("mean error (mm)")
        panels[0].legend()
        share = 100 * np.mean(distance <= NEAR)
        add_footer(
            figure,
            f"{chosen.footer} · d = 512 · band: lowest and highest seed · {share:.0f} % of the vertices lie within "
            f"{NEAR:g} mm of one of {len(template.landmarks)} landmarks (dotted)",
        )
    return figure
