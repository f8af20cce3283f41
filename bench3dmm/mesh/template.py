"""The template: the one connectivity that all registered meshes of a dataset share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from bench3dmm.errors import MeshError
from bench3dmm.mesh.files import read_mesh, write_mesh
from bench3dmm.system.storage import hash_arrays


@dataclass(frozen=True, eq=False)
class Template:
    """A triangle mesh, its landmarks and its name. The arrays are copied and read-only.

    Attributes:
        vertices: (V, 3) float64, mm.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        landmarks: (K,) int32 vertex ids; may be empty.

    Raises:
        MeshError: where the arrays have the wrong shape or faces are not integers. Nothing else is examined
            here; `check` does, and `build_hierarchy` calls it.
    """

    vertices: np.ndarray
    faces: np.ndarray
    landmarks: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    name: str = "template"

    def __post_init__(self) -> None:
        shapes = {"vertices": (3,), "faces": (3,), "landmarks": ()}
        for key, row in shapes.items():
            array = np.asarray(getattr(self, key))
            if array.ndim != len(row) + 1 or array.shape[1:] != row:
                wanted = "(n, 3)" if row else "(n,)"
                raise MeshError(f"{self.name}: {key} must have shape {wanted}, not {array.shape}")
            if key != "vertices" and array.size and not np.issubdtype(array.dtype, np.integer):
                raise MeshError(f"{self.name}: {key} must be integer vertex ids, not {array.dtype}")
            if key != "vertices" and array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
                raise MeshError(f"{self.name}: {key} hold ids that do not fit 32 bits; count vertices from 0")
            array = np.array(array, dtype=np.float64 if key == "vertices" else np.int32, order="C")
            array.flags.writeable = False
            object.__setattr__(self, key, array)

    @property
    def n_vertices(self) -> int:
        return len(self.vertices)

    @cached_property
    def sha256(self) -> str:
        """Content hash over vertices, faces and landmarks (not the name)."""
        return hash_arrays(self.vertices, self.faces, self.landmarks, salt="template")

    @classmethod
    def load(cls, path: str | Path, landmarks: Sequence[int] | np.ndarray = ()) -> Template:
        """Read an OBJ or PLY (ascii or binary) file; polygons are triangulated, vertex order is kept.

        Args:
            path: the file; its stem becomes the name. Positions are taken as millimetres.
            landmarks: (K,) vertex ids, counted from 0; neither format stores them.

        Raises:
            MeshError: naming the file and line. The surface itself is examined by `check`.
        """
        vertices, faces = read_mesh(path)
        landmarks = np.asarray(landmarks)
        return cls(vertices, faces, landmarks if landmarks.size else np.empty(0, np.int32), name=Path(path).stem)

    def save(self, path: str | Path) -> None:
        """Write vertices (all digits) and faces as .obj or binary .ply; landmarks have no place in either."""
        write_mesh(path, self.vertices, self.faces)

    def keep(self, vertices: np.ndarray) -> Template:
        """The template of these vertices (ids or a mask): faces among them, landmarks renumbered.

        Cut the meshes of a dataset the same way: ``meshes[:, vertices]``.

        Raises:
            MeshError: where a landmark would be lost.
        """
        ids = np.flatnonzero(vertices) if np.asarray(vertices).dtype == bool else np.asarray(vertices)
        new = np.full(self.n_vertices, -1, np.int32)
        new[ids] = np.arange(len(ids), dtype=np.int32)
        lost = self.landmarks[new[self.landmarks] < 0]
        if len(lost):
            raise MeshError(f"{self.name}: {_some(lost, 'landmark vertex')} would be lost; drop these landmarks first")
        faces = new[self.faces]
        return Template(self.vertices[ids], faces[(faces >= 0).all(1)], new[self.landmarks], self.name)

    def largest_component(self) -> np.ndarray:
        """Ids of the vertices of the connected component with the most vertices, ascending. See `keep`."""
        _, label = csgraph.connected_components(_adjacency(self.n_vertices, self.faces), directed=False)
        return np.flatnonzero(label == np.bincount(label).argmax()).astype(np.int32)

    def check(self) -> None:
        """Refuse a surface that spirals, decimation or geodesics are not defined on.

        What passes is a consistently oriented manifold, closed or with boundaries, in one part or in several, as
        COMA's (a head and two eyeballs).

        Raises:
            MeshError: naming the vertices or faces at fault, and the way out.
        """
        vertices, faces, name = self.vertices, self.faces, self.name
        if not len(vertices) or not len(faces):
            raise MeshError(f"{name}: {len(vertices)} vertices and {len(faces)} faces; a mesh needs both")
        bad = np.flatnonzero(~np.isfinite(vertices).all(1))
        if len(bad):
            raise MeshError(f"{name}: NaN or infinite coordinates at {_some(bad, 'vertex')}; fix or drop them")
        bad = np.flatnonzero(((faces < 0) | (faces >= len(vertices))).any(1))
        if len(bad):
            raise MeshError(
                f"{name}: {_some(bad, 'face')} out of range (face {bad[0]} is {faces[bad[0]].tolist()}, "
                f"vertices are 0 … {len(vertices) - 1}); indices count from 0"
            )
        bad = self.landmarks[(self.landmarks < 0) | (self.landmarks >= len(vertices))]
        if len(bad):
            raise MeshError(f"{name}: landmark ids {bad.tolist()} out of range 0 … {len(vertices) - 1}; count from 0")
        self._check_faces()
        self._check_edges()
        self._check_sides()

    def _check_faces(self) -> None:
        faces, name = self.faces, self.name
        a, b, c = faces.T
        bad = np.flatnonzero((a == b) | (b == c) | (c == a))
        if len(bad):
            raise MeshError(
                f"{name}: degenerate {_some(bad, 'face')}: a corner is repeated "
                f"(face {bad[0]} is {faces[bad[0]].tolist()}); remove them"
            )
        corners = self.vertices[faces]
        sides = np.roll(corners, -1, axis=1) - corners
        area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
        bad = np.flatnonzero(area <= 1e-10 * (sides**2).sum(2).max(1))
        if len(bad):
            raise MeshError(
                f"{name}: degenerate {_some(bad, 'face')} with zero area "
                f"(face {bad[0]} is {faces[bad[0]].tolist()}); merge coinciding vertices or remove the faces"
            )
        _, first, inverse = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_inverse=True)
        twin = first[inverse.reshape(-1)]
        bad = np.flatnonzero(twin != np.arange(len(faces)))
        if len(bad):
            raise MeshError(
                f"{name}: duplicated {_some(bad, 'face')} (face {bad[0]} repeats face {twin[bad[0]]}); remove them"
            )
        bad = np.flatnonzero(np.bincount(faces.ravel(), minlength=self.n_vertices) == 0)
        if len(bad):
            raise MeshError(
                f"{name}: isolated {_some(bad, 'vertex')}, in no face; "
                "drop them from template and meshes, e.g. template.keep(np.unique(template.faces))"
            )

    def _check_edges(self) -> None:
        """Each edge in at most two faces, run once in each direction; the faces at a vertex form one fan."""
        faces, name = self.faces, self.name
        tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
        face = np.repeat(np.arange(len(faces)), 3)
        edge = np.minimum(tail, head).astype(np.int64) * self.n_vertices + np.maximum(tail, head)
        order = np.argsort(edge, kind="stable")
        _, start, count = np.unique(edge[order], return_index=True, return_counts=True)
        bad = np.flatnonzero(count > 2)
        if len(bad):
            at = order[start[bad[0]] : start[bad[0]] + count[bad[0]]]
            ends = sorted((int(tail[at[0]]), int(head[at[0]])))
            raise MeshError(
                f"{name}: {len(bad)} non-manifold edge(s): {ends[0]}–{ends[1]} lies in "
                f"{len(at)} faces ({', '.join(map(str, face[at]))}); an edge may have two; remove the others"
            )
        one, other = order[start[count == 2]], order[start[count == 2] + 1]
        bad = np.flatnonzero(tail[one] == tail[other])
        if len(bad):
            i, j = one[bad[0]], other[bad[0]]
            raise MeshError(
                f"{name}: inconsistent orientation at {len(bad)} edge(s): faces {face[i]} and {face[j]} both "
                f"run {tail[i]} → {head[i]}; reverse the corners of the faces that point inwards"
            )
        # Corner i, of face i // 3, is at tail[i]. Faces with a common edge join their corners at both ends.
        following = np.arange(len(tail)).reshape(-1, 3)[:, [1, 2, 0]].ravel()
        link = np.concatenate([one, following[one]]), np.concatenate([following[other], other])
        graph = sparse.coo_matrix((np.ones(len(link[0])), link), shape=(len(tail),) * 2)
        n_fans, fan = csgraph.connected_components(graph, directed=False)
        vertex_of_fan = np.empty(n_fans, np.int64)
        vertex_of_fan[fan] = tail
        fans = np.bincount(vertex_of_fan, minlength=self.n_vertices)
        bad = np.flatnonzero(fans > 1)
        if len(bad):
            raise MeshError(
                f"{name}: non-manifold {_some(bad, 'vertex')}: the faces at vertex {bad[0]} form "
                f"{fans[bad[0]]} separate fans; split the vertex or remove the smaller fan"
            )

    def _check_sides(self) -> None:
        edges = _adjacency(self.n_vertices, self.faces).nnz // 2
        if 2 * edges != 3 * len(self.faces):
            return  # with a boundary there is no inside to compare with
        corners = self.vertices[self.faces] - self.vertices.mean(0)
        if np.linalg.det(corners).sum() < 0:
            raise MeshError(f"{self.name}: closed but inside out; reverse all faces: faces[:, ::-1]")


def _adjacency(n_vertices: int, faces: np.ndarray) -> sparse.csr_matrix:
    """(V, V) symmetric, 1 where an edge joins two vertices."""
    tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    rows, columns = np.concatenate([tail, head]), np.concatenate([head, tail])
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_vertices, n_vertices))
    graph.data[:] = 1
    return graph


def _some(ids: np.ndarray, noun: str) -> str:
    """'vertex 7', or '12 vertices: 1, 2, 3 …'."""
    if len(ids) == 1:
        return f"{noun} {ids[0]}"
    plural = {"vertex": "vertices", "landmark vertex": "landmark vertices"}.get(noun, f"{noun}s")
    listed = ", ".join(map(str, ids[:10].tolist()))
    return f"{len(ids)} {plural} ({listed}{' …' if len(ids) > 10 else ''})"
