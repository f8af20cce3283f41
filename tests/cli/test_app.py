"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest
import typer
from sphere_sets import sphere_dataset
from synthetic_results import make_result

from bench3dmm.cli import app as cli
from bench3dmm.data import registry as data
from bench3dmm.papers.neural3dmm_bu3dfe import experiments
from bench3dmm.papers.registry import experiment
from bench3dmm.runs.claims import claimed
from bench3dmm.runs.results import result_path, save_result


@pytest.fixture(autouse=True)
def known_spheres(monkeypatch):
    monkeypatch.setitem(data._registered, "sphere", sphere_dataset)


def test_help_is_quick_and_teaches():
    code = "import time; t = time.perf_counter(); import bench3dmm.cli.app, sys; print(time.perf_counter() - t)"
    code += "; print([m for m in ('torch', 'pandas', 'scipy', 'pyvista', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "bench3dmm", "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 5  # 0.4 s on an idle machine; the imports above are the real check
    assert "Exit codes" in done.stdout
    assert "bench3dmm run --dataset mh-scan" in done.stdout


def test_run_stores_a_result_and_names_it(command, tmp_path):
    arguments = ["run", "--dataset", "sphere", "--model", "pca", "--latent", 4, "--results-dir", tmp_path]
    code, out, err = command(*arguments)
    assert code == 0, err
    path = out.splitlines()[-1].strip()
    document = json.loads(open(path).read())  # noqa: SIM115, PTH123
    assert document["run"]["latent"] == 4
    assert f"{document['metrics']['mean_mm']:.3f}" in out
    code, again, err = command(*arguments)
    assert code == 0
    assert again == out
    assert "pca" not in err  # nothing was trained
    code, out, _ = command("list", "results", "--results-dir", tmp_path)
    assert code == 0
    assert document["run_id"] in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--dataset", "spere"], "sphere"),
        (["run", "--dataset", "sphere", "--split", "identities"], "identity"),
        (["run", "--dataset", "sphere", "--model", "neural3dm"], "neural3dmm"),
        (["run", "--dataset", "sphere", "--preset", "papers"], "paper"),
        (["run", "--dataset", "sphere", "--loss", "l2"], "l1"),
        (["run", "--dataset", "sphere", "--factors", "4,x"], "4,4,4,2"),
        (["run", "--dataset", "sphere", "--profile", "papers"], "paper"),
        (["run", "--dataset", "sphere", "--device", "gpu"], "cpu"),
        (["run", "--dataset", "sphere", "--latent", "0"], "latent"),
        (["run", "--dataset", "sphere", "--latent", "many"], "--latent"),
        (["run"], "--dataset"),
        (["list", "result"], "results"),
        (["data", "info", "spere"], "sphere"),
        (["train"], "train"),
        (["sweep", "splits", "--coma", "typo", "--dry-run"], "unknown dataset 'typo'"),
        (["sweep", "splits", "--bu3dfe", "mh-scan@cleen", "--dry-run"], "mh-scan"),
        (["sweep", "splits", "--profile", "smok", "--dry-run"], "smoke"),
    ],
)
def test_wrong_usage_exits_with_2(command, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, _, err = command(*arguments)
    assert code == 2
    assert says in err
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("model", "says"), [("neural3dmm", "needs 5 levels"), ("pca", "works on the template alone, factors 4,4")]
)
def test_factors_that_a_model_has_no_use_for_are_refused(command, tmp_path, model, says):
    code, _, err = command(
        "run", "--dataset", "sphere", "--model", model, "--factors", "4,4", "--results-dir", tmp_path
    )
    assert code == 1
    assert says in " ".join(err.split())
    assert not list(tmp_path.rglob("*.json"))


def test_failed_run_exits_with_1_and_one_line(command, tmp_path):
    code, _, err = command(
        *("run", "--dataset", "sphere", "--latent", 2, "--learning-rate", "1e30", "--epochs", 1, "--quiet"),
        *("--results-dir", tmp_path),
    )
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert "epoch 1" in err or "not finite" in err


def test_broken_results_exit_with_1(command, tmp_path):
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "0123456789ab.json").write_text("{")
    code, _, err = command("list", "results", "--results-dir", tmp_path)
    assert code == 1
    assert "0123456789ab.json" in err


def test_lists(command):
    code, out, _ = command("list")
    assert code == 0
    for name in ("mh-scan", "percentage", "neural3dmm", "release", "l1", "smoke"):
        assert name in out
    for kind in ("datasets", "splits", "models", "presets", "losses", "profiles", "tasks"):
        code, listed, _ = command("list", kind)
        assert code == 0
        assert listed.strip() and all("  " in line for line in listed.splitlines()), "a name apart from what it is"


def test_data_info(command):
    code, out, _ = command("data", "info", "sphere")
    assert code == 0
    assert "48 registered meshes of 6 subjects" in out
    assert "happy" in out


def table_of(out):
    """Header and rows of a table on stdout."""
    lines = [line for line in out.splitlines() if line.strip() and not line.startswith("each run:")]
    header, *rows = [line.split() for line in lines]
    return header, rows


@pytest.mark.parametrize("name", ["convergence", "ledger"])
def test_a_dry_run_tells_every_run_apart(command, tmp_path, name):
    code, out, err = command("sweep", name, "--dry-run", "--results-dir", tmp_path)
    assert code == 0, err
    _, rows = table_of(out)
    runs = experiment(name)
    assert [row[0] for row in rows] == [run.run_id for run in runs]
    assert len({tuple(row[1:]) for row in rows}) == len(runs)
    assert "dataset mh-scan" in out and {row[-1] for row in rows} == {"missing"}


def test_a_dry_run_says_who_trains_what(command, tmp_path):
    run = experiment("splits", "mh-seq", "mh-scan", "smoke", range(1))[0]
    with claimed(result_path(run, tmp_path)):
        _, out, _ = command("sweep", "splits", "--profile", "smoke", "--dry-run", "--results-dir", tmp_path)
    (line,) = (line for line in out.splitlines() if line.startswith(run.run_id))
    assert f"in training: process {os.getpid()} on" in line
    assert sum("missing" in line for line in out.splitlines()) > 5


def test_a_dry_run_shows_what_was_measured_on_other_data(command, tmp_path):
    fresh, stale, _ = experiment("datasets", profile="smoke")[:3]
    for run, recipe in ((fresh, data.recipe_sha256(fresh.dataset)), (stale, "of another version")):
        result = make_result(run, sphere_dataset(run.dataset), 1.0)
        result.provenance["dataset_recipe_sha256"] = recipe
        save_result(result, tmp_path)
    _, out, _ = command("sweep", "datasets", "--profile", "smoke", "--dry-run", "--results-dir", tmp_path)
    assert [row[-1] for row in table_of(out)[1]][:3] == ["stored", "stale", "missing"]


def test_a_sweep_of_stale_results_says_force_and_takes_it(command, tmp_path, monkeypatch, spheres):
    monkeypatch.setattr(experiments, "LATENTS", (4,))
    arguments = ["sweep", "splits", "--bu3dfe", "sphere", "--profile", "smoke", "--seeds", 1, "--jobs", 1, "--quiet"]
    arguments += ["--results-dir", tmp_path, "--device", "cpu"]
    assert command(*arguments)[0] == 0
    for path in tmp_path.rglob("*.json"):
        document = json.loads(path.read_text())
        document["provenance"]["dataset_recipe_sha256"] = "of another version"
        path.write_text(json.dumps(document))
    code, _, err = command(*arguments)
    assert code == 1 and "--force" in err
    code, out, err = command(*arguments, "--force")
    assert code == 0, err
    assert [row[1] for row in table_of(out)[1]] == ["percentage", "identity"]


def test_listed_results_tell_every_run_apart(command, tmp_path):
    runs = experiment("convergence", profile="smoke")
    for run in reversed(runs):
        save_result(make_result(run, sphere_dataset(run.dataset), 1.0), tmp_path)
    _, out, _ = command("list", "results", "--results-dir", tmp_path)
    header, rows = table_of(out)
    assert header[:3] == ["run_id", "latent", "epochs"]
    assert [(row[0], row[2]) for row in rows] == [(run.run_id, str(run.n_epochs)) for run in runs]
    assert "profile smoke" in out


def commands_of(command):
    """A click command and all below it."""
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from commands_of(below)


def test_helps_paragraphs_flow():
    """Line breaks are the terminal's, not the source's."""
    for one in commands_of(typer.main.get_command(cli.app)):
        broken = re.search(r"[^\n]\n[^\n].*", one.help or "")
        assert one.help and not broken, f"{one.name}: {broken}"
