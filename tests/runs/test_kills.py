"""Sweeps that are stopped again and again, at moments that chance gives, end with what an undisturbed one ends with.

``BENCH3DMM_STOPS`` says how often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import nobody_left

from bench3dmm.runs.results import load_result

HELPERS = Path(__file__).parents[1] / "helpers"
MODEL = """
import os, time
from pathlib import Path

from broken_models import Whole

HERE = Path(__file__).parent


class Slow(Whole):
    def forward(self, x):
        (HERE / f"pid-{os.getpid()}").touch()
        time.sleep(0.05)
        return super().forward(x)


def build(hierarchy, latent, *, preset):
    return Slow(hierarchy.sizes[0], latent)
"""
EPOCHS = 80
SWEEP = f"""
import sys
sys.path[:0] = [{str(HELPERS)!r}]
from bench3dmm.cli import main
from bench3dmm.record.grid import grid
import bench3dmm.papers.registry as registry

if __name__ == "__main__":
    shared = dict(dataset="sphere_sets:sphere_dataset", model="slow_model:build", profile="smoke", epochs={EPOCHS})
    runs = grid(**shared, latent=[2, 3, 4, 5, 6])
    registry.experiment = lambda *_, **__: runs
    sys.argv = ["bench3dmm", "sweep", "paper", "--results-dir", sys.argv[1], "--jobs", "2"]
    main()
"""
MOST = int(os.environ.get("BENCH3DMM_STOPS", "10"))
STOPS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc who is there")
def test_sweeps_stopped_again_and_again_end_as_an_undisturbed_one(tmp_path):
    """One sweep, or two on one folder, of which each stop takes one or both."""
    (tmp_path / "slow_model.py").write_text(MODEL)
    (tmp_path / "sweeps.py").write_text(SWEEP)
    began = time.monotonic()
    assert start(tmp_path, "whole").wait(300) == 0
    seconds = time.monotonic() - began
    chance, stops, rounds = random.Random(0), 0, 0
    while stops < MOST:
        folder = f"stopped-{rounds}"
        stops += stopped_again_and_again(tmp_path, folder, chance, seconds, MOST - stops)
        assert_equal(tmp_path / "whole", tmp_path / folder)
        rounds += 1
    print(f"{stops} stops in {rounds} rounds")


def stopped_again_and_again(here, folder, chance, seconds, most):
    """Sweep into a folder until everything is stored; how often that was stopped."""
    stops, stored = 0, {}
    while True:
        processes = [start(here, folder) for _ in range(chance.choice((1, 2)))]
        end = time.monotonic() + chance.uniform(0.15, 0.5) * seconds
        while time.monotonic() < end and any(one.poll() is None for one in processes):
            time.sleep(0.02)
        running = [one for one in processes if one.poll() is None]
        if not running:
            break
        if stops < most:
            for one in chance.sample(running, chance.randint(1, len(running))):
                one.send_signal(STOPS[stops % 3])
                stops += 1
                one.wait(20)
        if not any(one.poll() is None for one in processes):
            assert nobody_left(here, 10)
        for one in processes:
            assert one.wait(300) in (0, 130, -signal.SIGKILL)
        for path, when in stored.items():
            assert path.stat().st_mtime_ns == when, "what was stored is left alone"
        stored = {path: path.stat().st_mtime_ns for path in (here / folder / "smoke").glob("*.json")}
    assert start(here, folder).wait(300) == 0
    return stops


def assert_equal(undisturbed, stopped):
    whole, other = (sorted((folder / "smoke").glob("*.json")) for folder in (undisturbed, stopped))
    assert [path.name for path in whole] == [path.name for path in other] and len(whole) == 5
    for one, again in zip(map(load_result, whole), map(load_result, other), strict=True):
        assert one.metrics == again.metrics
        assert one.provenance["tensors_sha256"] == again.provenance["tensors_sha256"]
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, again.arrays[name])
        sittings = again.provenance["sittings"]
        assert [sitting["first_epoch"] for sitting in sittings] == [1, *(1 + a["last_epoch"] for a in sittings[:-1])]
        assert sittings[-1]["last_epoch"] == EPOCHS, "no epoch was trained twice"
    assert [path.name for path in (stopped / "smoke" / ".partial").iterdir()] == [], "no claim, no checkpoint is left"


def start(folder, results):
    log = (folder / "log").open("a")
    return subprocess.Popen([sys.executable, "sweeps.py", results], cwd=folder, stdout=log, stderr=log)
