"""Sweeps that are stopped again and again, at moments that chance gives, end with what an undisturbed one ends with.

``BENCH3DMM_STOPS`` says how often, ``BENCH3DMM_CHANCE`` is the seed.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import wait_for

from bench3dmm.runs.results import load_result
from bench3dmm.system.storage import hash_file

HELPERS = Path(__file__).parents[1] / "helpers"
MODEL = """
import time

from broken_models import Whole


class Slow(Whole):
    def forward(self, x):
        time.sleep(0.02)
        return super().forward(x)


def build(hierarchy, latent, *, preset):
    return Slow(hierarchy.sizes[0], latent)
"""
EPOCHS, LATENT = 60, [2, 3, 4, 5, 6]
SWEEP = f"""
import sys
sys.path[:0] = [{str(HELPERS)!r}]
from bench3dmm.cli import main
from bench3dmm.record.grid import grid
import bench3dmm.papers.registry as registry

if __name__ == "__main__":
    shared = dict(dataset="sphere_sets:sphere_dataset", model="slow_model:build", profile="smoke", epochs={EPOCHS})
    runs = grid(**shared, latent={LATENT})
    registry.experiment = lambda *_, **__: runs
    sys.argv = ["bench3dmm", "sweep", "paper", "--results-dir", sys.argv[1], "--jobs", sys.argv[2]]
    main()
"""
MOST = int(os.environ.get("BENCH3DMM_STOPS", "10"))
SEED = int(os.environ.get("BENCH3DMM_CHANCE", "0"))
KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc who is there")
def test_sweeps_stopped_again_and_again_end_as_an_undisturbed_one(tmp_path):
    """One sweep, or two on one folder; a stop is of a whole sweep, of one of its processes, or of the group, as Ctrl-C
    is; half of them as a file is written."""
    (tmp_path / "slow_model.py").write_text(MODEL)
    (tmp_path / "sweeps.py").write_text(SWEEP)
    with stopping(tmp_path) as stops:
        whole = stops.start("whole", 2)
        assert whole.wait(300) == 0
        rounds = 0
        while stops.count < MOST:
            folder = f"stopped-{rounds}"
            sweep_with(stops, folder)
            assert_equal(tmp_path / "whole", tmp_path / folder)
            rounds += 1
        assert stops.count == MOST
    print(f"\nseed {SEED}: {stops.count} stops in {rounds} rounds: {dict(stops.kinds)}")


def sweep_with(stops, folder):
    """Sweep into a folder until everything is stored, stopped again and again meanwhile."""
    stored = {}
    while True:
        sweeps = [stops.start(folder, stops.chance.randint(1, 2)) for _ in range(stops.chance.choice((1, 1, 2)))]
        stops.wait(folder, sweeps)
        running = [one for one in sweeps if one.poll() is None]
        if running and stops.count < MOST:
            stops.stop(stops.chance.choice(running))
        if stops.chance.random() < 0.5:  # the other goes on, or is stopped too
            for one in sweeps:
                if one.poll() is None and stops.count < MOST:
                    stops.stop(one)
        codes = [one.wait(300) for one in sweeps]
        assert wait_for(lambda: not inhabitants(stops.here), 10), inhabitants(stops.here)
        for path, content in stored.items():
            assert hash_file(path) == content, "what was stored is left alone"
        stored = {path: hash_file(path) for path in (stops.here / folder / "smoke").glob("*.json")}
        if len(stored) == len(LATENT) and 0 in codes:
            return


class Stops:
    """Starts sweeps and stops them."""

    def __init__(self, here):
        self.here, self.chance, self.count = here, random.Random(SEED), 0
        self.kinds = collections.Counter()
        self.started = []

    def start(self, folder, jobs):
        log = self.here / f"log-{len(self.started)}"
        with log.open("w") as file:
            command = [sys.executable, "sweeps.py", folder, str(jobs)]
            process = subprocess.Popen(command, cwd=self.here, stdout=file, stderr=file, start_new_session=True)
        process.log = log
        self.started.append(process)
        return process

    def wait(self, folder, sweeps):
        """For a moment that chance gives, half of the times the next after it in which a file is written."""
        end = time.monotonic() + self.chance.uniform(0, 12)
        writing = self.chance.random() < 0.5
        while any(one.poll() is None for one in sweeps):
            late = time.monotonic() - end
            if late > 20 or (late > 0 and (not writing or any((self.here / folder).rglob("*.tmp")))):
                return
            time.sleep(0.001)

    def stop(self, sweep):
        kind, number = self.chance.choice(("sweep", "sweep", "process", "group")), self.chance.choice((KILL, TERM, INT))
        workers = children(sweep.pid) if kind == "process" else []
        self.count += 1
        self.kinds[f"worker {KILL.name}" if workers else f"{kind} {number.name}"] += 1
        if kind == "group":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(sweep.pid, number)
        elif workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(workers), KILL)
            return  # the sweep goes on
        else:
            sweep.send_signal(number)
        code = sweep.wait(30)
        said = sweep.log.read_text()
        if "runs are stored" in said and number != KILL and code != 0:
            assert code == 130 and "the same command goes on" in said and "Traceback" not in said, said


@contextlib.contextmanager
def stopping(here):
    stops = Stops(here)
    try:
        yield stops
    finally:
        for process in stops.started:
            process.kill()
            process.wait()


def inhabitants(folder):
    """Processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder and (entry / "stat").read_text().rpartition(")")[2].split()[
                0
            ] != "Z":
                found.append(int(entry.name))
    return found


def children(pid):
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def assert_equal(undisturbed, stopped):
    whole, other = (sorted((folder / "smoke").glob("*.json")) for folder in (undisturbed, stopped))
    assert [path.name for path in whole] == [path.name for path in other] and len(whole) == len(LATENT)
    for path, one, again in zip(whole, map(load_result, whole), map(load_result, other), strict=True):
        assert one.metrics == again.metrics and one.arrays.keys() == again.arrays.keys()
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, again.arrays[name])
        weights = (folder / "smoke" / path.with_suffix(".safetensors").name for folder in (undisturbed, stopped))
        assert len({hash_file(file) for file in weights}) == 1
        sittings = again.provenance["sittings"]
        assert [sitting["first_epoch"] for sitting in sittings] == [1, *(1 + a["last_epoch"] for a in sittings[:-1])]
        assert sittings[-1]["last_epoch"] == EPOCHS, "no epoch was trained twice"
    assert [path.name for path in (stopped / "smoke" / ".partial").glob("[!.]*")] == [], "no claim, no checkpoint"
