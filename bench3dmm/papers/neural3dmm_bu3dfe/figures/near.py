"""What the weighted loss trades: error over the distance to the nearest landmark (section 4.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import landmark_distance
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import WEIGHTED_DECAY
from bench3dmm.papers.setup import Setup, choose
from bench3dmm.record.run import Run
from bench3dmm.view.style import PALETTE, SOFT, add_footer, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench3dmm.mesh.template import Template
    from bench3dmm.runs.results import Result

EDGES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, np.inf)  # mm
NEAR = 10.0  # mm, what the claims call near
SPLITS = ("percentage", "identity")
USUAL_DECAY = Run("mh-scan").weight_decay
LINES = (
    ("L1", {"loss": "l1", "weight_decay": USUAL_DECAY}, {"color": PALETTE[0], "marker": "o"}),
    ("weighted L1", {"loss": "weighted-l1", "weight_decay": USUAL_DECAY}, {"color": PALETTE[1], "marker": "s"}),
    (
        "weighted L1, less weight decay",
        {"loss": "weighted-l1", "weight_decay": WEIGHTED_DECAY},
        {"color": PALETTE[1], "marker": "s", "mfc": "white", "ls": "--"},
    ),
)


def landmark_distance_figure(results: Sequence[Result], template: Template, setup: Setup | None = None) -> Figure:
    """Mean error of the vertices at each distance from a landmark, with plain and with weighted L1, d = 512.

    With the ledger's runs among the results also weighted L1 with a weight decay as small as its weights are.

    Raises:
        DataError: none of its runs is among the results.
        MeshError: the template has no landmarks.
    """
    from matplotlib.figure import Figure

    if not len(template.landmarks):
        raise MeshError(f"{template.name} has no landmarks to be near to")
    setup = setup or Setup()
    less_decay = setup.runs("ledger", weight_decay=WEIGHTED_DECAY)
    chosen = choose("the figure of errors near landmarks", results, setup, "weighted-loss", optional=less_decay)
    distance = landmark_distance(template)
    bins = np.digitize(distance, EDGES) - 1
    there = np.unique(bins)
    middle = [distance[bins == place].mean() for place in there]
    with style():
        figure = Figure(figsize=(7.2, 3.5), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, split in zip(panels, SPLITS, strict=True):
            for label, fields, line in LINES:
                maps = [result.arrays["vertex_error"] for result in chosen.where(split=split, **fields)]
                if maps:
                    errors = np.array([[of_vertex[bins == place].mean() for place in there] for of_vertex in maps])
                    axes.plot(middle, errors.mean(axis=0), **line, ms=4, label=label, zorder=3)
                    low, high = errors.min(axis=0), errors.max(axis=0)
                    axes.fill_between(middle, low, high, color=line["color"], alpha=0.2, lw=0)
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
