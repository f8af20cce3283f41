"""Datasets by name: known, registered, and those of somebody else's packages."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from sphere_sets import sphere_dataset

from bench3dmm.data import dataset_names, load_dataset, recipe_sha256, register_dataset
from bench3dmm.data import registry as data
from bench3dmm.data.dataset import content_sha256
from bench3dmm.data.registry import check_datasets
from bench3dmm.errors import DataError, PluginError, UnknownNameError
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.stored import stored_results, stored_state


def test_a_user_s_dataset_can_be_registered(monkeypatch):
    monkeypatch.setattr("bench3dmm.data.registry._registered", {})
    register_dataset("mine", sphere_dataset)
    assert load_dataset("mine").name == "mine"
    assert "mine" in dataset_names()


@pytest.mark.parametrize("name", ["typo", "mh-scan@cleen", "coma@clean", "mh-scn@clean"])
def test_misspelt_datasets_are_refused(name):
    with pytest.raises(UnknownNameError):
        check_datasets("mh-seq", name)


def test_datasets_of_the_paper_are_known_where_they_are_not_imported(monkeypatch):
    monkeypatch.setitem(data._registered, "sphere", sphere_dataset)
    check_datasets("coma", "bu3dfe", "mh-scan@clean", "sphere")


def test_a_foreign_set_is_loaded_under_its_name_and_tied_to_its_content(package, monkeypatch):
    made = dataclasses.replace(sphere_dataset(), sha256="whatever its author says")
    loader = lambda: made  # noqa: E731
    register_dataset("balls", loader)
    loaded = load_dataset("balls")
    assert loaded.name == "balls" and "balls" in dataset_names()
    assert loaded.sha256 == loaded.card["recipe_sha256"] == recipe_sha256("balls") == content_sha256(made)
    moved = made.vertices.copy()
    moved[-1, -1, -1] += 1e-3
    for other in (
        dataclasses.replace(made, vertices=moved),
        dataclasses.replace(made, samples=made.samples.assign(level=0.25)),
    ):
        assert content_sha256(other) != content_sha256(made)


def test_a_stored_result_is_not_taken_for_other_data_of_the_same_name(package, tmp_path):
    made = [sphere_dataset(seed=0)]
    register_dataset("balls", lambda: made[0])
    run = Run("balls", model="pca", latent=2)
    execute(run, tmp_path, "cpu", progress=False)
    assert stored_state(run, tmp_path) == "stored"
    assert execute(run, tmp_path, "cpu", progress=False).run == run
    other = [sphere_dataset(seed=1)]
    register_dataset("balls", lambda: other[0])
    assert stored_state(run, tmp_path) == "stale"
    with pytest.raises(DataError, match="another version of balls; run it again with --force"):
        execute(run, tmp_path, "cpu", progress=False)


def test_a_result_on_a_set_that_is_not_here_counts_as_stored(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "from sphere_sets import sphere_dataset\n\n\ndef load():\n    return sphere_dataset()\n"
    (tmp_path / "gone_set.py").write_text(text)
    run = Run("gone_set:load", model="pca", latent=2)
    result = execute(run, "results", "cpu", progress=False)
    (tmp_path / "gone_set.py").unlink()
    del sys.modules["gone_set"]
    assert stored_state(run, "results") == "stored"
    (loaded,) = stored_results([run], "results")
    assert loaded.metrics == result.metrics


def test_datasets_by_import_path_are_known_without_being_loaded(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stray_set.py").write_text("def load():\n    raise OSError('no disk')\n")
    check_datasets("stray_set:load")
    with pytest.raises(PluginError, match=r"'stray_set:load': its loader failed \(OSError: no disk\)"):
        load_dataset("stray_set:load")
    with pytest.raises(PluginError, match="nobody"):
        check_datasets("nobody:load")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: None, "gave NoneType"),
        (lambda d: dataclasses.replace(d, vertices=d.vertices.astype(np.float64)), "float64"),
        (lambda d: dataclasses.replace(d, vertices=d.vertices[:-1]), r"shape \(48, "),
        (lambda d: dataclasses.replace(d, vertices=d.vertices[:, :-1]), r"must be float32, in mm, of shape"),
        (lambda d: dataclasses.replace(d, samples=d.samples.drop(columns="level")), "no column level"),
        (lambda d: dataclasses.replace(d, vertices=np.where(d.vertices > 49, np.nan, d.vertices)), "not finite"),
    ],
)
def test_a_set_that_is_not_what_it_should_be_is_refused(package, change, says):
    register_dataset("balls", lambda: change(sphere_dataset()))
    with pytest.raises(DataError, match=says):
        load_dataset("balls")


def test_other_meshes_given_under_the_same_name_are_noticed(tmp_path, spheres):
    run = Run(spheres.name, model="pca", latent=2)
    execute(run, tmp_path, "cpu", progress=False, dataset=spheres)
    assert execute(run, tmp_path, "cpu", progress=False, dataset=spheres).run == run
    with pytest.raises(DataError, match="another version of sphere"):
        execute(run, tmp_path, "cpu", progress=False, dataset=sphere_dataset(seed=1))
