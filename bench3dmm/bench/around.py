"""What is around a training step: import, start-up, hierarchy and spirals, evaluation."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from bench3dmm.bench.worker import in_process
from bench3dmm.data.registry import load_dataset
from bench3dmm.system.processes import start

EVALUATED = 2000  # meshes


def around(device: str) -> dict[str, float]:
    """Seconds of each; the data of ``bench3dmm run`` is in the cache before its clock starts."""
    load_dataset("mh-scan")
    hierarchy = in_process("hierarchy", mesh="mh-scan")
    return {
        "import_s": min(_seconds("-c", "import bench3dmm") for _ in range(5)),
        "help_s": min(_seconds("-m", "bench3dmm", "--help") for _ in range(3)),
        "run_to_first_epoch_s": min(_to_first_epoch(device) for _ in range(3)),
        "hierarchy_and_spirals_s": hierarchy["build_s"],
        "hierarchy_and_spirals_cached_s": hierarchy["cached_s"],
        "evaluated_meshes": EVALUATED,
        "evaluation_s": in_process("evaluation", mesh="mh-scan", meshes=EVALUATED, device=device)["seconds"],
    }


def _seconds(*arguments: str) -> float:
    started = time.perf_counter()
    command = [sys.executable, *arguments]
    subprocess.run(command, check=True, capture_output=True)  # noqa: TID251  nothing else is timed; it ends soon
    return time.perf_counter() - started


def _to_first_epoch(device: str) -> float:
    """Until ``bench3dmm run`` says what it trains, which is when the first epoch begins."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench3dmm", "run", "--dataset", "mh-scan", "--profile", "smoke"]
        started = time.perf_counter()
        with start(
            [*command, "--device", device, "--results-dir", folder], stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None  # a pipe, as asked for
            process.stderr.readline()
            seconds = time.perf_counter() - started
            process.terminate()
            process.stderr.read()
    return seconds
