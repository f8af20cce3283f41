"""Tables and figures of all models on one protocol, one function each."""

from __future__ import annotations

from bench3dmm.papers.artefact import Artefact, Section
from bench3dmm.papers.comparison.chosen import peer_rankings, peers_headline
from bench3dmm.papers.comparison.figures import (
    error_over_latent_figure,
    error_over_time_figure,
    peers_faces_figure,
    region_figure,
)
from bench3dmm.papers.comparison.generative import (
    extrapolation_figure,
    generative_table,
    interpolation_figure,
    sampling_figure,
    transfer_figure,
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

__all__ = [
    "ARTEFACTS",
    "breakdown_table",
    "common_training_table",
    "error_over_latent_figure",
    "error_over_time_figure",
    "extrapolation_figure",
    "extrapolation_table",
    "generative_table",
    "interpolation_figure",
    "measures_table",
    "pairs_table",
    "peer_rankings",
    "peers_faces_figure",
    "peers_headline",
    "published_table",
    "ranking_table",
    "region_figure",
    "sampling_figure",
    "transfer_figure",
]

COMPARED = "Models on one protocol"

ARTEFACTS: dict[str, Artefact] = {
    "ranking": Artefact(
        COMPARED,
        lambda m: ranking_table(m.results, m.setup),
        ("peers",),
        "Models by mean error on {bu3dfe}, percentage split, with ties said to be ties.",
    ),
    "ranking-coma": Artefact(
        COMPARED,
        lambda m: ranking_table(m.results, m.setup, "coma"),
        ("peers",),
        "Models by mean error on {coma}, percentage split, with ties said to be ties.",
    ),
    "ranking-identity": Artefact(
        COMPARED,
        lambda m: ranking_table(m.results, m.setup, split="identity"),
        ("peers",),
        "Models by mean error on {bu3dfe}, identity split, with ties said to be ties.",
    ),
    "peers-latent": Artefact(
        COMPARED,
        lambda m: error_over_latent_figure(m.results, m.setup),
        ("peers",),
        "Generalization error of every model over the latent size on {bu3dfe} and {coma}.",
    ),
    "peers-time": Artefact(
        COMPARED,
        lambda m: error_over_time_figure(m.results, m.setup),
        ("peers",),
        "Generalization error of every model on {bu3dfe}, percentage split, over what a training step and a "
        "reconstruction cost.",
    ),
    "pairs": Artefact(
        COMPARED,
        lambda m: pairs_table(m.results, m.setup),
        ("peers",),
        "Every two models on {bu3dfe}, percentage split: difference and ratio of their errors, and what they say.",
    ),
    "measures": Artefact(
        COMPARED,
        lambda m: measures_table(m.results, m.setup),
        ("peers",),
        "Generalization, specificity, compactness and error by region of every model on {bu3dfe}, percentage split.",
    ),
    "peers-expression": Artefact(
        COMPARED,
        lambda m: breakdown_table(m.results, m.setup),
        ("peers",),
        "Error in mm of every model on each expression of {bu3dfe}, percentage split.",
    ),
    "peers-intensity": Artefact(
        COMPARED,
        lambda m: breakdown_table(m.results, m.setup, "level"),
        ("peers",),
        "Error in mm of every model at each intensity of the expressions of {bu3dfe}, percentage split.",
    ),
    "peers-region": Artefact(
        COMPARED,
        lambda m: region_figure(m.results, m.setup),
        ("peers",),
        "Error of every model in the regions of the face on {bu3dfe} and {coma}.",
    ),
    "peers-faces": Artefact(
        COMPARED,
        lambda m: peers_faces_figure(m.results, m.bu3dfe, m.setup),
        ("peers",),
        "Test meshes of {bu3dfe}, percentage split, and where each model's reconstruction errs.",
    ),
    "common-training": Artefact(
        COMPARED,
        lambda m: common_training_table(m.results, m.setup),
        ("common-training",),
        "Models by mean error on {bu3dfe}, percentage split, with the training they were published with and with one "
        "for all.",
    ),
    "extrapolation": Artefact(
        COMPARED,
        lambda m: extrapolation_table(m.results, m.setup),
        ("extrapolation",),
        "Error in mm of every model on the expression of {coma} that its training left out.",
    ),
    "published-peers": Artefact(
        COMPARED,
        lambda m: published_table(m.results, m.setup),
        ("peers",),
        "Published errors of these models, and ours on {coma}, which are not to be compared.",
    ),
}

SECTIONS = (Section(COMPARED, lambda m: peers_headline(m.results, m.setup)),)
