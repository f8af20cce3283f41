"""Models of somebody else's packages: what one says of itself, and what may be wrong with it."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys

import pytest
from foreign_package import PACKAGE
from packages import declares
from sphere_sets import sphere_dataset

from bench3dmm.data import load_dataset, register_dataset
from bench3dmm.errors import DataError, PluginError
from bench3dmm.models import (
    closed_form,
    model_names,
    model_summary,
    needs_hierarchy,
    preset_names,
    published_training,
    register,
)
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.provenance import origin_of_model
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.runs.stored import stored_state
from bench3dmm.tasks.published import published_run

BUILD = "def build(hierarchy, latent, *, preset):\n    '''A stranger.'''\n"
LINEAR = (PACKAGE / "src" / "tiny3dmm" / "linear.py").read_text()


def test_a_module_that_registers_says_all_there_is_to_know(package):
    text = "from bench3dmm.models import register\n"
    text += "@register('lin', ('a', 'b'), training={'learning_rate': 0.5}, closed_form=True)\n" + BUILD
    package("lab", declares("models", lin="lab_lin"), lab_lin=text)
    assert "lin" in model_names() and "lab_lin" not in sys.modules
    assert preset_names("lin") == ("a", "b") and closed_form("lin") and model_summary("lin") == "A stranger."
    assert published_training("lin", "b") == {"learning_rate": 0.5}
    assert needs_hierarchy("lin") and needs_hierarchy("lab_lin:build"), "unless it says otherwise"
    run = published_run(dataset="mh-scan", model="lab_lin:build", preset="a")
    assert run.learning_rate == 0.5, "an import path to what is registered has its facts too"


def test_two_packages_with_one_name_are_an_error_for_that_name_alone(package):
    package("one", declares("models", twin="one_m:build"), one_m=BUILD)
    package("two", declares("models", twin="two_m:build", fine="two_m:build"), two_m=BUILD)
    with pytest.raises(PluginError, match=r"'twin' is declared by one 0\.1 and two 0\.1"):
        preset_names("twin")
    assert preset_names("fine") == preset_names("pca") == ("paper",)


def test_a_name_of_the_project_is_not_for_others(package):
    package("thief", declares("models", coma="thief_m:build") + declares("datasets", coma="thief_m:load"), thief_m="")
    with pytest.raises(PluginError, match=r"'coma' is this project's own, and thief 0\.1 declares it too"):
        preset_names("coma")
    with pytest.raises(PluginError, match=r"dataset 'coma' .* thief 0\.1 declares it too"):
        load_dataset("coma")
    assert preset_names("pca") == ("paper",)


def test_a_package_cannot_register_a_name_of_the_project(package):
    text = "from bench3dmm.models import register\n@register('pca')\n" + BUILD
    package("thief", declares("models", mine="thief_p"), thief_p=text)
    with pytest.raises(PluginError, match=r"mine.*thief 0\.1.*two models are called 'pca'"):
        preset_names("mine")
    assert model_summary("pca").startswith("Principal")
    with pytest.raises(PluginError, match="own"):
        register_dataset("mh-scan", sphere_dataset)
    with pytest.raises(PluginError, match="colon"):
        register("a:b")(lambda hierarchy, latent, *, preset: None)


def test_what_registered_before_it_broke_can_try_again(package, tmp_path):
    text = (
        "from bench3dmm.models import register\n@register('late')\n" + BUILD + "    return 1\nimport missing_helper\n"
    )
    package("late", declares("models", late="late_m"), late_m=text)
    for _ in range(2):
        with pytest.raises(PluginError, match=r"late 0\.1 cannot be imported \(ModuleNotFoundError"):
            preset_names("late")
    (tmp_path / "site-late" / "missing_helper.py").write_text("")
    importlib.invalidate_caches()
    assert preset_names("late") == ("paper",)


@pytest.mark.parametrize(
    ("value", "text", "says"),
    [
        ("odd_m", "", "registers no model, not 'odd'"),
        (
            "odd_m:build",
            "from bench3dmm.models import register\n@register('even')\n" + BUILD,
            "registers even, not 'odd'",
        ),
        ("odd_m:build", "def build(hierarchy, latent): ...", "must be a function build"),
        ("odd_m:build", "build = 3", "must be a function build"),
        ("odd_m:build", "raise SystemExit(3)", "cannot be imported (SystemExit: 3)"),
        ("odd_m:bild", BUILD, "has no attribute 'bild'"),
    ],
)
def test_what_is_wrong_with_a_declared_model_is_said(package, value, text, says):
    package("odd", declares("models", odd=value), odd_m=text)
    with pytest.raises(PluginError) as raised:
        preset_names("odd")
    message = str(raised.value)
    assert "'odd'" in message and "odd 0.1" in message and says in message and "\n" not in message
    assert closed_form("pca")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody:build", "No module named 'nobody'"),
        ("stray:bild", "stray.py has no 'bild'"),
        ("stray:", "MODULE:NAME"),
        ("./stray:build", "MODULE:NAME"),
        ("stray:__doc__", "must be a function build"),
    ],
)
def test_what_is_wrong_with_an_import_path_is_said(package, tmp_path, monkeypatch, name, says):
    (tmp_path / "stray.py").write_text(BUILD)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError) as raised:
        preset_names(name)
    assert name in str(raised.value) and says in str(raised.value)


def test_an_import_path_is_found_in_the_working_directory(package, tmp_path, monkeypatch, spheres):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", os.getcwd())])  # noqa: PTH109
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loose_linear.py").write_text(LINEAR)
    run = Run(spheres.name, model="loose_linear:build", latent=3, epochs=1)
    result = execute(run, tmp_path / "results", "cpu", progress=False, dataset=spheres)
    assert load_result(result_path(run, tmp_path / "results")).run == result.run == run
    found = origin_of_model(run.model)
    assert found["package"] is None and found["source_sha256"] == hashlib.sha256(LINEAR.encode()).hexdigest()


def test_the_origin_is_the_source_that_was_loaded(package, tmp_path, monkeypatch):
    """Not what somebody wrote into the file after it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edited_linear.py").write_text(LINEAR)
    assert preset_names("edited_linear:build") == ("paper",)
    (tmp_path / "edited_linear.py").write_text(LINEAR + "# more\n")
    assert origin_of_model("edited_linear:build")["source_sha256"] == hashlib.sha256(LINEAR.encode()).hexdigest()


def test_a_result_is_not_taken_for_one_of_a_model_that_was_edited(package, tmp_path, monkeypatch, spheres):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "growing_linear.py"
    source.write_text(LINEAR)
    run = Run(spheres.name, model="growing_linear:build", latent=3, epochs=1)
    made = execute(run, "results", "cpu", progress=False, dataset=spheres)
    assert made.provenance["model_origin"] == origin_of_model(run.model)
    assert stored_state(run, "results") == "stored"
    source.write_text(LINEAR + "# other\n")
    del sys.modules["growing_linear"]  # as in another process
    assert stored_state(run, "results") == "stale"
    with pytest.raises(DataError, match="another version of growing_linear:build's code; run it again with --force"):
        execute(run, "results", "cpu", progress=False, dataset=spheres)
    source.unlink()
    del sys.modules["growing_linear"]
    assert stored_state(run, "results") == "stored", "there is nothing to compare with"
