"""Papers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench3dmm.errors import UnknownNameError
from bench3dmm.papers.comparison.experiments import common_training, extrapolation, peers
from bench3dmm.papers.lamm.experiments import lamm, manipulation
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import (
    PAPER,
    convergence,
    datasets_compared,
    ledger,
    splits_compared,
    weighted_loss,
)
from bench3dmm.papers.paper import SEEDS
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run

EXPERIMENTS: dict[str, Callable[..., list[Run]]] = {
    "datasets": datasets_compared,
    "splits": splits_compared,
    "weighted-loss": weighted_loss,
    "ledger": ledger,
    "convergence": convergence,
    "peers": peers,
    "common-training": common_training,
    "extrapolation": extrapolation,
    "lamm": lamm,
    "manipulation": manipulation,
}


def experiment_names() -> list[str]:
    return ["paper", *EXPERIMENTS]


def experiment(
    name: str,
    coma: str = "mh-seq",
    bu3dfe: str = "mh-scan",
    profile: str = "quick",
    seeds: Sequence[int] = SEEDS,
) -> list[Run]:
    """The runs of an experiment, each once.

    Args:
        name: one of `experiment_names`; ``paper`` is all of them together.
        coma, bu3dfe: the datasets that take the places of COMA and BU3DFE.

    Raises:
        UnknownNameError: with the nearest known experiment or profile.
    """
    if name not in experiment_names():
        raise UnknownNameError("experiment", name, experiment_names())
    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    parts = PAPER if name == "paper" else (name,)
    chosen = [run for part in parts for run in EXPERIMENTS[part](coma, bu3dfe, profile=profile, seed=list(seeds))]
    return list(dict.fromkeys(chosen))
