"""What the machine has."""

from __future__ import annotations

import os

import torch

from bench3dmm.system import device


def test_cores_are_counted_where_the_system_has_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert device.usable_cores() == 3


def test_draws_are_ones_own_whoever_draws_between():
    one, other = device.Draws(torch.device("cpu")), device.Draws(torch.device("cpu"))
    one.seed(1)
    other.seed(2)
    outside = torch.get_rng_state()
    assert not one.drew
    drawn = {1: [], 2: []}
    for _ in range(3):
        for seed, draws in ((1, one), (2, other)):
            with draws:
                drawn[seed].append(torch.rand(5))
    assert torch.equal(torch.get_rng_state(), outside) and one.drew
    for seed, parts in drawn.items():
        alone = torch.Generator().manual_seed(seed)
        assert torch.equal(torch.cat(parts), torch.cat([torch.rand(5, generator=alone) for _ in range(3)]))
