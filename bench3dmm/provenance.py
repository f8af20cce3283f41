"""What a result should say about where it comes from."""

from __future__ import annotations

import datetime
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bench3dmm

if TYPE_CHECKING:
    import torch

LIBRARIES = ("numpy", "scipy", "torch")


def versions() -> dict[str, str]:
    """This package's, Python's and the numerical libraries'."""
    return {
        "bench3dmm": bench3dmm.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, commit, device, threads, peak memory (MB, of this process or its GPU, so far) and date (UTC)."""
    import torch

    from bench3dmm.device import device_name, peak_memory_mb

    return {
        "versions": versions(),
        "git": git_state(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "peak_memory_mb": round(peak_memory_mb(device)),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


@cache
def git_state() -> dict[str, Any] | None:
    """Commit and whether files differ from it, if the package is imported from its own repository."""
    root = Path(bench3dmm.__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "bench3dmm"))}
    except (OSError, subprocess.SubprocessError):
        return None
