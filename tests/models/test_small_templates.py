"""Every model on templates much smaller than a head, open and closed, with holes and with parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hierarchy_shapes import SHAPES
from mesh_shapes import grid, head_with_eyes, icosphere

from bench3dmm.data.synthetic.sizes import face
from bench3dmm.errors import Bench3dmmError, MeshError
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.mesh.template import Template
from bench3dmm.models.registry import build_model, check_factors, hierarchy_for, needs_hierarchy, preset_names
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import check_names
from bench3dmm.system.device import seeded

MODELS = [*((name, preset) for name in ("coma", "neural3dmm", "spiralnet", "pca") for preset in preset_names(name))]
MODELS.append(("lamm", preset_names("lamm")[0]))
SMALL = [
    *(face(n) for n in (72, 100, 300, 600, 1000)),
    *(Template(*shape, name=name) for name, shape in SHAPES.items()),
    Template(*grid(9, 8), name="72 vertices, open"),
    Template(*icosphere(1, 50.0), name="42 vertices, closed"),
    Template(*head_with_eyes(2), name="three parts"),
    Template(np.eye(3) * 50, np.array([[0, 1, 2]]), name="a triangle"),
]


@pytest.mark.parametrize(("name", "preset"), MODELS)
def test_every_model_runs_on_every_small_template(name, preset):
    for template in SMALL:
        with seeded(0):
            model = build_model(name, hierarchy_for(name, template), 4, preset=preset).eval()
            mesh = torch.randn(2, template.n_vertices, 3)
        with torch.no_grad():
            again = model(mesh)
        assert again.shape == mesh.shape and again.isfinite().all(), template.name


@pytest.mark.parametrize("name", ["coma", "neural3dmm", "spiralnet"])
def test_a_model_of_five_levels_says_so(name):
    assert needs_hierarchy(name)
    with pytest.raises(MeshError, match=r"needs 5 levels.*has 3: give 4 factors, such as --factors 4,4,4,4"):
        build_model(name, hierarchy_for(name, face(300), (2, 2)), 4)
    check_factors(name, "2,2")


@pytest.mark.parametrize("name", ["lamm", "pca"])
def test_for_a_model_that_works_on_the_template_alone_nothing_is_decimated(name, monkeypatch):
    monkeypatch.setattr("bench3dmm.mesh.hierarchy.decimate", lambda *_, **__: pytest.fail("decimated"))
    hierarchy = hierarchy_for(name, face(300))
    assert hierarchy.sizes == (300,) and hierarchy.sha256 == build_hierarchy(face(300), ()).sha256
    assert build_model(name, hierarchy, 4)(torch.randn(1, 300, 3)).shape == (1, 300, 3)
    with pytest.raises(Bench3dmmError, match=f"{name} works on the template alone, factors 4,4 change nothing"):
        check_names(Run("mh-scan", model=name, factors="4,4"))
    check_names(Run("mh-scan", model=name))
