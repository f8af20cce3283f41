"""Claims whose effects are given, for the engine that judges and draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench3dmm.statistics.bootstrap import Interval
from bench3dmm.statistics.claims import Claim, Finding


@dataclass(frozen=True, eq=False, kw_only=True)
class FixedClaim(Claim):
    """Its evidence is a finding for each claim, by id."""

    def find(self, evidence: Mapping[str, Finding]) -> Finding:
        return evidence[self.id]


def claim(id: str = "smaller", side: str = "below", threshold: float = 1.0) -> FixedClaim:
    words = dict.fromkeys(("quote", "place", "statement", "measure", "why"), "said")
    return FixedClaim(id=id, side=side, threshold=threshold, **words)


def found(low: float, point: float, high: float, **fields) -> Finding:
    return Finding(effect=Interval(point, low, high), **fields)
