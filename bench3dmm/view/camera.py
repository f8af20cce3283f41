"""Where the camera stands: a parallel projection that pictures may share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3dmm.errors import Bench3dmmError, UnknownNameError

CAMERAS: dict[str, tuple[float, float]] = {
    "front": (0.0, 0.0),
    "three-quarter": (32.0, 6.0),
    "left": (90.0, 0.0),
    "right": (-90.0, 0.0),
    "top": (0.0, 89.0),
}
"""Where the camera stands, as (azimuth, elevation) in degrees; azimuth turns towards the subject's left."""

MARGIN = 1.04


@dataclass(frozen=True)
class View:
    """A parallel camera: what it looks at, from where, and how much of it fits.

    Attributes:
        axes: (3, 3), rows are the camera's right, up and backward (towards the viewer) unit vectors.
        centre: (3,) mm, the point in the middle of the picture.
        half_height: mm from the picture's middle to its upper edge.
    """

    axes: np.ndarray
    centre: np.ndarray
    half_height: float


def fit_view(vertices: np.ndarray, camera: str = "front", size: int | tuple[int, int] = 400) -> View:
    """The camera that frames everything in ``vertices`` (…, V, 3): pass it on, and pictures share one scale.

    Raises:
        UnknownNameError: `camera` is not one of `CAMERAS`.
    """
    if camera not in CAMERAS:
        raise UnknownNameError("camera", camera, CAMERAS)
    azimuth, elevation = np.radians(CAMERAS[camera])
    back = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    axes = np.stack([right, np.cross(back, right), back])

    width, height = width_height(size)
    seen = np.asarray(vertices, dtype=np.float64).reshape(-1, 3) @ axes.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    extent = high - low
    half_height = MARGIN / 2 * max(extent[1], extent[0] * height / width, 1e-9)
    return View(axes, (low + high) / 2 @ axes, float(half_height))


def project(points: np.ndarray, view: View, size: int | tuple[int, int]) -> np.ndarray:
    """Where points (…, 3) mm lie in a picture of that view and size: (…, 2) pixels, x to the right, y down."""
    width, height = width_height(size)
    seen = (np.asarray(points, dtype=np.float64) - view.centre) @ view.axes[:2].T
    return seen * (height / 2 / view.half_height) * [1, -1] + [width / 2, height / 2]


def width_height(size: int | tuple[int, int]) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 1:
        raise Bench3dmmError(f"size={size!r}: a picture needs at least one pixel")
    return int(width), int(height)
