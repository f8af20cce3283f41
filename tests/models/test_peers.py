"""What is asked of every peer of Neural3DMM alike."""

from __future__ import annotations

import copy

import pytest
from peers import (
    check_batches_do_not_mix,
    check_codes_and_meshes,
    check_learns,
    check_repeats,
    check_run,
    check_state,
    embedded,
    small_hierarchy,
)

from bench3dmm.errors import MeshError
from bench3dmm.models import build_model

pytestmark = pytest.mark.parametrize("model", ["coma", "spiralnet"])


@pytest.mark.parametrize("latent", [8, 64])
@pytest.mark.parametrize("mesh", ["mh-seq", "mh-scan"])
def test_codes_and_meshes_have_the_right_shapes(model, mesh, latent):
    check_codes_and_meshes(model, embedded(mesh), latent)


@pytest.mark.parametrize("check", [check_batches_do_not_mix, check_repeats, check_state, check_learns])
def test_keeps_what_every_model_keeps(model, check):
    check(model)


def test_hierarchy_of_another_depth_is_refused(model):
    shallow = copy.copy(small_hierarchy())
    object.__setattr__(shallow, "levels", shallow.levels[:-1])
    with pytest.raises(MeshError, match=r"needs 5 levels.*has 4"):
        build_model(model, shallow, 5)


def test_runs(model, tmp_path, spheres):
    check_run(model, tmp_path, spheres)
