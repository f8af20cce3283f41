"""What of a machine is written down, and memory that is a run's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench3dmm.system import machine
from bench3dmm.system.checkout import ROOT

CPU = torch.device("cpu")


@pytest.fixture
def no_job(monkeypatch):
    for name in machine.JOBS:
        monkeypatch.delenv(name, raising=False)


def test_processor_and_libraries_are_named(no_job):
    found = machine.machine(CPU)
    assert set(found) == {"host", "cpu", "capability", "libraries", "torch_blas"}
    assert found["capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["cpu"] and found["host"] and json.dumps(found)
    assert any("thread" in line for line in found["libraries"])


@pytest.mark.parametrize("name", machine.JOBS)
def test_a_scheduler_s_job_is_named(no_job, monkeypatch, name):
    monkeypatch.setenv(name, "4711")
    assert machine.machine(CPU)["job"] == "4711"


def test_a_driver_that_nobody_tells_of_is_none(monkeypatch):
    machine.driver.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert machine.driver() is None
    machine.driver.cache_clear()


def test_sources_are_those_of_the_package(tmp_path, monkeypatch):
    machine.sources_sha256.cache_clear()
    here = machine.sources_sha256()
    (tmp_path / "bench3dmm" / "a").mkdir(parents=True)
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    seen = {here}
    for name, text in (("b.py", "x = 1"), ("b.py", "x = 2"), ("a/b.py", "x = 1"), ("c.txt", "no source")):
        (tmp_path / "bench3dmm" / name).write_text(text)
        machine.sources_sha256.cache_clear()
        seen.add(machine.sources_sha256())
    assert len(seen) == 4, "three states, besides this package's; a text is none"
    machine.sources_sha256.cache_clear()


@pytest.mark.skipif(not machine.CLEAR_REFS.exists(), reason="a peak is counted anew on Linux alone")
def test_a_peak_is_of_what_comes_after_its_start():
    program = (
        "import numpy as np, torch\n"
        "from bench3dmm.system.machine import peak_memory_mb, start_peak_memory\n"
        "cpu = torch.device('cpu')\n"
        "before = peak_memory_mb(cpu)\n"
        "np.ones(50_000_000)\n"
        "high = peak_memory_mb(cpu)\n"
        "assert start_peak_memory(cpu)\n"
        "print(before, high, peak_memory_mb(cpu))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    before, high, after = map(float, done.stdout.split())
    assert high > before + 390 and after < before + 50


def test_where_the_system_tells_nothing_memory_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(machine, "CLEAR_REFS", Path("/nowhere/clear_refs"))
    monkeypatch.setattr(machine, "STATUS", Path("/nowhere/status"))
    assert not machine.start_peak_memory(CPU)
    assert machine.peak_memory_mb(CPU) > 10
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert machine.peak_memory_mb(CPU) == 0
