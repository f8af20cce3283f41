"""The CC0 head: MakeHuman's base mesh and targets, closed at the eyes, as two registered topologies.

Both follow from the base mesh by one Catmull–Clark step, kept in the pack as sparse operators: ``seq`` is the whole
head, ``scan`` the face front, cropped along a smooth curve. Coordinates are millimetres: x to the subject's left, y up,
z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import sparse

from bench3dmm.errors import MeshError
from bench3dmm.system.storage import read_npz

PACK = Path(__file__).parent / "assets" / "makehuman_head.npz"
TARGET_STEP_MM = 0.1
LANDMARKS = "jaw line 17, brows 2 × 5, nose 9, eyes 2 × 6, outer lips 12, inner lips 6, each right to left"
EYE_RINGS = (0.4, 0.75)  # fractions of the way from the lid margin to the middle of the eye opening


@dataclass(frozen=True, eq=False)
class Head:
    """Base skin plus two eye surfaces.

    The first `n_skin` vertices are MakeHuman's; the rest fill the two eye openings with rings that
    `place_eyes` lays on the eyeball. `n_vertices` counts both.
    """

    base: np.ndarray  # (S, 3) float64, skin and the eyeballs' helper vertices, as in the pack
    skin_quads: np.ndarray
    eye_helpers: tuple[np.ndarray, np.ndarray]  # left, right: rows of `base` on each eyeball
    names: tuple[str, ...]
    arrays: dict[str, np.ndarray]

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Head:
        return cls(
            base=arrays["vertices"].astype(float),
            skin_quads=arrays["quads"].astype(np.int64),
            eye_helpers=(arrays["eye_left"].astype(int), arrays["eye_right"].astype(int)),
            names=tuple(arrays["target_names"].tolist()),
            arrays=arrays,
        )

    @property
    def n_skin(self) -> int:
        return int(self.skin_quads.max()) + 1

    @property
    def n_vertices(self) -> int:
        return self.n_skin + 2 * self.eye_patch_size

    @property
    def eye_patch_size(self) -> int:
        return len(EYE_RINGS) * len(self.eye_loops[0]) + 1

    @cached_property
    def row(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def target(self, name: str) -> np.ndarray:
        """(S, 3) displacement of one target, mm."""
        index = self.row[name]
        span = slice(self.arrays["target_starts"][index], self.arrays["target_starts"][index + 1])
        dense = np.zeros_like(self.base)
        dense[self.arrays["target_ids"][span]] = self.arrays["target_steps"][:, span].T * TARGET_STEP_MM
        return dense

    @cached_property
    def _loops(self) -> list[np.ndarray]:
        return boundary_loops(self.skin_quads)

    @cached_property
    def eye_loops(self) -> tuple[np.ndarray, np.ndarray]:
        """Lid margins (28 vertex ids each), left then right eye."""
        eyes = [loop for loop in self._loops if np.abs(self.base[loop, 0]).min() > 10]
        left, right = sorted(eyes, key=lambda loop: -self.base[loop, 0].mean())
        return left, right

    @cached_property
    def mouth_loop(self) -> np.ndarray:
        """Inner lip line (38 vertex ids) from the left corner over the upper lip, back along the lower."""
        loop = next(
            loop for loop in self._loops if np.abs(self.base[loop, 0]).min() < 10 and self.base[loop, 1].min() > 640
        )
        loop = np.roll(loop, -int(self.base[loop, 0].argmax()))
        upper_first = self.base[loop[1], 1] > self.base[loop[-1], 1]
        return loop if upper_first else np.roll(loop[::-1], 1)

    @cached_property
    def quads(self) -> np.ndarray:
        """(M, 4) quads of skin and eye surfaces."""
        pieces = [self.skin_quads]
        for eye, loop in enumerate(self.eye_loops):
            first = self.n_skin + eye * self.eye_patch_size
            size = len(loop)
            rings = [loop, *(first + np.arange(size) + size * ring for ring in range(len(EYE_RINGS)))]
            for outer, inner in pairwise(rings):
                pieces.append(np.stack([np.roll(outer, -1), outer, inner, np.roll(inner, -1)], axis=1))
            last, centre = rings[-1], first + self.eye_patch_size - 1
            pairs = np.arange(0, size, 2)
            corners = [last[(pairs + 2) % size], last[(pairs + 1) % size], last[pairs]]
            pieces.append(np.stack([*corners, np.full(len(pairs), centre)], axis=1))
        return np.concatenate(pieces)

    def eyeballs(self, shape: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Centre (3,) and radius (mm) of the left and right eyeball of a shape (S, 3)."""
        balls = []
        for helper in self.eye_helpers:
            points = shape[helper]
            centre = (points.min(axis=0) + points.max(axis=0)) / 2
            radius = float(np.percentile(np.linalg.norm(points - centre, axis=1), 50))
            balls.append((centre, radius))
        return balls

    def place_eyes(self, skin: np.ndarray, eyeballs: list[tuple[np.ndarray, float]]) -> np.ndarray:
        """Append the eye surfaces to skins (B, n_skin, 3): from the lid margins onto the eyeball in the middle."""
        pieces = [skin]
        for loop, (centre, radius) in zip(self.eye_loops, eyeballs, strict=True):
            margin = skin[:, loop] - centre
            middle = margin.mean(axis=1, keepdims=True)
            margin_radius = np.linalg.norm(margin, axis=2, keepdims=True)
            for fraction in EYE_RINGS:
                direction = margin + (middle - margin) * fraction
                distance = margin_radius + (radius - margin_radius) * smoothstep(fraction)
                pieces.append(centre + direction * (distance / np.linalg.norm(direction, axis=2, keepdims=True)))
            pieces.append(centre + middle * (radius / np.linalg.norm(middle, axis=2, keepdims=True)))
        return np.concatenate(pieces, axis=1)


@dataclass(frozen=True, eq=False)
class Topology:
    """How a set's meshes follow from the head's vertices.

    Attributes:
        operator: (V, n_vertices), rows sum to one; ``operator @ head`` are the set's vertices.
        faces: (F, 3) int32.
        landmarks: (66,) int32; see `LANDMARKS`.
    """

    operator: sparse.csr_matrix
    faces: np.ndarray
    landmarks: np.ndarray


@lru_cache(maxsize=1)
def load_head() -> Head:
    """Read the asset pack shipped with the package."""
    return Head.from_arrays(read_npz(PACK))


def load_topology(head: Head, name: str) -> Topology:
    """``seq``: the whole head, 5,023 vertices. ``scan``: the face front, 6,704 vertices."""
    arrays = head.arrays
    weights, columns, starts = (arrays[f"{name}_{part}"] for part in ("weights", "columns", "starts"))
    shape = (len(starts) - 1, head.n_vertices)
    operator = sparse.csr_matrix((weights.astype(float), columns.astype(np.int32), starts), shape=shape)
    operator = sparse.diags(1 / np.asarray(operator.sum(axis=1)).ravel()) @ operator
    faces = arrays[f"{name}_faces"].astype(np.int32)
    operator = relaxation(arrays[f"{name}_relax"], faces) @ operator
    return Topology(operator.tocsr(), faces, arrays[f"{name}_landmarks"])


def relaxation(weight: np.ndarray, faces: np.ndarray) -> sparse.csr_matrix:
    """(V, V) four steps of smoothing, each vertex by its weight (V,) in [0, 1]; rows sum to one."""
    weight = weight.astype(float)
    average = one_ring_average(unique_edges(faces), len(weight))
    step = sparse.diags(1 - weight) + sparse.diags(weight) @ average
    return (step @ step @ step @ step).tocsr()


def smoothstep(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, and a smooth rise between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def quad_edges(quads: np.ndarray) -> np.ndarray:
    """Directed edges (4M, 2) of M quads, all first sides, then all second sides, …"""
    return np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])


def unique_edges(faces: np.ndarray) -> np.ndarray:
    """(E, 2) undirected edges of triangles or quads, the smaller vertex first, sorted."""
    sides = faces.shape[1]
    edges = np.concatenate([faces[:, [i, (i + 1) % sides]] for i in range(sides)])
    return np.unique(np.sort(edges, axis=1), axis=0)


def one_ring_average(edges: np.ndarray, n_vertices: int) -> sparse.csr_matrix:
    """(V, V) mean over a vertex and its neighbours; rows sum to one."""
    both = np.concatenate([edges, edges[:, ::-1]])
    graph = sparse.csr_matrix((np.ones(len(both)), both.T), (n_vertices, n_vertices)) + sparse.identity(n_vertices)
    return (sparse.diags(1 / np.asarray(graph.sum(axis=1)).ravel()) @ graph).tocsr()


def boundary_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Vertex ids of each closed border in the faces' own direction, longest loop first.

    Raises:
        MeshError: if a vertex lies on a border more than once.
    """
    sides = faces.shape[1]
    edges = np.concatenate([faces[:, [i, (i + 1) % sides]] for i in range(sides)])
    directed = set(map(tuple, edges.tolist()))
    following: dict[int, int] = {}
    for start, end in sorted(directed):
        if (end, start) not in directed:
            if start in following:
                raise MeshError(f"vertex {start} lies on the border more than once")
            following[start] = end
    loops = []
    while following:
        loop = [min(following)]
        while (vertex := following.pop(loop[-1])) != loop[0]:
            loop.append(vertex)
        loops.append(np.array(loop))
    return sorted(loops, key=len, reverse=True)
