"""Models and datasets of somebody else's: a real package, installed from a folder, and what may be wrong with one."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import pickle
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from foreign_package import PACKAGE
from packages import declares, forget_modules, make_package
from sphere_sets import sphere_dataset

from bench3dmm.data import dataset_names, load_dataset, recipe_sha256, register_dataset
from bench3dmm.data import registry as data
from bench3dmm.data.dataset import content_sha256
from bench3dmm.data.registry import check_datasets
from bench3dmm.errors import DataError, PluginError, UnknownNameError
from bench3dmm.models import closed_form, model_names, model_summary, preset_names, published_training, register
from bench3dmm.models import registry as models
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.provenance import origin_of_model
from bench3dmm.runs.results import load_result, load_results, result_path
from bench3dmm.runs.stored import stored_results, stored_state
from bench3dmm.system import plugins
from bench3dmm.tasks.published import published_run

# --- a real package -----------------------------------------------------------------------------------------------


def test_an_installed_package_is_listed_with_what_is_broken_in_it(python):
    done = python("-m", "bench3dmm", "list", "models")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert {"pca", "neural3dmm", "tiny-mlp", "tiny-linear", "tiny-broken"} <= set(lines)
    assert lines["tiny-mlp"].endswith("Two layers each way. (from tiny3dmm 1.2.3)")
    assert "cannot be used" in lines["tiny-broken"] and "a_module_that_nobody_has" in lines["tiny-broken"]
    done = python("-m", "bench3dmm", "list")
    assert "tiny-waves" in done.stdout and "tiny-mlp (small, large)" in done.stdout


def test_a_broken_model_is_one_line_and_only_for_who_asks(python):
    done = python("-m", "bench3dmm", "check", "tiny-broken")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    for part in ("tiny-broken", "tiny3dmm 1.2.3", "No module named 'a_module_that_nobody_has'"):
        assert part in done.stderr


@pytest.mark.parametrize("model", ["tiny-mlp", "tiny3dmm.linear:build"])
def test_an_installed_model_can_take_part(python, model):
    done = python("-m", "bench3dmm", "check", model, "--latent", 4)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout


SWEEP = """
from bench3dmm.record.grid import grid
from bench3dmm.runs.sweep import sweep
from bench3dmm.system import plugins
from bench3dmm.tasks.published import published_run

if __name__ == "__main__":
    runs = [published_run(dataset="tiny-waves", model="tiny-mlp", preset="large", latent=d) for d in (3, 5)]
    runs += grid(dataset="tiny3dmm.waves:load", model="tiny3dmm.linear:build", latent=3)
    frame = sweep(runs, "results", "cpu", jobs=2, progress=False)
    print(list(frame["batch_size"]))
"""


def test_installed_models_and_datasets_run_sweep_and_stay_readable(python):
    """From the command line, in processes of a sweep, and where the package is gone."""
    folder = Path(python("-c", "import os; print(os.getcwd())").stdout.strip())
    run = ("-m", "bench3dmm", "run", "--dataset", "tiny-waves", "--model", "tiny-linear", "--latent", 4)
    done = python(*run, "--profile", "smoke", "--results-dir", "results", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    (folder / "sweep.py").write_text(SWEEP)
    done = python("sweep.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[8, 8, 16]"

    done = python("-m", "bench3dmm", "list", "results", package=False)
    assert done.returncode == 0 and done.stdout.count("tiny-mlp") == 2
    frame = load_results(folder / "results").set_index(["model", "latent"])
    assert set(frame["dataset"]) == {"tiny-waves", "tiny3dmm.waves:load"}
    for run_id, profile in zip(frame["run_id"], frame["profile"], strict=True):
        made = load_result(folder / "results" / profile / f"{run_id}.json").provenance
        assert made["dataset_recipe_sha256"] == made["dataset_sha256"] and len(made["dataset_sha256"]) == 64
        for whose in ("model_origin", "dataset_origin"):
            assert (made[whose]["package"], made[whose]["version"]) == ("tiny3dmm", "1.2.3")
    done = python(*run, package=False)
    assert done.returncode == 2 and "unknown model 'tiny-linear'" in done.stderr


ORIGINS = """
import json
from bench3dmm.runs.provenance import origin_of_dataset, origin_of_model

names = [("m", "tiny-mlp"), ("m", "tiny3dmm.linear:build"), ("m", "pca"), ("d", "tiny-waves"), ("d", "mh-scan")]
print(json.dumps([{"m": origin_of_model, "d": origin_of_dataset}[kind](name) for kind, name in names]))
"""


def test_the_origin_of_an_installed_model_is_its_package_and_source(python):
    import json

    mlp, linear, own, waves, embedded = json.loads(python("-c", ORIGINS).stdout)
    assert own is None and embedded is None
    for found, name in ((mlp, "mlp"), (linear, "linear"), (waves, "waves")):
        source = (PACKAGE / "src" / "tiny3dmm" / f"{name}.py").read_bytes()
        assert found == {
            "package": "tiny3dmm",
            "version": "1.2.3",
            "module": f"tiny3dmm.{name}",
            "source_sha256": hashlib.sha256(source).hexdigest(),
        }


# --- packages as folders: what may be wrong ------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes an installed package of given modules and entry points, seen by this process until the test ends."""
    model_names()  # the project's own are there before, and after
    monkeypatch.setattr(models, "_REGISTRY", dict(models._REGISTRY))
    monkeypatch.setattr(data, "_registered", dict(data._registered))

    def make(name, entry_points="", **sources):
        monkeypatch.syspath_prepend(str(make_package(tmp_path, name, entry_points, **sources)))

    yield make
    forget_modules(tmp_path)


BUILD = "def build(hierarchy, latent, *, preset):\n    '''A stranger.'''\n"
LINEAR = (PACKAGE / "src" / "tiny3dmm" / "linear.py").read_text()


def test_a_module_that_registers_says_all_there_is_to_know(package):
    text = "from bench3dmm.models import register\n"
    text += "@register('lin', ('a', 'b'), training={'learning_rate': 0.5}, closed_form=True)\n" + BUILD
    package("lab", declares("models", lin="lab_lin"), lab_lin=text)
    assert "lin" in model_names() and "lab_lin" not in sys.modules
    assert preset_names("lin") == ("a", "b") and closed_form("lin") and model_summary("lin") == "A stranger."
    assert published_training("lin", "b") == {"learning_rate": 0.5}
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


def test_other_meshes_given_under_the_same_name_are_noticed(tmp_path, spheres):
    run = Run(spheres.name, model="pca", latent=2)
    execute(run, tmp_path, "cpu", progress=False, dataset=spheres)
    assert execute(run, tmp_path, "cpu", progress=False, dataset=spheres).run == run
    with pytest.raises(DataError, match="another version of sphere"):
        execute(run, tmp_path, "cpu", progress=False, dataset=sphere_dataset(seed=1))


def test_an_unknown_name_reaches_the_parent_of_a_process():
    error = UnknownNameError("model", "tny", ["tiny"])
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# --- datasets ------------------------------------------------------------------------------------------------------


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


# --- names and groups ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", plugins.KINDS)
def test_a_wrong_import_path_is_answered_with_one_of_its_kind(group):
    example = plugins.EXAMPLES[group]
    with pytest.raises(PluginError, match=rf"{plugins.KINDS[group]} 'my module:x'.* such as {example}"):
        plugins.load(group, "my module:x")
    assert plugins.is_import_path(example)


def test_a_module_s_package_is_the_one_that_declares_something_in_it(monkeypatch):
    """Whichever group it declares it in, and wherever in the package it lies."""
    whose = metadata.distribution("numpy")
    point = metadata.EntryPoint("waves", "others.deep.waves:TASK", plugins.TASKS)._for(whose)
    monkeypatch.setattr(plugins, "declared", lambda group: [point] if group == plugins.TASKS else [])
    assert plugins.declaring("others.elsewhere") is whose
    assert plugins.declaring("another") is None
