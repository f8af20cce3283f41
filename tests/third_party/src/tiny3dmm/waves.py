"""A dataset as a plain function: a square sheet under waves, eight people with four expressions each."""

import numpy as np
import pandas as pd

from bench3dmm.data.dataset import Dataset
from bench3dmm.mesh.template import Template

SIDE = 36


def load():
    rows, columns = np.divmod(np.arange(SIDE**2), SIDE)
    corner = np.flatnonzero((rows < SIDE - 1) & (columns < SIDE - 1))[:, None]
    faces = np.concatenate([corner + np.array([0, 1, SIDE]), corner + np.array([1, SIDE + 1, SIDE])])
    sheet = np.stack([2.0 * columns, 2.0 * rows, 3 * np.sin(columns / 7) * np.cos(rows / 5)], axis=1)
    rng = np.random.default_rng(0)
    waves = np.sin(sheet @ rng.normal(0, 0.05, (3, 8)) + rng.uniform(0, 6, 8))
    samples = pd.DataFrame(
        [(f"S{person}", face, 1.0, 0) for person in range(8) for face in ("angry", "happy", "sad", "neutral")],
        columns=["subject", "expression", "level", "frame"],
    )
    offsets = np.einsum("nk,vk,kc->nvc", rng.normal(0, 2, (len(samples), 8)), waves, rng.normal(0, 1, (8, 3)))
    meshes = (sheet + offsets).astype(np.float32)
    return Dataset("tiny-waves", Template(sheet, faces), meshes, samples, "", {"source": "waves on a sheet"})
