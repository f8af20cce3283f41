"""The hierarchy: quadric decimation to kept vertices, and barycentric upsampling back (reference: Garland &
Heckbert, SIGGRAPH 1997; Ranjan et al., ECCV 2018, section 3; Bouritsas et al., ICCV 2019).

A coarse vertex *is* a vertex of the finer level, so downsampling is a selection (one-hot rows). Upsampling
gives every dropped vertex three barycentric weights of the coarse triangle nearest to it: affine rows.
"""

from __future__ import annotations

import heapq
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.mesh.spirals import spirals
from bench3dmm.mesh.template import Template
from bench3dmm.storage import cache_dir, canonical_json, hash_arrays, read_npz, write_npz

ALGORITHM = "half-edge quadric decimation, surface-local projection, 2"  # part of the cache key: count up on change

BORDER_WEIGHT = 10.0  # of the planes that hold a border in place, relative to the surface
POINT_WEIGHT = 1e-3  # of the distance to the vertices merged so far: spreads the vertices evenly on flat parts
COST_DIGITS = 9  # costs are rounded, so that ties are broken by vertex id and not by floating-point noise
# (least cosine between a triangle's normals before and after, least height over longest side); each is tried
# only where nothing more is possible under the one before.
LIMITS = ((0.3, 0.05), (0.0, 0.01), (-math.inf, 0.0))


@dataclass(frozen=True, eq=False)
class Level:
    """One level: vertices (V_l, 3) float64 mm, faces (F_l, 3) int32, the spirals' reference vertex."""

    vertices: np.ndarray
    faces: np.ndarray
    reference: int


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Levels of a template, finest first, and what takes features from one to the next.

    Attributes:
        levels: L + 1 levels for L factors.
        kept: L arrays (V_{l+1},) int32, ascending: coarse vertex i is vertex ``kept[l][i]`` of level l.
        up_index: L arrays (V_l, 3) int32 into the coarse level l + 1.
        up_weight: L arrays (V_l, 3) float64 >= 0, rows sum to 1. Rows of kept vertices are (1, 0, 0).
    """

    levels: tuple[Level, ...]
    kept: tuple[np.ndarray, ...]
    up_index: tuple[np.ndarray, ...]
    up_weight: tuple[np.ndarray, ...]
    _spirals: dict[tuple[int, int, int], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Vertices of each level, e.g. (5023, 1256, 314, 79, 20)."""
        return tuple(len(level.vertices) for level in self.levels)

    @cached_property
    def sha256(self) -> str:
        """Content hash over levels, reference vertices, kept vertices and upsampling."""
        arrays = self._geometry()
        return hash_arrays(*arrays.values(), salt=canonical_json(list(arrays)))

    def spirals(self, level: int, hops: int = 1, dilation: int = 1) -> np.ndarray:
        """Spirals (V_l, L) int32 of a level, -1 for no vertex; see `bench3dmm.mesh.spirals.spirals`."""
        key = (level, hops, dilation)
        if key not in self._spirals:
            at = self.levels[level]
            self._spirals[key] = spirals(at.vertices, at.faces, hops=hops, dilation=dilation, reference=at.reference)
        return self._spirals[key]

    def upsampling(self, level: int) -> sparse.csr_matrix:
        """U, (V_l, V_{l+1}): takes features of level ``level + 1`` to ``level``."""
        index, weight = self.up_index[level], self.up_weight[level]
        rows = np.repeat(np.arange(len(index)), 3)
        shape = (len(index), len(self.kept[level]))
        matrix = sparse.csr_matrix((weight.ravel(), (rows, index.ravel())), shape=shape)
        matrix.eliminate_zeros()
        return matrix

    def downsampling(self, level: int) -> sparse.csr_matrix:
        """D, (V_{l+1}, V_l): takes features of level ``level`` to ``level + 1``; one-hot rows."""
        kept = self.kept[level]
        ones = np.ones(len(kept))
        return sparse.csr_matrix((ones, (np.arange(len(kept)), kept)), shape=(len(kept), self.sizes[level]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays, with the spirals computed so far and hashes: for a checkpoint."""
        named = {f"spirals_{at}_{h}_{d}": array for (at, h, d), array in self._spirals.items()}
        meta = {"levels": len(self.levels), "sha256": self.sha256, "spirals_sha256": _hash_spirals(named)}
        text = np.frombuffer(canonical_json(meta).encode(), dtype=np.uint8)
        return {**self._geometry(), **named, "meta": text}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], source: str | Path = "arrays") -> Hierarchy:
        """The inverse of `arrays`.

        Raises:
            DataError: naming ``source``, where an array is missing or the content does not match its hash.
        """
        try:
            meta = json.loads(bytes(np.asarray(arrays["meta"], dtype=np.uint8)))
            n = int(meta["levels"])
            levels = tuple(
                Level(arrays[f"vertices_{i}"], arrays[f"faces_{i}"], int(arrays[f"reference_{i}"])) for i in range(n)
            )
            lists = (tuple(arrays[f"{key}_{i}"] for i in range(n - 1)) for key in ("kept", "up_index", "up_weight"))
            named = {key: arrays[key] for key in sorted(arrays) if key.startswith("spirals_")}
            computed = {tuple(map(int, key.split("_")[1:])): array for key, array in named.items()}
            hierarchy = cls(levels, *lists, _spirals=computed)
            stored = (meta["sha256"], meta["spirals_sha256"])
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{source}: not a stored hierarchy ({error!r}); build or copy it again") from None
        if stored != (hierarchy.sha256, _hash_spirals(named)):
            raise DataError(
                f"{source}: the hierarchy's content does not match its sha256 {meta['sha256'][:12]}…: it "
                "is damaged or was edited; restore it (a trained model needs exactly this hierarchy)"
            )
        return hierarchy

    def save(self, path: str | Path) -> None:
        """Write one .npz of plain arrays."""
        write_npz(Path(path), self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> Hierarchy:
        """Read what `save` wrote.

        Raises:
            DataError: where the file is missing, unreadable, or does not match its hash.
        """
        try:
            arrays = read_npz(Path(path))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file") from None
        except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for a damaged file
            raise DataError(f"{path}: cannot be read ({error!r}); build or copy it again") from None
        return cls.from_arrays(arrays, source=path)

    def _geometry(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        for i, level in enumerate(self.levels):
            arrays[f"vertices_{i}"], arrays[f"faces_{i}"] = level.vertices, level.faces
            arrays[f"reference_{i}"] = np.int64(level.reference)
        for key in ("kept", "up_index", "up_weight"):
            arrays |= {f"{key}_{i}": array for i, array in enumerate(getattr(self, key))}
        return arrays


def _hash_spirals(named: dict[str, np.ndarray]) -> str:
    return hash_arrays(*(named[key] for key in sorted(named)), salt=canonical_json(sorted(named)))


def build_hierarchy(
    template: Template,
    factors: tuple[int, ...] = (4, 4, 4, 4),
    reference: int | None = None,
    *,
    cache: bool = True,
) -> Hierarchy:
    """Decimate a template level by level: ceil(V / factor) vertices each.

    Args:
        template: a mesh that passes `Template.check`.
        factors: one a level.
        reference: vertex that the spirals are oriented by; `default_reference` if not given. The reference
            of a coarse level is its vertex nearest (Euclidean) to the fine one.
        cache: keep the result in ``<cache>/hierarchies``, by algorithm, template, factors and reference. A
            trained model stores its own copy (`Hierarchy.arrays`) and never depends on this cache.

    Raises:
        MeshError: for a template that does not pass `Template.check`, or cannot be decimated that far.
    """
    template.check()
    factors = tuple(int(factor) for factor in factors)
    if any(factor < 1 for factor in factors):
        raise MeshError(f"factors {factors}: each must be 1 or more")
    reference = default_reference(template) if reference is None else int(reference)
    if not 0 <= reference < template.n_vertices:
        raise MeshError(f"{template.name}: reference vertex {reference} out of 0 … {template.n_vertices - 1}")

    key = hash_arrays(salt=canonical_json([ALGORITHM, template.sha256, factors, reference]))
    path = cache_dir() / "hierarchies" / f"{key[:24]}.npz"
    if cache and path.exists():
        try:
            hierarchy = Hierarchy.load(path)
            _check_belongs(hierarchy, template, factors, reference, path)
            return hierarchy
        except DataError as error:
            warnings.warn(f"{error} — building the cached hierarchy again", stacklevel=2)
    hierarchy = _build(template, factors, reference)
    if cache:
        for level in range(len(factors)):
            hierarchy.spirals(level)  # the published ones, so that they are cached too
        hierarchy.save(path)
    return hierarchy


def _check_belongs(
    hierarchy: Hierarchy, template: Template, factors: tuple[int, ...], reference: int, path: Path
) -> None:
    """A sound file under another's name is as wrong as a damaged one."""
    sizes = [template.n_vertices]
    for factor in factors:
        sizes.append(math.ceil(sizes[-1] / factor))
    finest = hierarchy.levels[0]
    belongs = (
        hierarchy.sizes == tuple(sizes)
        and finest.reference == reference
        and np.array_equal(finest.vertices, template.vertices)
        and np.array_equal(finest.faces, template.faces)
    )
    if not belongs:
        raise DataError(f"{path}: holds the hierarchy of another template, factors or reference vertex")


def default_reference(template: Template) -> int:
    """About the nose tip, on a face that looks along +z: the vertex nearest to the landmarks' centroid (or
    that of all vertices, where there are no landmarks) moved forward to the frontmost of them."""
    points = template.vertices[template.landmarks] if len(template.landmarks) else template.vertices
    target = np.array([*points[:, :2].mean(0), points[:, 2].max()])
    return _nearest(template.vertices, target)


def _nearest(vertices: np.ndarray, point: np.ndarray) -> int:
    """Nearest vertex; the first of those that tie but for rounding."""
    distance = np.linalg.norm(vertices - point, axis=1)
    return int(np.flatnonzero(distance <= distance.min() * (1 + 1e-9))[0])


def _build(template: Template, factors: tuple[int, ...], reference: int) -> Hierarchy:
    levels = [Level(template.vertices, template.faces, reference)]
    kept, up_index, up_weight = [], [], []
    for factor in factors:
        fine = levels[-1]
        target = math.ceil(len(fine.vertices) / factor)
        try:
            keep, faces = decimate(fine.vertices, fine.faces, target)
        except MeshError as error:
            sizes = [len(level.vertices) for level in levels]
            raise MeshError(
                f"{template.name}: level {len(levels)} of factors {factors} (sizes so far {sizes}): {error}. "
                "Use fewer or smaller factors"
            ) from None
        vertices = fine.vertices[keep]
        index, weight = project(fine.vertices, fine.faces, keep, faces)
        levels.append(Level(vertices, faces, _nearest(vertices, template.vertices[reference])))
        kept.append(keep)
        up_index.append(index)
        up_weight.append(weight)
    return Hierarchy(tuple(levels), tuple(kept), tuple(up_index), tuple(up_weight))


# --- decimation ----------------------------------------------------------------------------------------


def decimate(vertices: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Quadric-error decimation by half-edge collapses (u merges into its neighbour v, v stays where it is).

    The cost of u → v is the quadric of both evaluated at v. A collapse must keep the surface a manifold of
    the same topology, leave border vertices on their border, and not turn or squash a triangle (`LIMITS`).

    Args:
        vertices: (V, 3) float64.
        faces: (F, 3) int, a consistently oriented manifold. No part of it disappears.
        target: number of vertices to keep.

    Returns:
        kept (target,) int32 ascending, and faces (F', 3) int32 into them, oriented as before.

    Raises:
        MeshError: where the topology allows no further collapse before the target.
    """
    mesh = _Collapsing(vertices, faces)
    for min_cosine, min_height in LIMITS:
        mesh.collapse_to(target, min_cosine, min_height)
        if mesh.n_alive <= target:
            return mesh.result()
    raise MeshError(
        f"decimation stops at {mesh.n_alive} vertices, {target} wanted: every further collapse would break "
        "the surface's topology (close a boundary loop or a handle, or fold the surface onto itself)"
    )


class _Collapsing:
    """A mesh under decimation, as Python lists and sets: a collapse touches a dozen elements at a time."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        points = _normalised(vertices, faces)
        n = len(points)
        self.points: list[list[float]] = points.tolist()
        self.faces: list[list[int] | None] = np.asarray(faces).tolist()
        self.faces_at: list[set[int]] = [set() for _ in range(n)]
        self.neighbours: list[set[int]] = [set() for _ in range(n)]
        for i, (a, b, c) in enumerate(self.faces):
            for vertex, others in ((a, (b, c)), (b, (c, a)), (c, (a, b))):
                self.faces_at[vertex].add(i)
                self.neighbours[vertex].update(others)
        border, border_face = _border_edges(faces)
        self.on_border = np.bincount(border.ravel(), minlength=n).astype(bool).tolist()
        self.quadrics: list[list[float]] = _quadrics(points, faces, border, border_face).tolist()
        self.changes = [0] * n  # of a vertex's quadric: an entry of the heap made before the last is stale
        self.alive = [True] * n
        self.n_alive = n
        self.refused: dict[int, list[tuple]] = {}  # by u, to be tried again when u's neighbourhood changes
        self.heap = [self.entry(u, v) for u in range(n) for v in self.neighbours[u]]
        heapq.heapify(self.heap)

    def entry(self, u: int, v: int) -> tuple[float, int, int, int]:
        """(cost of u → v, u, v, changes so far)."""
        q, r = self.quadrics[u], self.quadrics[v]
        x, y, z = self.points[v]
        cost = (
            (q[0] + r[0]) * x * x
            + (q[1] + r[1]) * y * y
            + (q[2] + r[2]) * z * z
            + 2 * ((q[3] + r[3]) * x * y + (q[4] + r[4]) * y * z + (q[5] + r[5]) * z * x)
            + 2 * ((q[6] + r[6]) * x + (q[7] + r[7]) * y + (q[8] + r[8]) * z)
            + (q[9] + r[9])
        )
        return max(round(cost, COST_DIGITS), 0.0), u, v, self.changes[u] + self.changes[v]

    def collapse_to(self, target: int, min_cosine: float, min_height: float) -> None:
        """Cheapest first, until ``target`` vertices are left or no collapse is allowed."""
        for entries in self.refused.values():
            self.heap.extend(entries)
        self.refused.clear()
        heapq.heapify(self.heap)
        while self.n_alive > target and self.heap:
            entry = heapq.heappop(self.heap)
            _, u, v, changes = entry
            if not (self.alive[u] and self.alive[v]) or changes != self.changes[u] + self.changes[v]:
                continue
            if self.keeps_topology(u, v) and self.keeps_shape(u, v, min_cosine, min_height):
                self.collapse(u, v)
            else:
                self.refused.setdefault(u, []).append(entry)

    def keeps_topology(self, u: int, v: int) -> bool:
        """The link condition, a border counted as joined to one vertex at infinity."""
        shared = self.faces_at[u] & self.faces_at[v]
        if self.on_border[u] and not (self.on_border[v] and len(shared) == 1):
            return False  # a border vertex moves along its border only
        common = self.neighbours[u] & self.neighbours[v]
        if len(common) != len(shared):
            return False
        # Not onto a triangle that is there already (a tetrahedron), nor the last triangle.
        opposite = [set(self.faces[f]) - {v} for f in self.faces_at[v] - shared]
        folds = any(set(self.faces[f]) - {u} in opposite for f in self.faces_at[u] - shared)
        return not folds and len(self.faces_at[u] | self.faces_at[v]) > len(shared)

    def keeps_shape(self, u: int, v: int, min_cosine: float, min_height: float) -> bool:
        """No triangle that moves from u to v is turned or squashed."""
        if min_cosine == -math.inf:
            return True
        target = self.points[v]
        for f in self.faces_at[u] - self.faces_at[v]:
            a, b, c = self.faces[f]
            if b == u:
                a, b, c = b, c, a
            elif c == u:
                a, b, c = c, a, b
            before, _ = _normal(self.points[a], self.points[b], self.points[c])
            after, longest = _normal(target, self.points[b], self.points[c])
            dot = before[0] * after[0] + before[1] * after[1] + before[2] * after[2]
            size = math.sqrt(after[0] ** 2 + after[1] ** 2 + after[2] ** 2)
            if size <= min_height * longest:
                return False
            if dot <= min_cosine * size * math.sqrt(before[0] ** 2 + before[1] ** 2 + before[2] ** 2):
                return False
        return True

    def collapse(self, u: int, v: int) -> None:
        for f in self.faces_at[u]:
            face = self.faces[f]
            if v in face:
                for vertex in face:
                    if vertex != u:
                        self.faces_at[vertex].discard(f)
                self.faces[f] = None
            else:
                face[face.index(u)] = v
                self.faces_at[v].add(f)
        for w in self.neighbours[u]:
            self.neighbours[w].discard(u)
            if w != v:
                self.neighbours[w].add(v)
                self.neighbours[v].add(w)
        self.quadrics[v] = [a + b for a, b in zip(self.quadrics[u], self.quadrics[v], strict=True)]
        self.changes[v] += 1
        self.alive[u] = False
        self.n_alive -= 1
        self.refused.pop(u, None)
        for w in self.neighbours[v]:
            heapq.heappush(self.heap, self.entry(v, w))
            heapq.heappush(self.heap, self.entry(w, v))
            for entry in self.refused.pop(w, ()):
                heapq.heappush(self.heap, entry)
        self.refused.pop(v, None)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        kept = np.flatnonzero(self.alive).astype(np.int32)
        new = np.full(len(self.alive), -1, np.int32)
        new[kept] = np.arange(len(kept), dtype=np.int32)
        return kept, new[np.array([face for face in self.faces if face is not None], dtype=np.int64)]


def _normal(a: list[float], b: list[float], c: list[float]) -> tuple[tuple[float, float, float], float]:
    """Normal of length twice the area, and the square of the longest side."""
    p, q, r = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    s, t, w = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    longest = max(p * p + q * q + r * r, s * s + t * t + w * w, (s - p) ** 2 + (t - q) ** 2 + (w - r) ** 2)
    return (q * w - r * t, r * s - p * w, p * t - q * s), longest


def _normalised(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Centred, with a mean edge of 1: costs then mean the same on every mesh and level."""
    edges = vertices[faces] - vertices[np.roll(faces, -1, axis=1)]
    return (vertices - vertices.mean(0)) / np.sqrt((edges**2).sum(2)).mean()


def _border_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges (E, 2) that lie in one face, in the direction it runs them, and that face (E,)."""
    edges = np.stack([faces.ravel(), np.roll(faces, -1, axis=1).ravel()], axis=1)
    _, inverse, count = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    border = np.flatnonzero(count[inverse.reshape(-1)] == 1)
    return edges[border], border // 3


def _quadrics(points: np.ndarray, faces: np.ndarray, border: np.ndarray, border_face: np.ndarray) -> np.ndarray:
    """(V, 10) error quadrics: xx yy zz xy yz zx, x y z, 1. Planes of the faces weighted by area, planes that
    stand upright on the border by squared length, and the points themselves by a little of their area."""
    quadrics = np.zeros((len(points), 10))
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double_area = np.linalg.norm(normals, axis=1)
    area = double_area / 2
    normals = normals / np.maximum(double_area, 1e-300)[:, None]
    planes = _plane_quadrics(normals, corners[:, 0], area)
    for k in range(3):
        np.add.at(quadrics, faces[:, k], planes)

    if len(border):
        along = points[border[:, 1]] - points[border[:, 0]]
        upright = np.cross(along, normals[border_face])
        upright /= np.maximum(np.linalg.norm(upright, axis=1), 1e-300)[:, None]
        walls = _plane_quadrics(upright, points[border[:, 0]], BORDER_WEIGHT * (along**2).sum(1))
        for k in range(2):
            np.add.at(quadrics, border[:, k], walls)

    weight = np.zeros(len(points))
    np.add.at(weight, faces.ravel(), np.repeat(area / 3, 3))
    weight *= POINT_WEIGHT
    quadrics[:, :3] += weight[:, None]
    quadrics[:, 6:9] -= weight[:, None] * points
    quadrics[:, 9] += weight * (points**2).sum(1)
    return quadrics


def _plane_quadrics(normals: np.ndarray, points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(n, 10) quadrics of the squared distance to planes, given by unit normals and a point each."""
    x, y, z = normals.T
    d = -(normals * points).sum(1)
    return np.stack([x * x, y * y, z * z, x * y, y * z, z * x, d * x, d * y, d * z, d * d], axis=1) * weight[:, None]


# --- upsampling ----------------------------------------------------------------------------------------


def project(
    vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray, coarse_faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric weights of every fine vertex on the coarse surface.

    A dropped vertex goes to the nearest point of the coarse triangles around the kept vertex nearest to it
    *along the fine surface's edges*: those of this vertex and of its coarse neighbours. So a vertex of the
    upper lip cannot land on the lower lip because the lips happen to touch in the template.

    Args:
        vertices, faces: the fine surface (V, 3), (F, 3).
        kept: (V',) fine ids of the coarse vertices.
        coarse_faces: (F', 3) into kept.

    Returns:
        index (V, 3) int32 into kept, weight (V, 3) float64: >= 0, rows sum to 1, one-hot for kept vertices.
    """
    n, n_coarse = len(vertices), len(kept)
    index = np.zeros((n, 3), np.int32)
    weight = np.zeros((n, 3))
    index[kept] = np.arange(n_coarse, dtype=np.int32)[:, None]
    weight[kept, 0] = 1.0
    dropped = np.setdiff1d(np.arange(n), kept)
    if not len(dropped):
        return index, weight

    graph = edge_graph(vertices, faces)
    _, _, source = csgraph.dijkstra(graph, directed=False, indices=kept, min_only=True, return_predecessors=True)
    coarse_of = np.full(n, -1)
    coarse_of[kept] = np.arange(n_coarse)
    root = coarse_of[source[dropped]]

    rows = np.repeat(np.arange(len(coarse_faces)), 3)
    touches = sparse.csr_matrix((np.ones(len(rows)), (coarse_faces.ravel(), rows)), shape=(n_coarse, len(coarse_faces)))
    around = (touches @ touches.T @ touches).tocsr()  # (V', F'): triangles of a vertex and of its neighbours
    around.sort_indices()
    counts = np.diff(around.indptr)[root]
    pair = np.repeat(np.arange(len(dropped)), counts)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    face = around.indices[around.indptr[root][pair] + within]

    barycentric, squared = closest_on_triangles(vertices[dropped][pair], vertices[kept][coarse_faces[face]])
    best = np.lexsort((face, squared, pair))[np.cumsum(counts) - counts]
    index[dropped] = coarse_faces[face[best]]
    weight[dropped] = barycentric[best]
    return index, weight


def closest_on_triangles(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closest point of each triangle (n, 3, 3) to its point (n, 3): barycentric (n, 3), distance² (n,)."""
    a, b, c = triangles.transpose(1, 0, 2)
    candidates = np.zeros((4, len(points), 3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    det = d00 * d11 - d01 * d01
    flat = det <= 1e-14 * d00 * d11
    safe = np.where(flat, 1.0, det)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    candidates[0] = np.stack([1 - v - w, v, w], axis=1)
    outside = flat | (candidates[0] < 0).any(1)
    candidates[0, outside] = (1.0, 0.0, 0.0)
    for k, (i, j) in enumerate(((0, 1), (1, 2), (2, 0)), start=1):
        start, along = triangles[:, i], triangles[:, j] - triangles[:, i]
        length = np.maximum((along * along).sum(1), 1e-300)
        t = np.clip(((points - start) * along).sum(1) / length, 0.0, 1.0)
        candidates[k, :, i], candidates[k, :, j] = 1 - t, t
    nearest = (candidates[..., None] * triangles).sum(2)
    squared = ((nearest - points) ** 2).sum(2)
    best = squared.argmin(0)
    rows = np.arange(len(points))
    return candidates[best, rows], squared[best, rows]
