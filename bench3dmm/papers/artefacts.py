"""Every table and figure."""

from __future__ import annotations

from bench3dmm.papers.comparison.figures import (
    error_over_latent_figure,
    error_over_time_figure,
    peers_faces_figure,
    region_figure,
)
from bench3dmm.papers.comparison.tables import (
    breakdown_table,
    common_training_table,
    extrapolation_table,
    measures_table,
    pairs_table,
    published_table,
    ranking_table,
)
from bench3dmm.papers.lamm.tables import lamm_claims_table, locality_table, manipulation_table
from bench3dmm.papers.neural3dmm_bu3dfe.figures.architecture import figure1
from bench3dmm.papers.neural3dmm_bu3dfe.figures.curves import convergence_figure, figure4, figure5, figure6
from bench3dmm.papers.neural3dmm_bu3dfe.figures.faces import figure2, figure3, figure7, figure8, figure9
from bench3dmm.papers.neural3dmm_bu3dfe.figures.near import landmark_distance_figure
from bench3dmm.papers.neural3dmm_bu3dfe.tables import (
    convergence_table,
    generalization_table,
    landmark_table,
    table1,
    table2,
)
from bench3dmm.papers.paper import Artefact

__all__ = [
    "ARTEFACTS",
    "EDITING_EXPERIMENTS",
    "PEER_EXPERIMENTS",
    "Artefact",
    "Material",
    "Setup",
    "breakdown_table",
    "claims_figure",
    "common_training_table",
    "convergence_figure",
    "convergence_table",
    "edit_figure",
    "error_over_latent_figure",
    "error_over_time_figure",
    "error_view",
    "extrapolation_figure",
    "extrapolation_table",
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
    "generative_table",
    "interpolation_figure",
    "lamm_claims_table",
    "landmark_distance_figure",
    "landmark_table",
    "locality_table",
    "manipulation_table",
    "measures_table",
    "pairs_table",
    "partition_figure",
    "peer_rankings",
    "peers_faces_figure",
    "peers_headline",
    "published_table",
    "ranking_table",
    "region_figure",
    "region_samples_figure",
    "sampling_figure",
    "save_table",
    "stored_results",
    "swap_figure",
    "table1",
    "table2",
    "transfer_figure",
]
ARTEFACTS: dict[str, Artefact] = {
    "table1": Artefact(
        lambda m: table1(m.coma),
        (),
        "Meshes per expression in {coma}, beside COMA's as the paper's Table 1 gives them.",
    ),
    "table2": Artefact(
        lambda m: table2(m.bu3dfe),
        (),
        "Meshes per expression in {bu3dfe}, beside BU3DFE's as the paper's Table 2 gives them.",
    ),
    "figure1": Artefact(
        lambda m: figure1(m.hierarchy, name=m.setup.bu3dfe),
        (),
        "Neural3DMM on the levels of the hierarchy of {bu3dfe} (the paper's Fig. 1).",
    ),
    "figure2": Artefact(
        lambda m: figure2(m.bu3dfe.template, m.hierarchy, m.setup.bu3dfe),
        (),
        "Spiral ordering on the template of {bu3dfe} and on an image patch (the paper's Fig. 2).",
    ),
    "figure3": Artefact(
        lambda m: figure3(m.bu3dfe.template, m.setup.bu3dfe),
        (),
        "Weights of the weighted loss on the template of {bu3dfe}, by equation 6 and as the released code computes "
        "them (the paper's Fig. 3).",
    ),
    "figure4": Artefact(
        lambda m: figure4(m.results, m.setup),
        ("datasets",),
        "Generalization error over the latent size on {coma} and {bu3dfe}, percentage split (the paper's Fig. 4).",
    ),
    "figure5": Artefact(
        lambda m: figure5(m.results, m.setup),
        ("splits",),
        "Generalization error over the latent size on {bu3dfe}, identity against percentage split (the paper's "
        "Fig. 5).",
    ),
    "figure6": Artefact(
        lambda m: figure6(m.results, m.setup),
        ("splits", "weighted-loss"),
        "Cumulative per-vertex Euclidean error on {bu3dfe} for each latent size and for the weighted loss, mean over "
        "seeds; the markers are the paper's medians (the paper's Fig. 6).",
    ),
    "figure7": Artefact(
        lambda m: figure7(m.results, m.bu3dfe, m.setup),
        ("splits",),
        "Reference, reconstruction and error of test meshes of {bu3dfe}: percentage split, d = 512 (the paper's "
        "Fig. 7).",
    ),
    "figure8": Artefact(
        lambda m: figure8(m.results, m.bu3dfe, m.setup),
        ("splits",),
        "Reference, reconstruction and error of test meshes of {bu3dfe}: identity split, d = 512 (the paper's Fig. 8).",
    ),
    "figure9": Artefact(
        lambda m: figure9(m.results, m.bu3dfe, m.setup),
        ("weighted-loss",),
        "Reference, reconstruction and error of test meshes of {bu3dfe}: weighted loss, both splits, d = 512 (the "
        "paper's Fig. 9).",
    ),
    "generalization": Artefact(
        lambda m: generalization_table(m.results, m.setup),
        ("splits", "weighted-loss"),
        "Generalization error in mm on {bu3dfe} and {coma}, with the paper's on BU3DFE and COMA (the paper's Figs. 4 "
        "to 6 as numbers).",
    ),
    "distance": Artefact(
        lambda m: landmark_distance_figure(m.results, m.bu3dfe.template, m.setup),
        ("weighted-loss",),
        "Error over the distance to the nearest landmark on {bu3dfe}, with plain and with weighted L1, d = 512.",
    ),
    "landmarks": Artefact(
        lambda m: landmark_table(m.results, m.setup),
        ("weighted-loss",),
        "Error in mm within 10 mm of a landmark and elsewhere on {bu3dfe}, d = 512: what the weighted loss trades "
        "(the paper's section 4.4.3).",
    ),
    "convergence": Artefact(
        lambda m: convergence_figure(m.results, m.setup),
        ("convergence",),
        "Generalization error over the epochs of training on {bu3dfe}, percentage split: how far the profile is from "
        "converged.",
    ),
    "epochs": Artefact(
        lambda m: convergence_table(m.results, m.setup),
        ("convergence",),
        "Generalization error after so many epochs on {bu3dfe}, percentage split, and how far above the longest "
        "training's it is.",
    ),
    "ranking": Artefact(
        lambda m: ranking_table(m.results, m.setup),
        ("peers",),
        "Models by mean error on {bu3dfe}, percentage split, with ties said to be ties.",
    ),
    "ranking-coma": Artefact(
        lambda m: ranking_table(m.results, m.setup, "coma"),
        ("peers",),
        "Models by mean error on {coma}, percentage split, with ties said to be ties.",
    ),
    "ranking-identity": Artefact(
        lambda m: ranking_table(m.results, m.setup, split="identity"),
        ("peers",),
        "Models by mean error on {bu3dfe}, identity split, with ties said to be ties.",
    ),
    "peers-latent": Artefact(
        lambda m: error_over_latent_figure(m.results, m.setup),
        ("peers",),
        "Generalization error of every model over the latent size on {bu3dfe} and {coma}.",
    ),
    "peers-time": Artefact(
        lambda m: error_over_time_figure(m.results, m.setup),
        ("peers",),
        "Generalization error of every model on {bu3dfe}, percentage split, over what a training step and a "
        "reconstruction cost.",
    ),
    "pairs": Artefact(
        lambda m: pairs_table(m.results, m.setup),
        ("peers",),
        "Every two models on {bu3dfe}, percentage split: difference and ratio of their errors, and what they say.",
    ),
    "measures": Artefact(
        lambda m: measures_table(m.results, m.setup),
        ("peers",),
        "Generalization, specificity, compactness and error by region of every model on {bu3dfe}, percentage split.",
    ),
    "peers-expression": Artefact(
        lambda m: breakdown_table(m.results, m.setup),
        ("peers",),
        "Error in mm of every model on each expression of {bu3dfe}, percentage split.",
    ),
    "peers-intensity": Artefact(
        lambda m: breakdown_table(m.results, m.setup, "level"),
        ("peers",),
        "Error in mm of every model at each intensity of the expressions of {bu3dfe}, percentage split.",
    ),
    "peers-region": Artefact(
        lambda m: region_figure(m.results, m.setup),
        ("peers",),
        "Error of every model in the regions of the face on {bu3dfe} and {coma}.",
    ),
    "peers-faces": Artefact(
        lambda m: peers_faces_figure(m.results, m.bu3dfe, m.setup),
        ("peers",),
        "Test meshes of {bu3dfe}, percentage split, and where each model's reconstruction errs.",
    ),
    "common-training": Artefact(
        lambda m: common_training_table(m.results, m.setup),
        ("common-training",),
        "Models by mean error on {bu3dfe}, percentage split, with the training they were published with and with one "
        "for all.",
    ),
    "extrapolation": Artefact(
        lambda m: extrapolation_table(m.results, m.setup),
        ("extrapolation",),
        "Error in mm of every model on the expression of {coma} that its training left out.",
    ),
    "published-peers": Artefact(
        lambda m: published_table(m.results, m.setup),
        ("peers",),
        "Published errors of these models, and ours on {coma}, which are not to be compared.",
    ),
    "edits": Artefact(
        lambda m: manipulation_table(m.results, m.setup),
        ("manipulation",),
        "One region of a face of {bu3dfe} edited by its control vertices: how near it comes, what else moves.",
    ),
    "edits-coma": Artefact(
        lambda m: manipulation_table(m.results, m.setup, "coma"),
        ("manipulation",),
        "One region of a face of {coma} edited by its control vertices: how near it comes, what else moves.",
    ),
    "locality": Artefact(
        lambda m: locality_table(m.results, m.setup),
        ("manipulation",),
        "Movement inside an edited region over that outside, on {bu3dfe}.",
    ),
    "lamm-claims": Artefact(
        lambda m: lamm_claims_table(m.results, m.setup),
        ("manipulation",),
        "What LAMM's paper claims, on {bu3dfe} and {coma}.",
    ),
}
