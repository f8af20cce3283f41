"""How time and memory of a training step grow with vertices, batch and latent size, each point in its own process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bench3dmm.bench.cases import SIDES, Case
from bench3dmm.bench.worker import in_process

VERTICES = (1_000, 2_000, 5_000, 10_000, 50_000, 100_000)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
LATENTS = (8, 16, 64, 256, 512)
DENSE_LIMIT = 10_000  # vertices; the published side's dense matrices of 50,000 would take 5 GB


@dataclass(frozen=True)
class Point:
    axis: str
    side: str
    case: Case

    @property
    def value(self) -> int:
        return int(self.case.mesh.partition("-")[2]) if self.axis == "vertices" else getattr(self.case, self.axis)


def points() -> Iterator[Point]:
    """All that is measured: one axis at a time, around preset paper, d = 16, batch 16."""
    base = Case("mh-scan")
    axes = {
        "vertices": [replace(base, mesh=f"face-{n}") for n in VERTICES],
        "batch": [replace(base, batch=n) for n in BATCHES],
        "latent": [replace(base, latent=n) for n in LATENTS],
    }
    for axis, cases in axes.items():
        for case in cases:
            for side in SIDES:
                point = Point(axis, side, case)
                if side == "engine" or axis != "vertices" or point.value <= DENSE_LIMIT:
                    yield point


def measure(point: Point, device: str) -> dict[str, Any]:
    """Seconds of a training step, the least of five measurements, and peak memory of training."""
    measured = in_process("step", device=device, side=point.side, **asdict(point.case))
    return {"axis": point.axis, "value": point.value, "side": point.side, **asdict(point.case), **measured}


def exponent(rows: Sequence[dict[str, Any]], axis: str, side: str, least: float = 0.0) -> float:
    """Slope of log time over log size, by least squares: 1 is linear."""
    chosen = [
        (r["value"], r["step_s"]) for r in rows if r["axis"] == axis and r["side"] == side and r["value"] >= least
    ]
    if len(chosen) < 2:
        return math.nan
    sizes, seconds = np.log(np.array(chosen)).T
    return float(np.polyfit(sizes, seconds, 1)[0])
