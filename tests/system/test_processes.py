"""What this project starts ends with it."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import pytest
from processes import nobody_left, pids, wait_for

from bench3dmm.system.checkout import ROOT
from bench3dmm.system.processes import run, start, with_parent

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux kills with the parent")


def test_a_program_is_what_it_was():
    program = "import sys; print(sys.argv[1:], input()); sys.exit(3)"
    done = run([sys.executable, "-c", program, "a b", "-I"], capture_output=True, text=True, input="said")
    assert (done.returncode, done.stdout, done.stderr) == (3, "['a b', '-I'] said\n", "")
    assert run(["no-such-program"], capture_output=True).returncode == 1
    with start(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate("said")[0] == "said"


def test_a_program_whose_parent_has_ended_meanwhile_does_not_begin(tmp_path):
    command = shlex.join(with_parent(["touch", str(tmp_path / "begun")]))
    assert subprocess.run(["sh", "-c", f"{command}; exit $?"]).returncode == 1
    assert not (tmp_path / "begun").exists()


STUCK = """
import ctypes, multiprocessing, os, sys
from pathlib import Path

from bench3dmm.system.parallel import end_with_parent
from bench3dmm.system.processes import start

HERE = Path(__file__).parent


def stuck():
    end_with_parent()
    (HERE / f"pid-{os.getpid()}").touch()
    ctypes.PyDLL(None).sleep(600)  # in C, and no other thread gets its turn


if __name__ == "__main__":
    worker = multiprocessing.get_context("spawn").Process(target=stuck)
    worker.start()
    (HERE / f"pid-{start(['sleep', '600']).pid}").touch()
    worker.join()
"""


def test_programs_and_workers_are_gone_when_their_parent_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "starts.py").write_text(STUCK)
    process = subprocess.Popen([sys.executable, tmp_path / "starts.py"])
    assert wait_for(lambda: len(pids(tmp_path)) == 2, 60)
    process.send_signal(signal.SIGKILL)
    assert nobody_left(tmp_path, 5)
    process.wait(5)
