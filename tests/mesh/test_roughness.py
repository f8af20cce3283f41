"""How rough errors are."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_shapes import grid

from bench3dmm.mesh.roughness import error_roughness


def test_roughness_sees_noise_and_not_shifts():
    vertices, faces = grid(9, 9)
    column, row = vertices[:, 0], vertices[:, 1]
    shift = np.broadcast_to([1.0, 2.0, 3.0], (81, 3))
    checkered = np.zeros((81, 3))
    checkered[:, 2] = (-1.0) ** (column + row)
    bent = np.zeros((81, 3))
    bent[:, 2] = np.cos(column / 8 * np.pi)
    rough = error_roughness(np.stack([shift, checkered, bent]).astype(np.float16), faces)
    assert rough[0] == 0
    assert rough[1] > 5 * rough[2] > 0
    middle = np.zeros((1, 81, 3))
    middle[0, 40, 0] = 1  # itself 1, each of its six neighbours a sixth
    assert error_roughness(middle, faces)[0] == pytest.approx((1 + 6 * (1 / 6)) / 81)
