"""What packages of others declare: a real one, installed from a folder, and the names and groups."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

import pytest
from foreign_package import PACKAGE

from bench3dmm.errors import PluginError
from bench3dmm.runs.results import load_result, load_results
from bench3dmm.system import plugins


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
