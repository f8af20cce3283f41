"""Disjoint regions that cover a template, and the control vertices of those that can be edited.

A face has eleven: eyes, brows and cheeks on either side, nose, mouth, chin, forehead and skull (ears, neck and
whatever else is far from all of them). A vertex belongs to the region whose anchors are nearest over the surface,
measured in each region's reach; anchors follow from the 66 landmarks of the embedded sets, which
`bench3dmm.mesh.regions` brings to any template of a face. A template that is no face is divided into patches around
vertices far from each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.mesh.regions import CHEEK_CORNERS, LEFT_EYE, LIPS, NOSE, RIGHT_EYE, eyes_apart

if TYPE_CHECKING:
    from scipy import sparse


OUTER_LIPS = slice(48, 60)
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
LOWER_LIP, JAW_TIP, BESIDE_TIP = 57, 8, (6, 7, 9, 10)
CHIN_HEIGHTS = (0.25, 0.5)  # of its control vertices between the jaw's tip and the lower lip, as shares


# Control vertices of the forehead: landmarks of the brows, and how far above them in distances between the eyes.
ABOVE_BROWS = ((18, 0.35), (20, 0.4), (23, 0.4), (25, 0.35), (20, 0.75), (23, 0.75))


# How far a region reaches from its anchors over the surface, in distances between the eyes. Where two meet, the border
# lies nearer to the one with the smaller reach.
REACH = {
    "right eye": 0.26,
    "left eye": 0.26,
    "right brow": 0.25,
    "left brow": 0.25,
    "nose": 0.26,
    "mouth": 0.24,
    "chin": 0.5,
    "right cheek": 0.70,
    "left cheek": 0.70,
    "forehead": 0.62,
}
SKULL = "skull"
PATCHES = 11
PATCHES_CONTROLLED = 8
PATCH_CONTROLS = 8


@dataclass(frozen=True, eq=False)
class Partition:
    """A template's vertices in K regions.

    Attributes:
        names: of the regions, (K,).
        labels: the region of each vertex, (V,) int.
        controls: by name, ids of the control vertices of the regions that can be edited.

    Raises:
        MeshError: for a region without vertices, a label without region, or control vertices outside their region.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    controls: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        counts = np.bincount(self.labels, minlength=len(self.names))
        if len(counts) > len(self.names) or self.labels.min() < 0:
            raise MeshError(f"a partition: labels go up to {self.labels.max()}, there are {len(self.names)} regions")
        if empty := [name for name, count in zip(self.names, counts, strict=True) if not count]:
            raise MeshError(f"a partition: no vertex is in {', '.join(empty)}")
        for name, ids in self.controls.items():
            if name not in self.names:
                raise MeshError(f"a partition: control vertices of {name!r}, which is none of {', '.join(self.names)}")
            if not len(ids) or (self.labels[ids] != self.names.index(name)).any():
                raise MeshError(f"a partition: the control vertices of {name} must lie in it, at least one")

    @property
    def vertices(self) -> list[np.ndarray]:
        """Ascending vertex ids of each region."""
        return [np.flatnonzero(self.labels == region) for region in range(len(self.names))]

    @cached_property
    def control_ids(self) -> np.ndarray:
        """(C,) all control vertices, region by region in the order of `controls`."""
        return np.concatenate([np.asarray(ids) for ids in self.controls.values()]).astype(np.int64)

    @cached_property
    def control_spans(self) -> dict[str, slice]:
        """Where in `control_ids` those of a region stand."""
        spans, start = {}, 0
        for name, ids in self.controls.items():
            spans[name] = slice(start, start + len(ids))
            start += len(ids)
        return spans

    @cached_property
    def controlled(self) -> np.ndarray:
        """(V,) whether a vertex lies in a region with control vertices."""
        return np.isin(self.labels, [self.names.index(name) for name in self.controls])

    def border_edges(self, faces: np.ndarray, name: str) -> np.ndarray:
        """(E, 2) edges of which one end lies in that region, that end first."""
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        edges = np.unique(np.sort(edges, axis=1), axis=0)
        inside = self.labels[edges] == self.names.index(name)
        crossing = edges[inside[:, 0] != inside[:, 1]]
        first_inside = self.labels[crossing[:, 0]] == self.names.index(name)
        return np.where(first_inside[:, None], crossing, crossing[:, ::-1])


def face_partition(vertices: np.ndarray, faces: np.ndarray, landmarks: np.ndarray) -> Partition:
    """The eleven regions of a face; eight of them with control vertices, all but the cheeks and the skull.

    Control vertices are the landmarks of a region, of the mouth the outer lips'; of chin and forehead their anchors.

    Args:
        landmarks: (66,) vertex ids, as `bench3dmm.data.synthetic.head.LANDMARKS` lists them.
    """
    graph = edge_graph(vertices, faces)
    anchors = _anchors(vertices, landmarks)
    reach = np.array([REACH[name] for name in anchors]) * eyes_apart(vertices[landmarks])
    distance = np.stack([edge_distances(graph, ids) for ids in anchors.values()]) / reach[:, None]
    names = (*anchors, SKULL)
    labels = np.where(distance.min(axis=0) <= 1, distance.argmin(axis=0), len(anchors))
    points = {
        "right eye": landmarks[RIGHT_EYE],
        "left eye": landmarks[LEFT_EYE],
        "right brow": landmarks[RIGHT_BROW],
        "left brow": landmarks[LEFT_BROW],
        "nose": landmarks[NOSE],
        "mouth": landmarks[OUTER_LIPS],
        "chin": anchors["chin"],
        "forehead": anchors["forehead"],
    }
    controls = {name: np.unique(ids[labels[ids] == names.index(name)]) for name, ids in points.items()}
    return Partition(names, labels, controls)


def _anchors(vertices: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """Vertex ids from which each region of a face grows."""
    tree = cKDTree(vertices)
    points = vertices[landmarks]
    cheeks = [points[list(corners)].mean(axis=0) for corners in CHEEK_CORNERS]
    up = np.array([0, eyes_apart(points), 0])
    forehead = [points[brow] + height * up for brow, height in ABOVE_BROWS]
    chin = [points[JAW_TIP] + share * (points[LOWER_LIP] - points[JAW_TIP]) for share in CHIN_HEIGHTS]
    at = {
        "right eye": points[RIGHT_EYE],
        "left eye": points[LEFT_EYE],
        "right brow": points[RIGHT_BROW],
        "left brow": points[LEFT_BROW],
        "nose": points[NOSE],
        "mouth": points[LIPS],
        "chin": np.concatenate([points[[JAW_TIP, *BESIDE_TIP]], chin]),
        "right cheek": cheeks[0][None],
        "left cheek": cheeks[1][None],
        "forehead": np.stack(forehead),
    }
    return {name: np.unique(tree.query(where)[1]) for name, where in at.items()}


def patches(
    vertices: np.ndarray, faces: np.ndarray, count: int = PATCHES, controlled: int = PATCHES_CONTROLLED
) -> Partition:
    """Vertices by the nearest of ``count`` vertices far from each other over the surface; the first are controlled."""
    graph = edge_graph(vertices, faces)
    centres = _spread(graph, np.arange(len(vertices)), count)
    distance = np.stack([edge_distances(graph, centre) for centre in centres])
    labels = distance.argmin(axis=0)
    names = tuple(f"patch {number}" for number in range(1, len(centres) + 1))
    controls = {
        name: _spread(graph, np.flatnonzero(labels == region), PATCH_CONTROLS)
        for region, name in enumerate(names[:controlled])
    }
    return Partition(names, labels, controls)


def edge_distances(graph: sparse.csr_matrix, sources: np.ndarray | int) -> np.ndarray:
    """(V,) shortest edge path from the nearest of the sources."""
    return csgraph.dijkstra(graph, directed=False, indices=sources, min_only=True)


def _spread(graph: sparse.csr_matrix, among: np.ndarray, count: int) -> np.ndarray:
    """Up to ``count`` of these vertices, each the furthest over the surface from those before, begun at the first."""
    chosen, nearest = among[:0], edge_distances(graph, among[:1])[among]
    while len(chosen) < min(count, len(among)):
        further = among[[nearest.argmax()]]
        from_it = edge_distances(graph, further)[among]
        nearest = np.minimum(nearest, from_it) if len(chosen) else from_it
        chosen = np.append(chosen, further)
    return chosen
