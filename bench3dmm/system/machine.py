"""What of a machine can change a number, or a time: its processor, libraries, card and scheduler."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.system.checkout import ROOT
from bench3dmm.system.processes import run

if TYPE_CHECKING:
    import torch

JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
"""Where schedulers (Slurm, PBS, LSF, Grid Engine) say which job a process belongs to."""
CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESET_PEAK = "5"  # of a process, see proc(5)


def machine(device: torch.device) -> dict[str, Any]:
    """Host, processor with the instructions that torch uses, linear algebra with its threads; of a GPU also driver,
    CUDA and cuDNN; the scheduler's job, where there is one."""
    import torch

    found: dict[str, Any] = {
        "host": platform.node(),
        "cpu": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "libraries": libraries(),
        "torch_blas": _torch_blas(),
    }
    if device.type == "cuda":
        found["gpu"] = {"driver": driver(), "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    if job := scheduler_job():
        found["job"] = job
    return found


def scheduler_job() -> str | None:
    """Of `JOBS`, where this process belongs to one."""
    return next((os.environ[name] for name in JOBS if os.environ.get(name)), None)


def processor() -> str:
    """The CPU's model, as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return model or platform.processor() or platform.machine()


def libraries() -> list[str]:
    """Linear algebra and threads that are loaded: ``openblas 0.3.30 Haswell, 2 threads``."""
    import threadpoolctl

    lines = []
    for one in threadpoolctl.threadpool_info():
        named = (one["internal_api"], one.get("version"), one.get("architecture"))
        threads = one["num_threads"]
        lines.append(f"{' '.join(filter(None, named))}, {threads} {'thread' if threads == 1 else 'threads'}")
    return sorted(set(lines))


def _torch_blas() -> str:
    """Which linear algebra torch was built with, and so may hold inside itself: ``mkl 2024.2``."""
    import torch

    built = torch.__config__.show()
    name = re.search(r"BLAS_INFO=(\w+)", built)
    version = re.search(r"Math Kernel Library Version (\S+?)-", built)
    return " ".join(found[1] for found in (name, version) if found) or "unknown"


@functools.cache
def driver() -> str | None:
    """The version of NVIDIA's driver; None where nothing tells."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.partition("\n")[0].strip() or None


@functools.cache
def sources_sha256() -> str:
    """Of this package's modules, as they were when this was first asked: what ran, also where there is no git."""
    digest = hashlib.sha256()
    package = ROOT / "bench3dmm"
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# --- memory -----------------------------------------------------------------------------------------------------


def start_peak_memory(device: torch.device) -> bool:
    """From now on, `peak_memory_mb` is of what comes. Whether this system can do that for a process."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory of the GPU's allocator, or of this process (0 on Windows, which does not tell); since
    `start_peak_memory`, where the system can do that, else so far."""
    import sys

    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        if peak := next((line for line in lines if line.startswith("VmHWM:")), None):
            return int(peak.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
