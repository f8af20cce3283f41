"""Where on a face an error is: eyes, nose, mouth, cheeks and the rest, on any template.

On a template with the 66 landmarks of the embedded sets (`bench3dmm.data.synthetic.head.LANDMARKS`) a vertex belongs to
the region whose landmarks are the nearest, measured in each region's reach; vertices out of all reach are the rest.
Another template is laid over an embedded one (similarity, iterated closest points), and its vertices take the region
of the nearest vertex there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from bench3dmm.mesh.template import Template


REGIONS = ("eyes", "nose", "mouth", "cheeks", "rest")
REST = REGIONS.index("rest")
BROWS, NOSE, EYES, LIPS = slice(17, 27), slice(27, 36), slice(36, 48), slice(48, 66)  # of the 66 landmarks
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)


# By side: lower lid, wing of the nose, corner of the mouth, jaw line. Between them lies the cheek.
CHEEK_CORNERS = ((40, 41, 31, 48, 3), (46, 47, 35, 54, 13))
REACH = {"eyes": 0.26, "nose": 0.26, "mouth": 0.26, "cheeks": 0.52}  # in distances between the eyes
POINTS = 1500  # of either surface that alignment looks at
ITERATIONS = 40
TRIMMED = 0.8  # share of points that count: templates end at different places
TILTS = (0.0, -0.3, 0.3)  # radians about the x axis that alignment starts from


def regions_from_landmarks(vertices: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Index into `REGIONS` of each vertex, (V,) int8, from the 66 landmarks' positions (66, 3)."""
    cheeks = np.stack([landmarks[list(corners)].mean(axis=0) for corners in CHEEK_CORNERS])
    _, on_surface = cKDTree(vertices).query(cheeks)
    anchors = {
        "eyes": np.concatenate([landmarks[EYES], landmarks[BROWS]]),
        "nose": landmarks[NOSE],
        "mouth": landmarks[LIPS],
        "cheeks": vertices[on_surface],
    }
    scale = eyes_apart(landmarks)
    reached = np.stack([cKDTree(anchors[name]).query(vertices)[0] / (REACH[name] * scale) for name in REACH])
    return np.where(reached.min(axis=0) <= 1, reached.argmin(axis=0), REST).astype(np.int8)


def lay_over(vertices: np.ndarray, model: Template) -> tuple[np.ndarray, float]:
    """Vertices (V, 3) moved onto a template with the 66 landmarks by the similarity that iterated closest points find.

    Pairs are taken from either surface to the other, so that neither shrinks into the other.

    Returns:
        The moved vertices, and the mean distance left of pairs, in distances between the eyes.
    """
    fixed = _thinned(model.vertices)
    tree = cKDTree(fixed)
    found = []
    for tilt in TILTS:
        moved = _begin(vertices, model.vertices, tilt)
        thin = _thinned(moved)
        for _ in range(ITERATIONS):
            there, back = tree.query(thin), cKDTree(thin).query(fixed)
            distance = np.concatenate([there[0], back[0]])
            kept = distance <= np.quantile(distance, TRIMMED)
            source = np.concatenate([thin, thin[back[1]]])[kept]
            target = np.concatenate([fixed[there[1]], fixed])[kept]
            scale, rotation, shift = similarity(source, target)
            thin, moved = (scale * points @ rotation.T + shift for points in (thin, moved))
        left = float(distance[kept].mean()) / eyes_apart(model.vertices[model.landmarks])
        found.append((moved, left))
    return min(found, key=lambda one: one[1])


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation R (3, 3) and shift (3,) that bring ``scale * R x + shift`` nearest the target (Umeyama 1991).

    Args:
        source, target: (n, 3), in pairs.
    """
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    a, b = source - middle, target - aim
    u, singular, vt = np.linalg.svd(b.T @ a)
    mirror = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * mirror) @ vt
    scale = float((singular * mirror).sum() / (a**2).sum())
    return scale, rotation, aim - scale * rotation @ middle


def eyes_apart(landmarks: np.ndarray) -> float:
    return float(np.linalg.norm(landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)))


def _begin(vertices: np.ndarray, aim: np.ndarray, tilt: float) -> np.ndarray:
    """Centred, tilted, and brought to the height of what they are laid over."""
    cos, sin = np.cos(tilt), np.sin(tilt)
    turned = (vertices - vertices.mean(axis=0)) @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return turned * (np.ptp(aim[:, 1]) / np.ptp(turned[:, 1])) + aim.mean(axis=0)


def _thinned(points: np.ndarray) -> np.ndarray:
    """At most `POINTS` of them, evenly by row."""
    return points[np.unique(np.linspace(0, len(points) - 1, POINTS).astype(int))]
