"""The replicated paper: its experiments, claims, figures, tables and the ledger of where text and code differ.

Who lives here: `experiments` (which runs), `artefacts` (every table and figure by name; drawn in `figures` and
`tables`), `claims` (its statements, with `effects`, `cells` and `evidence` behind them, and `untested`), `ledger`, and
`published` (its own numbers).
"""

from __future__ import annotations

from bench3dmm.papers.neural3dmm_bu3dfe import experiments
from bench3dmm.papers.paper import Paper

PAPER = Paper(
    name="neural3dmm_bu3dfe",
    short="Neural3DMM on BU3DFE",
    title="Neural 3D Morphable Models: Spiral Convolutional Networks for 3D Shape Representation Learning and "
    "Generation - Applied to the BU3DFE Dataset",
    citation="Mandelli and Mihalcea; replicates Bouritsas et al., ICCV 2019",
    summary="COMA vs BU3DFE, percentage vs identity split, latent sizes, weighted loss: every table and figure",
    experiments={
        "datasets": experiments.datasets_compared,
        "splits": experiments.splits_compared,
        "weighted-loss": experiments.weighted_loss,
        "ledger": experiments.ledger,
        "convergence": experiments.convergence,
    },
    groups={"paper": experiments.PAPER},
    notebooks={
        "00_quickstart": "data, spiral, one training with its error beside PCA's",
        "01_datasets": "Tables 1 and 2, the people",
        "02_architecture": "Figs. 1 and 2",
        "03_coma_vs_bu3dfe": "Fig. 4",
        "04_split_comparison": "Fig. 5",
        "05_latent_sweep": "Fig. 6",
        "06_weighted_loss": "Fig. 3, the weighted loss near landmarks and elsewhere",
        "07_qualitative": "Figs. 7, 8 and 9",
        "08_claims": "every claim with its verdict",
        "09_training_and_ledger": "how far from converged, what text and code differ in",
    },
    order=0,
)
