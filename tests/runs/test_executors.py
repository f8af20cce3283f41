"""Trainings at once: what dies or fails costs its own run, what others begin with is trained once, nobody is left."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import nobody_left, pids, wait_for

from bench3dmm.errors import TrainingError
from bench3dmm.record.run import Run
from bench3dmm.runs import claims
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.runs.sweep import sweep

HELPERS = Path(__file__).parents[1] / "helpers"
DATASET = "sphere_sets:sphere_dataset"
MODEL = """
import os, signal, time
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent


class Plain(nn.Module):
    def __init__(self, vertices, latent):
        super().__init__()
        self.down, self.up = nn.Linear(3 * vertices, latent), nn.Linear(latent, 3 * vertices)

    def encode(self, x):
        return self.down(x.flatten(1))

    def decode(self, z):
        return self.up(z).unflatten(1, (-1, 3))

    def forward(self, x):
        return self.decode(self.encode(x))


class Killed(Plain):
    def forward(self, x):
        if self.training:
            with (HERE / "killed").open("a") as file:
                file.write("x")
            if os.environ["KILL"] == "always" or (HERE / "killed").stat().st_size == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Failing(Plain):
    def forward(self, x):
        if self.training:
            raise ZeroDivisionError("nothing to divide by")
        return super().forward(x)


class Slow(Plain):
    def forward(self, x):
        (HERE / f"pid-{os.getpid()}").touch()
        time.sleep(0.1)
        return super().forward(x)


def killed(hierarchy, latent, *, preset):
    return (Killed if latent == 3 else Plain)(hierarchy.sizes[0], latent)


def failing(hierarchy, latent, *, preset):
    return (Failing if latent == 3 else Plain)(hierarchy.sizes[0], latent)


def slow(hierarchy, latent, *, preset):
    return Slow(hierarchy.sizes[0], latent)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the models above."""
    (tmp_path / "at_once.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("at_once", None)


def runs_of(model):
    return [Run(DATASET, model=f"at_once:{model}", latent=d, profile="smoke") for d in (2, 3, 4)]


def stored(runs, folder):
    return [run.latent for run in runs if result_path(run, folder).exists()]


def test_a_run_whose_process_dies_is_tried_once_more_alone(here, monkeypatch):
    monkeypatch.setenv("KILL", "once")
    frame = sweep(runs_of("killed"), "results", "cpu", progress=False, jobs=2)
    assert frame["latent"].tolist() == [2, 3, 4]


def test_one_that_dies_again_costs_its_own_run(here, monkeypatch, capfd):
    monkeypatch.setenv("KILL", "always")
    runs = runs_of("killed")
    with pytest.raises(
        TrainingError, match=rf"(?s)1 of 3 runs failed:.*{runs[1].run_id}.*died \(signal 9\).*too little"
    ):
        sweep(runs, "results", "cpu", jobs=2)
    assert stored(runs, "results") == [2, 4]
    assert (here / "killed").stat().st_size == 2, "it was tried twice"
    assert "[3/3]" in capfd.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_exception_of_any_kind_costs_its_own_run(here, jobs):
    runs = runs_of("failing")
    with pytest.raises(
        TrainingError, match=r"1 of 3 runs failed:\n.*latent=3.*ZeroDivisionError: nothing to divide by"
    ):
        sweep(runs, "results", "cpu", progress=False, jobs=jobs)
    assert stored(runs, "results") == [2, 4]


# --- who is left ------------------------------------------------------------------------------------------------

SWEEP = f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
from bench3dmm.cli import main
from bench3dmm.record.run import Run
from bench3dmm.runs.sweep import sweep
import bench3dmm.papers.registry as registry

runs = [Run("{DATASET}", model="at_once:slow", latent=d, profile="smoke", epochs=1000) for d in (2, 3)]
if __name__ == "__main__":
    import bench3dmm.cli.run as command
    registry.experiment = lambda *_, **__: runs
    sys.argv = ["bench3dmm", "sweep", "paper", "--results-dir", "results", "--jobs", "2"]
    main()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc who is there")
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)]
)
def test_nobody_outlives_a_sweep_that_is_stopped(here, number):
    (here / "stopped.py").write_text(SWEEP)
    process = subprocess.Popen([sys.executable, "stopped.py"], stderr=subprocess.PIPE, text=True)
    assert wait_for(lambda: len(pids(here)) == 2, 120), "both train"
    process.send_signal(number)
    assert nobody_left(here, 10)
    _, said = process.communicate(timeout=20)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "stopped: 0 of 2 runs are stored; the same command goes on" in said and "Traceback" not in said


# --- several sweeps on one folder ---------------------------------------------------------------------------------

SHARED = SWEEP.replace('"2"]', "sys.argv[1]]").replace("epochs=1000", "epochs=6")


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.full), 2])
def test_two_sweeps_on_one_folder_share_the_work(here, jobs):
    """Each run is trained by one of them, and both end with all."""
    (here / "sharing.py").write_text(SHARED)
    both = [
        subprocess.Popen([sys.executable, "sharing.py", str(jobs)], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    results = [load_result(path) for path in Path("results/smoke").glob("*.json")]
    assert len(results) == 2
    assert [len(result.provenance["sittings"]) for result in results] == [1, 1], "nothing was trained twice"
    assert list(Path("results/smoke/.partial").iterdir()) == []


def test_who_slept_through_its_claim_is_left_to_who_took_it_over(here, monkeypatch):
    """Its worker is stopped, another sweep trains the run, and the one that wakes writes nothing."""
    monkeypatch.setattr(claims, "STALE", 1.0)
    (here / "sharing.py").write_text(SHARED.replace("(2, 3)", "(2,)"))
    process = subprocess.Popen([sys.executable, "sharing.py", "1"], stderr=subprocess.PIPE, text=True)
    assert wait_for(lambda: list(Path("results/smoke/.partial").glob("*/checkpoint.safetensors")), 120)
    process.send_signal(signal.SIGSTOP)
    run = Run(DATASET, model="at_once:slow", latent=2, profile="smoke", epochs=6)
    result = execute(run, "results", "cpu", progress=False)
    files = {path: path.stat().st_mtime_ns for path in Path("results/smoke").glob("[!.]*")}
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert "has taken it over and ended while this process slept" in said
    assert files == {path: path.stat().st_mtime_ns for path in Path("results/smoke").glob("[!.]*")}
    assert len(result.provenance["sittings"]) == 2 and list(Path("results/smoke/.partial").iterdir()) == []
