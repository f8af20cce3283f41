"""What a reader must know before any ranking: where the simplest thing that might do as well is first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from bench3dmm.statistics.ranking import Ranking, Standing

LINEAR = "pca"


# --- what is said of PCA ------------------------------------------------------------------------------------------


def headline(rankings: Sequence[Ranking]) -> list[str]:
    """What a reader must know before any table: where PCA, a linear model, is first; then where it ties, where it
    loses, and where no ranking is claimed. One sentence for each dataset and split."""
    said: dict[str, list[str]] = {"first": [], "shared": [], "beaten": [], "unranked": []}
    for place, group in _by_place(rankings).items():
        linear = {ranking.latent: ranking.standing(LINEAR) for ranking in group}
        by_latent = {ranking.latent: ranking for ranking in group}
        ranked = {latent: s for latent, s in linear.items() if s is not None and s.rank is not None}
        name = f"PCA, a linear model fitted in {_seconds(linear.values())},"
        if alone := {
            latent: _others(by_latent[latent]) for latent, s in ranked.items() if s.rank == 1 and not s.shared
        }:
            said["first"].append(f"{name} is first, {_at(alone, 'ahead of')} on {place}.")
        if shared := {
            latent: _others(by_latent[latent], 1) for latent, s in ranked.items() if s.rank == 1 and s.shared
        }:
            said["shared"].append(f"{name} shares the first place {_at(shared, 'with')} on {place}.")
        if beaten := {latent: by_latent[latent].better_than(LINEAR) for latent, s in ranked.items() if s.rank > 1}:
            said["beaten"].append(f"PCA is beaten {_at(beaten, 'by')} on {place}.")
        said["unranked"] += [f"Not ranked at {where} on {place}: {why}." for where, why in unranked(group).items()]
        if absent := [latent for latent, standing in linear.items() if standing is None]:
            said["unranked"].append(
                f"PCA is not among the models at d = {and_(absent)} on {place}: what a linear one reaches is not known."
            )
    return list(itertools.chain.from_iterable(said.values()))


def unranked(group: Sequence[Ranking]) -> dict[str, str]:
    """Of rankings on one dataset and split, at which latent sizes which models have no rank, and why."""
    reasons: dict[str, list[int]] = {}
    for ranking in group:
        if ranking.unranked:
            reasons.setdefault(ranking.unranked, []).append(ranking.latent)
    return {f"d = {and_(latents)}": reason for reason, latents in reasons.items()}


def _by_place(rankings: Sequence[Ranking]) -> dict[str, list[Ranking]]:
    several = len({ranking.profile for ranking in rankings}) > 1
    places: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        places.setdefault(ranking.place + (f", profile {ranking.profile}" if several else ""), []).append(ranking)
    return places


def _others(ranking: Ranking, rank: int | None = None) -> list[str]:
    """The ranked models besides PCA, all or those of one rank."""
    return [s.model for s in ranking.ranked if s.model != LINEAR and rank in (None, s.rank)]


def _at(models: dict[int, list[str]], word: str) -> str:
    """``with coma at d = 8 and 16, and with coma and spiralnet at d = 64``."""
    latents: dict[tuple[str, ...], list[int]] = {}
    for latent, names in models.items():
        latents.setdefault(tuple(names), []).append(latent)
    return ", and ".join(f"{word} {and_(names)} at d = {and_(those)}" for names, those in latents.items())


def and_(values: Sequence[object]) -> str:
    *rest, last = map(str, values)
    return f"{', '.join(rest)} and {last}" if rest else last


def _seconds(standings: Iterable[Standing | None]) -> str:
    seconds = max((s.training_seconds for s in standings if s is not None), default=math.nan)
    return "closed form" if not seconds > 0 else f"{max(1, math.ceil(seconds))} s"
