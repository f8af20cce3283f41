"""Notebooks that are stopped: their kernel, and what that started, end with the command, which says what is done."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from processes import nobody_left, pids, wait_for
from written_notebooks import write_notebook

from bench3dmm.pages import notebooks

pytest.importorskip("papermill")

PARAMETERS = "profile = ''\nresults_dir = ''\nfigures_dir = ''"
WORKER = """
import os, signal, time
from pathlib import Path

from bench3dmm.system.parallel import end_with_parent


def work(here):
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a sweep's workers do
    (Path(here) / f"pid-{os.getpid()}").touch()
    time.sleep(600)
"""
STUCK = """
import ctypes, multiprocessing, os
from pathlib import Path

from bench3dmm.system.processes import start
from worker import work

here = Path({here!r})
multiprocessing.get_context("spawn").Process(target=work, args=(str(here),)).start()
for pid in (os.getpid(), start(["sleep", "600"]).pid):
    (here / f"pid-{{pid}}").touch()
ctypes.PyDLL(None).sleep(600)  # in C, and no other thread gets its turn
"""
COMMAND = """
import sys

from bench3dmm.cli import main
from bench3dmm.pages import notebooks

if __name__ == "__main__":
    run = notebooks.run_notebooks
    notebooks.run_notebooks = lambda *given, **options: run(*given, folder="notebooks", **options)
    sys.argv = ["bench3dmm", "notebooks", "--output-dir", "out", "--results-dir", "results"]
    main()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc who is there")
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)]
)
def test_nobody_outlives_notebooks_that_are_stopped(tmp_path, monkeypatch, number):
    monkeypatch.setenv("PYTHONPATH", str(notebooks.FOLDER.parent))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "worker.py").write_text(WORKER)
    (tmp_path / "command.py").write_text(COMMAND)
    write_notebook(tmp_path / "notebooks" / "00_done.ipynb", PARAMETERS, "print('done')")
    write_notebook(tmp_path / "notebooks" / "01_stuck.ipynb", PARAMETERS, STUCK.format(here=str(tmp_path)))
    process = subprocess.Popen([sys.executable, "command.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert wait_for(lambda: len(pids(tmp_path)) == 3, 60), "the kernel, a worker and a program of its own"
    finally:
        process.send_signal(number)
    assert nobody_left(tmp_path, 5)
    _, said = process.communicate(timeout=20)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"00_done.html", "00_done.ipynb", "01_stuck.ipynb"}
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "stopped: 1 of 2 notebooks are done; the same command goes on" in said
        assert "Traceback" not in said and "never retrieved" not in said, said
