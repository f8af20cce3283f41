"""A dataset: registered meshes in millimetres, one row of metadata a mesh, one template."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench3dmm.errors import DataError
from bench3dmm.mesh.template import Template

COLUMNS = ("subject", "expression", "level", "frame")


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


def checked(dataset: Dataset, name: str) -> Dataset:
    """A dataset that somebody else's code made, if it is what the rest relies on.

    Raises:
        DataError: what is wrong with it.
        MeshError: for a template that no hierarchy can be built on.
    """
    if not isinstance(dataset, Dataset):
        raise DataError(f"{name}: its loader gave {type(dataset).__name__}, not a bench3dmm.data.dataset.Dataset")
    vertices, expected = dataset.vertices, (len(dataset.samples), dataset.template.n_vertices, 3)
    if getattr(vertices, "shape", None) != expected or vertices.dtype != np.float32:
        found = f"{getattr(vertices, 'dtype', type(vertices).__name__)} of shape {getattr(vertices, 'shape', '?')}"
        raise DataError(
            f"{name}: its vertices are {found}; by its samples and template they must be float32, in mm, of shape "
            f"{expected}"
        )
    if missing := [column for column in COLUMNS if column not in dataset.samples]:
        raise DataError(f"{name}: its samples have no column {', '.join(missing)}")
    for row, mesh in enumerate(vertices):
        if not np.isfinite(mesh).all():
            raise DataError(f"{name}: mesh {row} has a coordinate that is not finite")
    dataset.template.check()
    return dataset


def content_sha256(dataset: Dataset) -> str:
    """sha256 over template, samples and meshes, whatever the dataset says of itself."""
    digest = hashlib.sha256(f"{dataset.template.sha256}{len(dataset)}".encode())
    digest.update(dataset.samples.to_csv(index=False).encode())
    for mesh in dataset.vertices:
        digest.update(np.ascontiguousarray(mesh).data)
    return digest.hexdigest()
