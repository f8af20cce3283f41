"""A sweep that is stopped again and again, at moments that chance gives, ends with what an undisturbed one ends with.

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
SWEEP = f"""
import sys
sys.path[:0] = [{str(HELPERS)!r}]
from bench3dmm.cli import main
from bench3dmm.record.grid import grid
import bench3dmm.papers.registry as registry

if __name__ == "__main__":
    shared = dict(dataset="sphere_sets:sphere_dataset", model="slow_model:build", profile="smoke", epochs=80)
    runs = grid(**shared, latent=[2, 3, 4, 5, 6])
    registry.experiment = lambda *_, **__: runs
    sys.argv = ["bench3dmm", "sweep", "paper", "--results-dir", sys.argv[1], "--jobs", "2"]
    main()
"""
MOST = int(os.environ.get("BENCH3DMM_STOPS", "10"))
STOPS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc who is there")
def test_a_sweep_stopped_again_and_again_ends_as_an_undisturbed_one(tmp_path):
    (tmp_path / "slow_model.py").write_text(MODEL)
    (tmp_path / "sweeps.py").write_text(SWEEP)
    began = time.monotonic()
    assert start(tmp_path, "whole").wait(300) == 0
    seconds = time.monotonic() - began
    chance, stops = random.Random(0), 0
    while stops < MOST:
        process = start(tmp_path, "stopped")
        try:
            assert process.wait(chance.uniform(0.15, 0.4) * seconds) == 0
            break
        except subprocess.TimeoutExpired:
            process.send_signal(STOPS[stops % 3])
            stops += 1
            process.wait(20)
            assert nobody_left(tmp_path, 10)
    assert start(tmp_path, "stopped").wait(300) == 0
    assert stops >= 3
    whole, stopped = (sorted((tmp_path / name / "smoke").glob("*.json")) for name in ("whole", "stopped"))
    assert [path.name for path in whole] == [path.name for path in stopped] and len(whole) == 5
    for one, other in zip(map(load_result, whole), map(load_result, stopped), strict=True):
        assert one.metrics == other.metrics
        assert one.provenance["tensors_sha256"] == other.provenance["tensors_sha256"]
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, other.arrays[name])
    print(f"{stops} stops")


def start(folder, results):
    log = (folder / "log").open("a")
    return subprocess.Popen([sys.executable, "sweeps.py", results], cwd=folder, stdout=log, stderr=log)
