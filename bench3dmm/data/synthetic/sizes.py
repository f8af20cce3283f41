"""An embedded face of any number of vertices."""

from __future__ import annotations

import functools

import numpy as np

from bench3dmm.data.synthetic.makehuman import Registration, recipe
from bench3dmm.mesh.decimation import decimate
from bench3dmm.mesh.template import Template


def template_of(mesh: str) -> Template:
    """The template of an embedded dataset, or of mh-scan brought to N vertices for ``face-N``."""
    kind, _, count = mesh.partition("-")
    return face(int(count)) if kind == "face" else Registration.of(recipe(mesh)).template


@functools.cache
def face(n_vertices: int) -> Template:
    """mh-scan's template with ``n_vertices`` vertices: split triangles until there are enough, then decimate."""
    base = template_of("mh-scan")
    vertices, faces = base.vertices, base.faces
    while len(vertices) < n_vertices:
        vertices, faces = _split_in_four(vertices, faces)
    kept, faces = decimate(vertices, faces, n_vertices)
    return Template(vertices[kept], faces, np.array([], dtype=np.int32), name=f"face-{n_vertices}")


def _split_in_four(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every edge gets a vertex in its middle."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, index = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (index.reshape(-1, 3) + len(vertices)).T
    a, b, c = faces.T
    corners = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    split = np.concatenate([np.stack(corner, axis=1) for corner in corners]).astype(faces.dtype)
    return np.concatenate([vertices, vertices[unique].mean(axis=1)]), split
