"""Claims of papers, and the verdicts that stored results give them: one engine for all papers.

A claim's effect is a number, and a paper's own code finds it in stored results, with an interval. A claim is
*reproduced* if the interval lies wholly on the claimed side of its threshold, *not reproduced* if wholly on the other,
and *inconclusive* if it holds the threshold, or where the results do not suffice.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench3dmm.record.profiles import PROFILES
from bench3dmm.statistics.bootstrap import Interval

if TYPE_CHECKING:
    import pandas as pd

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
LEAST_SEEDS = 3
LEAST_UNITS = 5  # persons, or meshes where these are not known


@dataclass(frozen=True, eq=False, kw_only=True)
class Claim(ABC):
    """One testable statement. A subclass says how its effect is found.

    Attributes:
        id: its name here.
        quote, place: at most eight words of the paper, and where they stand.
        statement: what is tested, in a sentence.
        measure: what the effect is, with its unit; ratios have none. Where a claim is about several things, it is the
            worst of them, so that the claim stands or falls with that one.
        side, threshold: the claim holds where the effect is ``below`` or ``above`` this.
        why: how the threshold follows from the paper.
        original: true of the paper's own data alone, because it is about millimetres.
        note: what else a reader should know.
    """

    id: str
    quote: str
    place: str
    statement: str
    measure: str
    side: str
    threshold: float
    why: str
    original: bool = False
    note: str = ""

    @abstractmethod
    def find(self, evidence: Any) -> Finding:
        """The effect in the evidence of the claim's paper, and what it rests on."""

    @property
    def criterion(self) -> str:
        return f"{self.side} {self.threshold:.3g}"

    def holds(self, effect: float) -> bool:
        return effect < self.threshold if self.side == "below" else effect > self.threshold


@dataclass(frozen=True, eq=False, kw_only=True)
class Finding:
    """What stored results amount to, for one claim.

    Attributes:
        effect: point estimate and 95 % interval; None where a run is missing.
        obstacles: why the results do not suffice for a verdict; empty where they do.
        seed_effects: the effect of each seed alone, in the order of ``seeds``.
        paper_effect: the same effect of the paper's own numbers; None where it gives none.
        datasets, profile, seeds: what was measured.
        test_meshes, persons: their numbers by dataset and split; ``persons`` is empty where meshes were resampled.
    """

    effect: Interval | None
    obstacles: tuple[str, ...] = ()
    seed_effects: tuple[float, ...] = ()
    paper_effect: float | None = None
    datasets: tuple[str, ...] = ()
    profile: str | None = None
    seeds: tuple[int, ...] = ()
    test_meshes: Mapping[str, int] = field(default_factory=dict)
    persons: Mapping[str, int] = field(default_factory=dict)

    @property
    def data(self) -> str:
        """Dataset, profile, seeds and test meshes, in a line."""
        if not self.test_meshes:
            return "no results"
        sizes = [
            f"{where}: {meshes} test meshes" + (f" of {self.persons[where]} persons" if where in self.persons else "")
            for where, meshes in self.test_meshes.items()
        ]
        seeds = ", ".join(map(str, self.seeds)) or "none"
        epochs = f", {PROFILES[self.profile].epochs} epochs" if self.profile else ""
        return f"{'; '.join(sizes)}; profile {self.profile}{epochs}; seeds {seeds}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict(Finding):
    """What a finding says about a claim.

    Attributes:
        claim: the claim.
        verdict: ``reproduced``, ``not reproduced`` or ``inconclusive``.
        reason: why, in a sentence.
    """

    claim: Claim
    verdict: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; numbers that are not finite become None."""
        claim, effect = self.claim, self.effect
        point, low, high = (None, None, None) if effect is None else (effect.point, effect.low, effect.high)
        return {
            "id": claim.id,
            "quote": claim.quote,
            "place": claim.place,
            "statement": claim.statement,
            "measure": claim.measure,
            "holds_if": {"side": claim.side, "threshold": claim.threshold, "why": claim.why},
            "note": claim.note,
            "paper_effect": _finite(self.paper_effect),
            "effect": _finite(point),
            "low": _finite(low),
            "high": _finite(high),
            "seed_effects": [_finite(effect) for effect in self.seed_effects],
            "verdict": self.verdict,
            "reason": self.reason,
            "datasets": list(self.datasets),
            "profile": self.profile,
            "seeds": list(self.seeds),
            "test_meshes": dict(self.test_meshes),
            "persons": dict(self.persons),
        }


def judge(claims: Iterable[Claim], evidence: Any) -> list[Verdict]:
    """A verdict on each claim of one paper, from that paper's evidence."""
    return [_verdict(claim, claim.find(evidence)) for claim in claims]


def _verdict(claim: Claim, found: Finding) -> Verdict:
    if found.obstacles or found.effect is None:
        verdict, reason = INCONCLUSIVE, "; ".join(found.obstacles) or "no results"
    else:
        verdict, reason = decide(claim, found.effect)
    return Verdict(claim=claim, verdict=verdict, reason=reason, **vars(found))


def decide(claim: Claim, effect: Interval) -> tuple[str, str]:
    """The verdict that an effect's interval gives a claim, and why."""
    low, high = claim.holds(effect.low), claim.holds(effect.high)
    if low and high:
        return REPRODUCED, f"the whole interval is {claim.criterion}"
    if low or high:
        return INCONCLUSIVE, f"the interval contains {claim.threshold:.3g}"
    return NOT_REPRODUCED, f"nothing of the interval is {claim.criterion}"


def verdict_table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """A row a claim: the paper's words, its effect, ours with the 95 % interval, the verdict, on which data."""
    import pandas as pd

    verdicts = list(verdicts)
    rows = [
        {
            "place": v.claim.place,
            "quote": v.claim.quote,
            "statement": v.claim.statement,
            "effect is": v.claim.measure,
            "holds if": v.claim.criterion,
            "paper": math.nan if v.paper_effect is None else v.paper_effect,
            "ours": math.nan if v.effect is None else v.effect.point,
            "95 % interval": "" if v.effect is None else f"[{v.effect.low:.3g}, {v.effect.high:.3g}]",
            "verdict": v.verdict,
            "reason": v.reason,
            "data": v.data,
        }
        for v in verdicts
    ]
    return pd.DataFrame(rows, index=pd.Index([v.claim.id for v in verdicts], name="claim"))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
