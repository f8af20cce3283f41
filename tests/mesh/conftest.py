"""Hierarchies of small meshes, built once; not to be changed."""

from __future__ import annotations

import pytest
from hierarchy_shapes import SHAPES

from bench3dmm.mesh.hierarchy import Hierarchy, build_hierarchy
from bench3dmm.mesh.template import Template


@pytest.fixture(scope="session")
def built() -> dict[str, tuple[Template, Hierarchy]]:
    templates = {name: Template(*shape, name=name) for name, shape in SHAPES.items()}
    return {name: (t, build_hierarchy(t, (4, 4), cache=False)) for name, t in templates.items()}


@pytest.fixture(params=SHAPES)
def pair(request, built) -> tuple[Template, Hierarchy]:
    return built[request.param]
