"""Where a vertex is in a picture."""

from __future__ import annotations

import numpy as np
import pytest

from bench3dmm.view import render
from bench3dmm.view.camera import fit_view, project


def test_project_agrees_with_the_picture():
    """A bright triangle appears where its corners are projected to."""
    vertices = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0]])
    view = fit_view(vertices, "front", (60, 80))
    image = render.render_mesh(vertices, np.array([[0, 1, 2]]), size=(60, 80), view=view)
    rows, columns = np.nonzero(image.mean(axis=2) < 250)
    pixels = project(vertices, view, (60, 80))
    assert (columns.min(), columns.max() + 1) == pytest.approx((pixels[:, 0].min(), pixels[:, 0].max()), abs=1.5)
    assert (rows.min(), rows.max() + 1) == pytest.approx((pixels[:, 1].min(), pixels[:, 1].max()), abs=1.5)
    assert pixels[2, 1] < pixels[0, 1], "y points down in a picture"
