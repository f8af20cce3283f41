"""What a reader must know before any ranking: where the simplest thing that might do as well is first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from bench3dmm.statistics.ranking import Ranking, Standing
from bench3dmm.system.words import listed
from bench3dmm.tasks.registry import get_task
from bench3dmm.tasks.task import Baseline


def headline(rankings: Sequence[Ranking]) -> list[str]:
    """What a reader must know before any table: where the task's baseline is first; then where it ties, where it loses,
    and where no ranking is claimed. One sentence for each dataset and split."""
    said: dict[str, list[str]] = {"first": [], "shared": [], "beaten": [], "unranked": []}
    for place, group in _by_place(rankings).items():
        baseline = get_task(group[0].task).baselines[:1]
        if baseline:
            _say(said, place, group, baseline[0])
        said["unranked"] += [f"Not ranked at {where} on {place}: {why}." for where, why in unranked(group).items()]
        if baseline and (absent := [one.latent for one in group if one.standing(baseline[0].name) is None]):
            said["unranked"].append(
                f"{baseline[0].label} is not among the models at d = {listed(absent)} on {place}: what "
                f"{baseline[0].summary} reaches is not known."
            )
    return list(itertools.chain.from_iterable(said.values()))


def _say(said: dict[str, list[str]], place: str, group: Sequence[Ranking], baseline: Baseline) -> None:
    standings = {ranking.latent: ranking.standing(baseline.name) for ranking in group}
    by_latent = {ranking.latent: ranking for ranking in group}
    ranked = {latent: s for latent, s in standings.items() if s is not None and s.rank is not None}
    fitted = any(s.runs for s in standings.values() if s is not None)
    how = f" fitted in {_seconds(standings.values())}" if fitted else ""
    name = f"{baseline.label}, {baseline.summary}{how},"
    if alone := {d: _others(by_latent[d], baseline.name) for d, s in ranked.items() if s.rank == 1 and not s.shared}:
        said["first"].append(f"{name} is first, {_at(alone, 'ahead of')} on {place}.")
    if shared := {d: _others(by_latent[d], baseline.name, 1) for d, s in ranked.items() if s.rank == 1 and s.shared}:
        said["shared"].append(f"{name} shares the first place {_at(shared, 'with')} on {place}.")
    if beaten := {d: by_latent[d].better_than(baseline.name) for d, s in ranked.items() if s.rank != 1}:
        said["beaten"].append(f"{baseline.label} is beaten {_at(beaten, 'by')} on {place}.")


def unranked(group: Sequence[Ranking]) -> dict[str, str]:
    """Of rankings on one dataset and split, at which latent sizes which models have no rank, and why."""
    reasons: dict[str, list[int]] = {}
    for ranking in group:
        if ranking.unranked:
            reasons.setdefault(ranking.unranked, []).append(ranking.latent)
    return {f"d = {listed(latents)}": reason for reason, latents in reasons.items()}


def _by_place(rankings: Sequence[Ranking]) -> dict[str, list[Ranking]]:
    several = len({ranking.profile for ranking in rankings}) > 1
    places: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        places.setdefault(ranking.place + (f", profile {ranking.profile}" if several else ""), []).append(ranking)
    return places


def _others(ranking: Ranking, name: str, rank: int | None = None) -> list[str]:
    """The ranked models besides the one of that name, all or those of one rank."""
    return [s.model for s in ranking.ranked if s.model != name and rank in (None, s.rank)]


def _at(models: dict[int, list[str]], word: str) -> str:
    """``with coma at d = 8 and 16, and with coma and spiralnet at d = 64``."""
    latents: dict[tuple[str, ...], list[int]] = {}
    for latent, names in models.items():
        latents.setdefault(tuple(names), []).append(latent)
    return ", and ".join(f"{word} {listed(names)} at d = {listed(those)}" for names, those in latents.items())


def _seconds(standings: Iterable[Standing | None]) -> str:
    seconds = max((s.training_seconds for s in standings if s is not None), default=math.nan)
    return "closed form" if not seconds > 0 else f"{max(1, math.ceil(seconds))} s"
