"""Regions of any face, found by laying it over an embedded one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from bench3dmm.data.synthetic.makehuman import Registration, recipe
from bench3dmm.mesh.partition import Partition, face_partition, patches
from bench3dmm.mesh.regions import eyes_apart, lay_over, regions_from_landmarks, similarity

if TYPE_CHECKING:
    from bench3dmm.mesh.template import Template


def partition_of(vertices: np.ndarray, faces: np.ndarray) -> Partition:
    """The regions of a face in the usual position, or patches of anything else.

    Args:
        vertices: (V, 3) float64, mm.
        faces: (F, 3).
    """
    return _partition_of(np.ascontiguousarray(vertices).tobytes(), np.ascontiguousarray(faces).tobytes(), faces.dtype)


@functools.lru_cache(maxsize=8)
def _partition_of(vertices: bytes, faces: bytes, kind: np.dtype) -> Partition:
    """By content: a template is laid over others once."""
    points, triangles = np.frombuffer(vertices).reshape(-1, 3), np.frombuffer(faces, kind).reshape(-1, 3)
    landmarks = transferred_landmarks(points)
    return patches(points, triangles) if landmarks is None else face_partition(points, triangles, landmarks)


SAME_LANDMARKS = 0.15  # RMS distance after a similarity, in distances between the eyes
MODELS = ("mh-scan", "mh-seq")  # a face front, a whole head
SAME_SHAPE = 0.08  # mean distance after alignment, in distances between the eyes: of faces 0.03 to 0.06, of a ball 0.09


def face_regions(template: Template) -> np.ndarray | None:
    """Index into `REGIONS` of each vertex, (V,) int8; None for a template that is no face in the usual position.

    Usual is x to the subject's left, y up and z towards the viewer.
    """
    return _regions(_Key(template))


class _Key:
    """A template as a key of the cache: by content."""

    def __init__(self, template: Template) -> None:
        self.template = template

    def __hash__(self) -> int:
        return hash(self.template.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.template.sha256 == other.template.sha256


@functools.lru_cache(maxsize=8)
def _regions(key: _Key) -> np.ndarray | None:
    template = key.template
    if _has_our_landmarks(template):
        return regions_from_landmarks(template.vertices, template.vertices[template.landmarks])
    found = _laid(template.vertices)
    if found is None:
        return None
    model, points = found
    labels = regions_from_landmarks(model.vertices, model.vertices[model.landmarks])
    _, nearest = cKDTree(model.vertices).query(points)
    return labels[nearest]


def transferred_landmarks(vertices: np.ndarray) -> np.ndarray | None:
    """(66,) ids of the vertices nearest to an embedded template's landmarks; None where this is no face.

    Args:
        vertices: (V, 3), in the usual position.
    """
    for name in MODELS:
        model = _model(name)
        if np.array_equal(vertices, model.vertices):
            return model.landmarks
    found = _laid(vertices)
    if found is None:
        return None
    model, points = found
    return cKDTree(points).query(model.vertices[model.landmarks])[1]


def _laid(vertices: np.ndarray) -> tuple[Template, np.ndarray] | None:
    """The embedded template that vertices (V, 3) fit best, and where they then are; None for no face."""
    laid = {name: lay_over(vertices, _model(name)) for name in MODELS}
    nearest, (points, distance) = min(laid.items(), key=lambda one: one[1][1])
    return (_model(nearest), points) if distance <= SAME_SHAPE else None


def _has_our_landmarks(template: Template) -> bool:
    """Whether there are 66, and they lie to each other as those of the embedded sets do."""
    model = _model(MODELS[0])
    if len(template.landmarks) != len(model.landmarks):
        return False
    points, aim = template.vertices[template.landmarks], model.vertices[model.landmarks]
    scale, rotation, shift = similarity(points, aim)
    left = np.linalg.norm(scale * points @ rotation.T + shift - aim, axis=1)
    return float(np.sqrt((left**2).mean())) <= SAME_LANDMARKS * eyes_apart(aim)


@functools.cache
def _model(name: str) -> Template:
    return Registration.of(recipe(name)).template
