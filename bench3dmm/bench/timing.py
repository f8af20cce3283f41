"""Clocks: interleaved A/B timing, and what the machine itself can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of one action over the rounds of a comparison."""

    median: float
    min: float
    max: float

    @staticmethod
    def of(seconds: np.ndarray) -> Timing:
        return Timing(float(np.median(seconds)), float(seconds.min()), float(seconds.max()))

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


Action = Callable[[int], object]
"""Does its thing so many times."""

Name = TypeVar("Name", bound=Hashable)


def seconds_of(action: Action, device: torch.device, repeat: int = 1) -> float:
    """Mean seconds of an action, the device's queue emptied before and after."""
    _wait(device)
    started = time.perf_counter()
    action(repeat)
    _wait(device)
    return (time.perf_counter() - started) / repeat


def interleaved(
    actions: Mapping[Name, Action], rounds: int, device: torch.device, *, share: float = 1.0
) -> dict[Name, np.ndarray]:
    """Seconds (rounds,) of each action, taken in turns so that all see the same state of the machine.

    A turn begins with one repetition that is not timed: none pays for what another left in the caches.

    Args:
        share: within a round, a quick action is repeated until it has taken this share of the slowest one's time.
    """
    once = {name: min(seconds_of(action, device) for _ in range(2)) for name, action in actions.items()}  # warm, too
    slowest = max(once.values())
    repeats = {name: max(1, min(50, int(share * slowest / seconds))) for name, seconds in once.items()}
    taken = {name: np.empty(rounds) for name in actions}
    for round_ in range(rounds):
        for name, action in actions.items():
            action(1)
            taken[name][round_] = seconds_of(action, device, repeats[name])
    return taken


def settled(action: Callable[[], object], device: torch.device, *, budget: float = 0.3) -> float:
    """Median seconds of an action over about ``budget`` seconds."""
    once = min(seconds_of(_times(action), device) for _ in range(3))
    rounds = max(5, min(200, int(budget / once)))
    return float(np.median([seconds_of(_times(action), device) for _ in range(rounds)]))


def gemm_rate(device: torch.device, size: int = 1024) -> float:
    """Floating-point operations a second of a square float32 matrix product: the best this machine does."""
    size = size if device.type == "cpu" else 8 * size
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    out = torch.empty_like(a)
    best = min(seconds_of(_times(lambda: torch.mm(a, b, out=out)), device) for _ in range(15))
    return 2 * size**3 / best


def copy_bandwidth(device: torch.device, megabytes: int = 256) -> float:
    """Bytes a second, read plus written, of a copy much larger than the caches."""
    source = torch.randn(megabytes * 250_000, device=device)
    target = torch.empty_like(source)
    best = min(seconds_of(_times(lambda: target.copy_(source)), device) for _ in range(7))
    return 2 * source.numel() * source.element_size() / best


def _times(action: Callable[[], object]) -> Action:
    def run(count: int) -> None:
        for _ in range(count):
            action()

    return run


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
