"""All models on one protocol: who errs least, as far as test persons and seeds can tell, and what else they can do.

Who lives here: `experiments` (which runs), `artefacts` (every table and figure by name; drawn in `figures`, `tables`
and `generative`), `chosen` (which results are compared).
"""

from __future__ import annotations

from bench3dmm.papers.comparison import experiments
from bench3dmm.papers.paper import Paper

PAPER = Paper(
    name="comparison",
    short="All models",
    summary="PCA, CoMA, SpiralNet++, Neural3DMM and models of others on one protocol, ranked",
    experiments={
        "peers": experiments.peers,
        "lamm": experiments.lamm,
        "common-training": experiments.common_training,
        "extrapolation": experiments.extrapolation,
    },
    notebooks={
        "10_speed": "the engine against the published formulation",
        "11_peers": "PCA, CoMA, SpiralNet++ and Neural3DMM on one protocol, ranked",
        "12_generative": "samples, interpolation, extrapolation, expression transfer, of each model",
        "13_your_own_model": "a model of your own in 30 lines, checked and ranked",
    },
    shipped=lambda: experiments.peer_runs("mh-scan", profile="quick", seed=[0], latents=[16]),
    order=10,
)
