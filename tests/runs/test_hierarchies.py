"""What a run is built on: factors that are told, and results of PCA from when it was given five levels."""

from __future__ import annotations

import numpy as np
import pytest

import bench3dmm
from bench3dmm.apply.exported import export
from bench3dmm.errors import MeshError
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.record.run import Run
from bench3dmm.runs import execute as execution
from bench3dmm.runs.execute import execute, measure_again
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.runs.stored import on_protocol
from bench3dmm.runs.verify import EQUAL_BITS, verify
from bench3dmm.tasks.published import base_run, run_command
from bench3dmm.training.weights import read_weights

PCA = Run("sphere", model="pca", latent=4)


@pytest.fixture
def of_five_levels(spheres, tmp_path, monkeypatch):
    """A result as it was stored before PCA was given the template alone."""
    with monkeypatch.context() as patch:
        patch.setattr(execution, "hierarchy_for", lambda model, template, factors: build_hierarchy(template))
        execute(PCA, tmp_path / "results", "cpu", progress=False, dataset=spheres)
    return tmp_path / "results"


def test_a_result_of_pca_with_five_levels_stays_valid(of_five_levels, spheres, tmp_path):
    path = result_path(PCA, of_five_levels)
    files = {file: file.read_bytes() for file in path.parent.glob("[!.]*")}
    old = load_result(path)
    assert len(read_weights(path.with_suffix(".safetensors")).hierarchy.levels) == 5
    assert old.provenance["hierarchy_sha256"] == build_hierarchy(spheres.template).sha256

    assert execute(PCA, of_five_levels, "cpu", progress=False, dataset=spheres).provenance == old.provenance
    compared = verify(PCA, of_five_levels, tmp_path / "again", "cpu", False, datasets={"sphere": spheres})
    assert compared.outcome(0) == EQUAL_BITS
    assert compared.again.provenance["hierarchy_sha256"] == build_hierarchy(spheres.template, ()).sha256
    assert {file: file.read_bytes() for file in path.parent.glob("[!.]*")} == files

    model = bench3dmm.load(export(PCA.run_id, of_five_levels, tmp_path / "model", dataset=spheres))
    rows = old.arrays["sample_index"]
    error = np.linalg.norm(model.reconstruct(spheres.vertices[rows]) - spheres.vertices[rows], axis=2).mean(axis=1)
    np.testing.assert_allclose(error, old.arrays["sample_error"], rtol=1e-5)
    assert measure_again(PCA, of_five_levels, "cpu", dataset=spheres).score == old.score


def test_pca_is_given_the_template_alone(spheres, tmp_path):
    result = execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)
    hierarchy = read_weights(result_path(PCA, tmp_path).with_suffix(".safetensors")).hierarchy
    assert hierarchy.sizes == (spheres.template.n_vertices,)
    assert result.provenance["hierarchy_sha256"] == hierarchy.sha256


def test_factors_that_are_told_are_met(spheres, tmp_path):
    told = Run("sphere", latent=4, epochs=1, factors="4, 4, 2, 2")
    result = execute(told, tmp_path, "cpu", progress=False, dataset=spheres)
    expected = build_hierarchy(spheres.template, (4, 4, 2, 2))
    assert result.provenance["hierarchy_sha256"] == expected.sha256 != build_hierarchy(spheres.template).sha256
    assert load_result(result_path(told, tmp_path)).run.factors == "4,4,2,2"
    with pytest.raises(MeshError, match=r"needs 5 levels.*has 3"):
        execute(Run("sphere", latent=4, factors="4,4"), tmp_path, "cpu", progress=False, dataset=spheres)
    with pytest.raises(MeshError, match=r"level 3 of factors \(9, 9, 9, 9\).*Use fewer or smaller factors"):
        execute(Run("sphere", latent=4, factors="9,9,9,9"), tmp_path, "cpu", progress=False, dataset=spheres)


def test_told_factors_go_with_the_run():
    told = Run("mh-scan", factors="4,4,2,2")
    assert run_command(told) == "bench3dmm run --dataset mh-scan --factors 4,4,2,2"
    assert not on_protocol(told) and on_protocol(Run("mh-scan"))
    base = base_run(Run("mh-scan", model="lamm", task="manipulation"))
    assert base is not None and base.factors == "auto"
