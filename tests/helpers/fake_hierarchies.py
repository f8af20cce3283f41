"""Hierarchies without a mesh: random index lists of the right shapes."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np

from bench3dmm.mesh.hierarchy import Hierarchy


def fake_hierarchy(sizes, lengths, seed=0):
    """Random index lists with the shapes of a hierarchy; spiral lengths are given per level."""
    rng = np.random.default_rng(seed)

    def spirals(level, hops=1, dilation=1):
        table = rng_for(level).integers(0, sizes[level], (sizes[level], lengths[level])).astype(np.int32)
        table[:, 0] = np.arange(sizes[level])
        padded = rng_for(level + 100).integers(0, lengths[level] // 2 + 1, sizes[level])
        table[np.arange(lengths[level])[None, :] >= (lengths[level] - padded)[:, None]] = -1
        return table

    def rng_for(stream):
        return np.random.default_rng([seed, stream])

    kept, index, weight = [], [], []
    for fine, coarse in itertools.pairwise(sizes):
        kept.append(np.sort(rng.permutation(fine)[:coarse]).astype(np.int32))
        index.append(rng.integers(0, coarse, (fine, 3)).astype(np.int32))
        weight.append(rng.dirichlet(np.ones(3), fine))
        index[-1][kept[-1]] = np.stack([np.arange(coarse)] * 3, 1)
        weight[-1][kept[-1]] = (1, 0, 0)
    levels = tuple(SimpleNamespace(vertices=np.zeros((n, 3))) for n in sizes)
    fake = SimpleNamespace(
        levels=levels,
        kept=tuple(kept),
        up_index=tuple(index),
        up_weight=tuple(weight),
        spirals=spirals,
        sha256=f"fake-{seed}-{sizes}",
    )
    fake.sizes = tuple(sizes)
    fake.upsampling = lambda level: Hierarchy.upsampling(fake, level)
    return fake
