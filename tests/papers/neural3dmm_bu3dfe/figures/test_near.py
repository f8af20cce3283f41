"""Errors over the distance to the landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from figure_checks import assert_texts_inside, curves, footer
from paper_results import everything

from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import landmark_distance
from bench3dmm.mesh.template import Template
from bench3dmm.papers.neural3dmm_bu3dfe.figures.near import landmark_distance_figure


def test_error_over_the_distance_to_landmarks(template, scans):
    results = everything(n_vertices=template.n_vertices)
    distance = landmark_distance(template)
    near = distance <= 2
    for result in results:
        if result.run.loss == "weighted-l1":
            result.arrays["vertex_error"][near] = 0.01
    figure = landmark_distance_figure(results, template)
    drawn = curves(figure.axes[0])
    assert drawn["weighted L1"][0] == drawn["L1"][0] == sorted(drawn["L1"][0])
    first = distance < 1
    assert drawn["weighted L1"][0][0] == pytest.approx(distance[first].mean())
    assert drawn["weighted L1"][1][0] == pytest.approx(0.01)
    assert drawn["L1"][1][0] == pytest.approx(drawn["L1"][1][-1])
    assert f"{100 * np.mean(distance <= 10):.0f} % of the vertices" in footer(figure)
    assert_texts_inside(figure)
    with pytest.raises(MeshError, match="no landmarks"):
        landmark_distance_figure(results, Template(template.vertices, template.faces))
