"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from conftest import sphere_dataset

from bench3dmm import cli, data


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the entry point in this process; gives exit code, stdout, stderr."""
    monkeypatch.setitem(data._registered, "sphere", sphere_dataset)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["bench3dmm", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        streams = capsys.readouterr()
        return int(stopped.value.code or 0), streams.out, streams.err

    return call


def test_help_is_quick_and_teaches():
    code = "import time; t = time.perf_counter(); import bench3dmm.cli, sys; print(time.perf_counter() - t)"
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
        (["run", "--dataset", "sphere", "--profile", "papers"], "paper"),
        (["run", "--dataset", "sphere", "--device", "gpu"], "cpu"),
        (["run", "--dataset", "sphere", "--latent", "0"], "latent"),
        (["run", "--dataset", "sphere", "--latent", "many"], "--latent"),
        (["run"], "--dataset"),
        (["list", "result"], "results"),
        (["data", "info", "spere"], "sphere"),
        (["train"], "train"),
    ],
)
def test_wrong_usage_exits_with_2(command, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, _, err = command(*arguments)
    assert code == 2
    assert says in err
    assert "Traceback" not in err
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
    for kind in ("datasets", "splits", "models", "presets", "losses", "profiles"):
        code, listed, _ = command("list", kind)
        assert code == 0
        assert listed.strip()


def test_data_info(command):
    code, out, _ = command("data", "info", "sphere")
    assert code == 0
    assert "48 registered meshes of 6 subjects" in out
    assert "happy" in out
