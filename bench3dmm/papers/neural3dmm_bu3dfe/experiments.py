"""The runs behind the paper's tables and figures."""

from __future__ import annotations

from typing import Any

from bench3dmm.record.grid import grid
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run

LATENTS = (8, 16, 64, 256, 512)  # of Fig. 5
COMA_LATENTS = (8, 16, 64)  # of Fig. 4
WEIGHTED_LATENT = 512  # section 4.4.3
CONVERGENCE_LATENTS = (16, 64, 256)
CONVERGENCE_TIMES = (1 / 6, 1 / 3, 2 / 3, 1, 2, 4)  # the profile's epochs
WEIGHTED_DECAY = 2.2e-6  # the usual 5e-5 times 0.044, the mean of equation 6's weights on mh-scan
RELEASED_TEST_SHARE = 0.0764  # 136 of BU3DFE's 1,779 meshes
RELEASED_VALIDATION = 100  # training rows


# --- the paper's experiments ------------------------------------------------------------------------------------


def datasets_compared(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """COMA against BU3DFE over the latent size (Fig. 4)."""
    return [
        *grid(dataset=coma, latent=COMA_LATENTS, **common),
        *grid(dataset=bu3dfe, latent=COMA_LATENTS, **common),
    ]


def splits_compared(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Percentage against identity split on BU3DFE over the latent size (Figs. 5 to 8)."""
    return grid(dataset=bu3dfe, split=["percentage", "identity"], latent=LATENTS, **common)


def weighted_loss(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Weighted against plain L1 at d = 512, both splits (Figs. 6 and 9)."""
    losses = ["l1", "weighted-l1"]
    return grid(dataset=bu3dfe, split=["percentage", "identity"], latent=WEIGHTED_LATENT, loss=losses, **common)


def ledger(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Where the paper's text and its released code differ, one switch at a time (docs/ledger.md)."""
    base = {"dataset": bu3dfe, "latent": 16, **common}
    weighted = {**base, "latent": WEIGHTED_LATENT}
    return [
        *grid(**base),
        *grid(**base, preset="release"),
        *grid(**base, validation=RELEASED_VALIDATION),
        *grid(**base, test_share=RELEASED_TEST_SHARE),
        *grid(**weighted, loss=["weighted-l1", "weighted-l1-released"]),
        *grid(**weighted, loss="weighted-l1", weight_decay=WEIGHTED_DECAY),
    ]


def convergence(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """How far a profile is from converged: error against epochs for three latent sizes, first seed."""
    common = {**common, "seed": common["seed"][:1]}
    epochs = _convergence_epochs(common["profile"])
    return grid(dataset=bu3dfe, latent=CONVERGENCE_LATENTS, epochs=epochs, **common)


def _convergence_epochs(profile: str) -> list[int]:
    """Each length once; the profile's own stays 0, so that its run is the one the other experiments have."""
    own = PROFILES[profile].epochs
    lengths = [max(1, round(own * times)) for times in CONVERGENCE_TIMES]
    return [0 if length == own else length for length in dict.fromkeys(lengths)]


FIGURES = ("datasets", "splits", "weighted-loss")  # what the paper's own figures show and its claims are about
PAPER = (*FIGURES, "ledger", "convergence")  # what `paper` stands for
