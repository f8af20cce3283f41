"""Every table and figure of the paper, one function each."""

from __future__ import annotations

import numpy as np

from bench3dmm.papers.artefact import Artefact, Material
from bench3dmm.papers.neural3dmm_bu3dfe.figures.architecture import figure1
from bench3dmm.papers.neural3dmm_bu3dfe.figures.curves import convergence_figure, figure4, figure5, figure6
from bench3dmm.papers.neural3dmm_bu3dfe.figures.faces import error_view, figure2, figure3, figure7, figure8, figure9
from bench3dmm.papers.neural3dmm_bu3dfe.figures.near import landmark_distance_figure
from bench3dmm.papers.neural3dmm_bu3dfe.ledger import ledger_block
from bench3dmm.papers.neural3dmm_bu3dfe.tables import (
    convergence_table,
    generalization_table,
    landmark_table,
    table1,
    table2,
)
from bench3dmm.papers.setup import Setup
from bench3dmm.runs.stored import stored_results
from bench3dmm.view.tables import save_table
from bench3dmm.view.verdicts import claims_figure

__all__ = [
    "ARTEFACTS",
    "Setup",
    "claims_figure",
    "convergence_figure",
    "convergence_table",
    "error_view",
    "figure1",
    "figure2",
    "figure3",
    "figure4",
    "figure5",
    "figure6",
    "figure7",
    "figure8",
    "figure9",
    "generalization_table",
    "landmark_distance_figure",
    "landmark_table",
    "ledger_block",
    "save_table",
    "stored_results",
    "table1",
    "table2",
]

DATA, RESULTS = "Data and model", "Results"
LEDGER = "Text against released code"

ARTEFACTS: dict[str, Artefact] = {
    "table1": Artefact(
        DATA,
        lambda m: table1(m.coma),
        (),
        "Meshes per expression in {coma}, beside COMA's as the paper's Table 1 gives them.",
    ),
    "table2": Artefact(
        DATA,
        lambda m: table2(m.bu3dfe),
        (),
        "Meshes per expression in {bu3dfe}, beside BU3DFE's as the paper's Table 2 gives them.",
    ),
    "figure1": Artefact(
        DATA,
        lambda m: figure1(m.hierarchy, name=m.setup.bu3dfe),
        (),
        "Neural3DMM on the levels of the hierarchy of {bu3dfe} (the paper's Fig. 1).",
    ),
    "figure2": Artefact(
        DATA,
        lambda m: figure2(m.bu3dfe.template, m.hierarchy, m.setup.bu3dfe),
        (),
        "Spiral ordering on the template of {bu3dfe} and on an image patch (the paper's Fig. 2).",
    ),
    "figure3": Artefact(
        DATA,
        lambda m: figure3(m.bu3dfe.template, m.setup.bu3dfe),
        (),
        "Weights of the weighted loss on the template of {bu3dfe}, by equation 6 and as the released code computes "
        "them (the paper's Fig. 3).",
    ),
    "figure4": Artefact(
        RESULTS,
        lambda m: figure4(m.results, m.setup),
        ("datasets",),
        "Generalization error over the latent size on {coma} and {bu3dfe}, percentage split (the paper's Fig. 4).",
    ),
    "figure5": Artefact(
        RESULTS,
        lambda m: figure5(m.results, m.setup),
        ("splits",),
        "Generalization error over the latent size on {bu3dfe}, identity against percentage split (the paper's "
        "Fig. 5).",
    ),
    "figure6": Artefact(
        RESULTS,
        lambda m: figure6(m.results, m.setup),
        ("splits", "weighted-loss"),
        "Cumulative per-vertex Euclidean error on {bu3dfe} for each latent size and for the weighted loss, mean over "
        "seeds; the markers are the paper's medians (the paper's Fig. 6).",
    ),
    "figure7": Artefact(
        RESULTS,
        lambda m: figure7(m.results, m.bu3dfe, m.setup),
        ("splits",),
        "Reference, reconstruction and error of test meshes of {bu3dfe}: percentage split, d = 512 (the paper's "
        "Fig. 7).",
    ),
    "figure8": Artefact(
        RESULTS,
        lambda m: figure8(m.results, m.bu3dfe, m.setup),
        ("splits",),
        "Reference, reconstruction and error of test meshes of {bu3dfe}: identity split, d = 512 (the paper's Fig. 8).",
    ),
    "figure9": Artefact(
        RESULTS,
        lambda m: figure9(m.results, m.bu3dfe, m.setup),
        ("weighted-loss",),
        "Reference, reconstruction and error of test meshes of {bu3dfe}: weighted loss, both splits, d = 512 (the "
        "paper's Fig. 9).",
    ),
    "generalization": Artefact(
        RESULTS,
        lambda m: generalization_table(m.results, m.setup),
        ("splits", "weighted-loss"),
        "Generalization error in mm on {bu3dfe} and {coma}, with the paper's on BU3DFE and COMA (the paper's Figs. 4 "
        "to 6 as numbers).",
    ),
    "distance": Artefact(
        RESULTS,
        lambda m: landmark_distance_figure(m.results, m.bu3dfe.template, m.setup),
        ("weighted-loss",),
        "Error over the distance to the nearest landmark on {bu3dfe}, with plain and with weighted L1, d = 512.",
    ),
    "landmarks": Artefact(
        RESULTS,
        lambda m: landmark_table(m.results, m.setup),
        ("weighted-loss",),
        "Error in mm within 10 mm of a landmark and elsewhere on {bu3dfe}, d = 512: what the weighted loss trades "
        "(the paper's section 4.4.3).",
    ),
    "convergence": Artefact(
        RESULTS,
        lambda m: convergence_figure(m.results, m.setup),
        ("convergence",),
        "Generalization error over the epochs of training on {bu3dfe}, percentage split: how far the profile is from "
        "converged.",
    ),
    "epochs": Artefact(
        RESULTS,
        lambda m: convergence_table(m.results, m.setup),
        ("convergence",),
        "Generalization error after so many epochs on {bu3dfe}, percentage split, and how far above the longest "
        "training's it is.",
    ),
    "ledger": Artefact(
        LEDGER,
        lambda m: ledger_block(m.results, m.setup, _subjects(m)),
        ("ledger",),
        "What changes where the paper's text and its released code differ; docs/ledger.md has all differences.",
    ),
}


def _subjects(material: Material) -> np.ndarray | None:
    """(N,) whose mesh each row is; None where the dataset is not at hand."""
    dataset = material.datasets.get(material.setup.bu3dfe)
    return None if dataset is None else dataset.samples["subject"].to_numpy(str)
