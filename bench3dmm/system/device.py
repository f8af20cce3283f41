"""Where a model runs, and with which random numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench3dmm.errors import Bench3dmmError, UnknownNameError
from bench3dmm.system.machine import processor

if TYPE_CHECKING:
    import torch


def resolve_device(name: str = "auto") -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        UnknownNameError: for another name.
        Bench3dmmError: for a device that this machine, or this build of torch, does not have.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UnknownNameError("device", name, ("auto", "cpu", "cuda", "cuda:N"))
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Bench3dmmError(f"device {name!r}: torch sees {torch.cuda.device_count()} GPUs; use --device auto")
    return device


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator of the CPU inside the block, and put its state back; of what trains, see `Draws`."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Draws:
    """Random numbers of one's own: a context in which torch's generators, of the CPU and of a GPU that is given, are
    where they were when it was last left. Whoever draws between two of its blocks changes nothing in them."""

    def __init__(self, device: torch.device) -> None:
        import torch

        self.generators = [torch.default_generator]
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            self.generators.append(torch.cuda.default_generators[index])
        self.states = self.others = self.seeded = [one.get_state() for one in self.generators]

    def seed(self, seed: int) -> None:
        with self:
            for generator in self.generators:
                generator.manual_seed(seed)
        self.seeded = self.states

    @property
    def drew(self) -> bool:
        """Whether anything was drawn in its blocks since they were seeded."""
        import torch

        return not all(map(torch.equal, self.seeded, self.states))

    def __enter__(self) -> None:
        self.others = self._exchange(self.states)

    def __exit__(self, *_: object) -> None:
        self.states = self._exchange(self.others)

    def _exchange(self, states: list[torch.Tensor]) -> list[torch.Tensor]:
        before = [one.get_state() for one in self.generators]
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)
        return before


@contextmanager
def full_precision() -> Iterator[None]:
    """Float32 products in float32 inside the block, whatever the caller has set: no TF32, no bfloat16."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def device_name(device: torch.device) -> str:
    """What the device is, for a result's provenance."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor()} ({torch.get_num_threads()} threads)"


def usable_cores() -> int:
    """Of this process, where the system tells (Linux); else of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
