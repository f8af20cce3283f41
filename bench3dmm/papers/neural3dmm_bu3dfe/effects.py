"""Effects of the paper's statements: one number for each d or split that a claim is about."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from bench3dmm.papers.neural3dmm_bu3dfe.cells import Errors, Values
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import COMA_LATENTS, LATENTS, WEIGHTED_LATENT

SPLITS = ("percentage", "identity")
SMALL, LARGE = (8, 16, 64), (256, 512)  # latent sizes below and from the 256 of section 4.4.2
WEIGHTED = "weighted-l1"
FIG4_COMA = {8: 0.88, 16: 0.75, 64: 0.62}  # mm, as in results/paper.csv
FIG5_BU3DFE = {
    "percentage": {8: 3.11, 16: 2.40, 64: 1.28, 256: 0.61, 512: 0.55},
    "identity": {8: 4.33, 16: 3.35, 64: 1.73, 256: 0.77, 512: 0.71},
}


def factors_apart(values: Mapping[int, Values], published: Mapping[int, float]) -> list[Values]:
    return [ratio for d, mm in published.items() for ratio in (values[d] / mm, mm / values[d])]


def coma_error(e: Errors) -> list[Values]:
    return factors_apart({d: e.coma(d) for d in FIG4_COMA}, FIG4_COMA)


def bu3dfe_error(e: Errors) -> list[Values]:
    curves = {split: {d: e.bu3dfe(split, d) for d in FIG5_BU3DFE[split]} for split in SPLITS}
    return [factor for split in SPLITS for factor in factors_apart(curves[split], FIG5_BU3DFE[split])]


def coma_easier(e: Errors) -> list[Values]:
    return [e.coma(d) / e.bu3dfe("percentage", d) for d in COMA_LATENTS]


def steep_fall(e: Errors) -> list[Values]:
    return [e.bu3dfe("percentage", 8) / e.bu3dfe("percentage", 64)]


def coma_flattens(e: Errors) -> list[Values]:
    return [(e.coma(8) / e.coma(64)) / fall for fall in steep_fall(e)]


def keeps_falling(e: Errors) -> list[Values]:
    return [e.bu3dfe("percentage", d) / e.bu3dfe("percentage", 4 * d) for d in (16, 64)]


def larger_better(e: Errors) -> list[Values]:
    return [e.bu3dfe(split, b) / e.bu3dfe(split, a) for split in SPLITS for a, b in itertools.pairwise(LATENTS)]


def largest_best(e: Errors) -> list[Values]:
    return [e.bu3dfe(split, 512) / e.bu3dfe(split, d) for split in SPLITS for d in LATENTS if d < 512]


def fundamental(e: Errors) -> list[Values]:
    return [e.bu3dfe(split, 8) / e.bu3dfe(split, 512) for split in SPLITS]


def percentage_better(e: Errors) -> list[Values]:
    return [e.bu3dfe("percentage", d) / e.bu3dfe("identity", d) for d in LATENTS]


def identity_worse(e: Errors) -> list[Values]:
    return [e.bu3dfe("identity", d) / e.bu3dfe("percentage", d) for d in LARGE]


def gap(e: Errors, latent: int) -> Values:
    return e.bu3dfe("identity", latent) - e.bu3dfe("percentage", latent)


def relative_gap(e: Errors, latent: int) -> Values:
    return gap(e, latent) / e.bu3dfe("percentage", latent)


def gap_left(e: Errors, gap: Callable[[Errors, int], Values]) -> list[Values]:
    """Each gap from d = 256 on over each up to d = 64; infinite where that one is no gap at all."""
    return [over_positive(gap(e, after), gap(e, before)) for after in LARGE for before in SMALL]


def over_positive(a: Values, b: Values) -> Values:
    return np.divide(a, b, out=np.full(np.shape(b), np.inf), where=b > 0)


def nearly_as_good(e: Errors) -> list[Values]:
    return [e.bu3dfe(split, 256) / e.bu3dfe(split, 512) for split in SPLITS]


def fewer_parameters(e: Errors) -> list[Values]:
    return [e.bu3dfe("percentage", 256, quantity="parameters") / e.bu3dfe("percentage", 512, quantity="parameters")]


def noisier(e: Errors) -> list[Values]:
    return [e.bu3dfe("identity", 512, quantity="noise") / e.bu3dfe("percentage", 512, quantity="noise")]


def weighted(e: Errors, split: str, quantity: str = "error") -> Values:
    return e.bu3dfe(split, WEIGHTED_LATENT, WEIGHTED, quantity)


def plain(e: Errors, split: str, quantity: str = "error") -> Values:
    return e.bu3dfe(split, WEIGHTED_LATENT, "l1", quantity)


def weighted_worse(e: Errors) -> list[Values]:
    return [weighted(e, split) / plain(e, split) for split in SPLITS]


def plain_beats_weighted(e: Errors) -> list[Values]:
    return [e.bu3dfe(split, d) / weighted(e, split) for split in SPLITS for d in LARGE]


def weighted_percentage_better(e: Errors) -> list[Values]:
    return [weighted(e, "percentage") / weighted(e, "identity")]


def weighted_near(e: Errors) -> list[Values]:
    return [weighted(e, split, "near_error") / plain(e, split, "near_error") for split in SPLITS]


def weighted_near_far(e: Errors) -> list[Values]:
    return [weighted(e, split, "near_error") / weighted(e, split, "far_error") for split in SPLITS]


def weighted_focuses(e: Errors) -> list[Values]:
    of_plain = [plain(e, split, "near_error") / plain(e, split, "far_error") for split in SPLITS]
    return [weighted / other for weighted, other in zip(weighted_near_far(e), of_plain, strict=True)]


def performance(e: Errors, split: str, latent: int, loss: str) -> Values:
    return e.bu3dfe(split, latent, loss) * e.bu3dfe(split, latent, loss, "parameters")


def plain_spares_parameters(e: Errors) -> list[Values]:
    return [performance(e, split, 256, "l1") / performance(e, split, WEIGHTED_LATENT, WEIGHTED) for split in SPLITS]
