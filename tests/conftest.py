"""Small synthetic inputs shared by the tests."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mesh_shapes import icosphere

from bench3dmm.cli import app as cli
from bench3dmm.data.dataset import Dataset, content_sha256
from bench3dmm.mesh.hierarchy import Hierarchy, build_hierarchy
from bench3dmm.mesh.template import Template
from bench3dmm.system.storage import CACHE_VARIABLE, hash_arrays

# Before torch is imported: on meshes this small more threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["foreign_package"]


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


@pytest.fixture
def hierarchy_of():
    return fake_hierarchy


def sphere_dataset(name="sphere", subjects=6, levels=(0.5, 1.0), seed=0):
    """Half a sphere (about 1,300 vertices) under smooth, low-rank deformations: subjects x 4 expressions x levels."""
    vertices, faces = icosphere(4, radius=50.0)
    whole = Template(vertices, faces, np.array([], dtype=np.int32), name=name)
    template = whole.keep(np.flatnonzero(vertices[:, 2] > -1))
    vertices = template.vertices
    rng = np.random.default_rng(seed)
    frequencies = rng.normal(0, 0.03, (12, 3))
    modes = np.sin(vertices @ frequencies.T + rng.uniform(0, 6, 12)).T[:, :, None] * rng.normal(0, 1, (12, 1, 3))
    identity = rng.normal(0, 2, (subjects, 6))
    expression = rng.normal(0, 2, (4, 6))
    rows, meshes = [], []
    for s in range(subjects):
        for e, expression_name in enumerate(("angry", "happy", "sad", "neutral")):
            for level in levels:
                rows.append((f"S{s + 1}", expression_name, level, 0))
                offset = np.tensordot(identity[s], modes[:6], 1) + np.tensordot(level * expression[e], modes[6:], 1)
                meshes.append(vertices + offset)
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    meshes = np.array(meshes, dtype=np.float32)
    return Dataset(name, template, meshes, samples, hash_arrays(meshes), {"source": "synthetic", "seed": seed})


def as_registered(dataset):
    """The dataset as `load_dataset` gives it where it is registered: tied to its content."""
    sha256 = content_sha256(dataset)
    return dataclasses.replace(dataset, sha256=sha256, card={**dataset.card, "recipe_sha256": sha256})


@pytest.fixture(scope="session", autouse=True)
def scratch_cache(tmp_path_factory):
    """Nothing that tests build reaches the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def spheres():
    return sphere_dataset()


@pytest.fixture(scope="session")
def sphere_hierarchy(spheres, scratch_cache):
    return build_hierarchy(spheres.template)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the entry point in this process; gives exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["bench3dmm", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        streams = capsys.readouterr()
        return int(stopped.value.code or 0), streams.out, streams.err

    return call
