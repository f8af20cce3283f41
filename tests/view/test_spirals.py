"""Pictures of spirals: the model's own ordering."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from figure_checks import texts

from bench3dmm.view.spirals import _draw_pixels, even_vertex, spiral_figure

pytestmark = pytest.mark.usefixtures("software_renderer")


def test_pixel_spiral_visits_each_pixel_once_outwards():
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    _draw_pixels(axes, hops=2)
    path = np.array(axes.collections[0].get_offsets())
    assert len({tuple(point) for point in path}) == 25
    assert np.array_equal(np.abs(path).max(axis=1), np.repeat([0, 1, 2], [1, 8, 16]))
    assert (np.abs(np.diff(path, axis=0)).sum(axis=1) == 1).all(), "from neighbour to neighbour"
    for ring in (path[1:9], path[9:]):
        turn = np.unwrap(np.arctan2(ring[:, 1], ring[:, 0]))
        assert (np.diff(turn) > 0).all(), "counter-clockwise"


def test_spiral_figure_draws_the_models_own_ordering(template):
    from bench3dmm.mesh.spirals import spirals

    table = spirals(template.vertices, template.faces, hops=2, dilation=1)
    hierarchy = SimpleNamespace(spirals=lambda level, hops, dilation: table)
    figure = spiral_figure(template, hierarchy, name="mh-scan")
    centre = even_vertex(template.vertices, template.faces, table)
    expected = int((table[centre] >= 0).sum())
    numbers = [text.get_text() for text in figure.axes[1].texts if text.get_text()]
    assert numbers == [str(number) for number in range(expected)]
    assert f"vertex {centre} of mh-scan" in texts(figure)
    assert template.vertices[centre, 2] > 0, "on the side that faces the viewer"
