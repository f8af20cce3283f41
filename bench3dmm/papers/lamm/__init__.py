"""LAMM: reconstruction and editing by regions, beside PCA and handle deformation.

Who lives here: `experiments` (which runs), `artefacts` (every table and figure by name; drawn in `figures` and
`tables`), `claims` (what its paper states), `ratings` (what edits amount to).
"""

from __future__ import annotations

from bench3dmm.papers.lamm import experiments
from bench3dmm.papers.paper import Paper

PAPER = Paper(
    name="lamm",
    short="LAMM",
    title="Locally Adaptive Neural 3D Morphable Models",
    citation="Tarasiou et al., CVPR 2024",
    summary="faces edited by regions: how near edits come, what else moves",
    experiments={"manipulation": experiments.manipulation},
    notebooks={"14_lamm": "LAMM: faces edited by regions, measured beside PCA and handle deformation"},
    shipped=experiments.edited_runs,
    order=20,
)
