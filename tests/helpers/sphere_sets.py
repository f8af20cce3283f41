"""A small dataset on half a sphere, which any model trains on in a moment."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from mesh_shapes import icosphere

from bench3dmm.data.dataset import Dataset, content_sha256
from bench3dmm.mesh.template import Template
from bench3dmm.system.storage import hash_arrays


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
