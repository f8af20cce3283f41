"""A dataset: registered meshes in millimetres, one row of metadata a mesh, one template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench3dmm.mesh.template import Template


@dataclass(frozen=True, eq=False)
class Dataset:
    """Registered meshes in dense correspondence.

    Attributes:
        name: as given to `load_dataset`, e.g. ``mh-scan`` or ``mh-scan@clean``.
        template: connectivity, rest vertices (V, 3) and landmarks.
        vertices: (N, V, 3) float32, mm; usually a read-only memory map.
        samples: N rows with at least ``subject`` (str), ``expression`` (str), ``level`` (float, intensity in
            [0, 1]) and ``frame`` (int, position in its sequence, 0 for scans).
        sha256: content hash of vertices, samples and template.
        card: what the data is, as JSON scalars (source, licence, seed, noise, mechanisms).
    """

    name: str
    template: Template
    vertices: np.ndarray
    samples: pd.DataFrame
    sha256: str
    card: dict

    def __len__(self) -> int:
        return len(self.vertices)
