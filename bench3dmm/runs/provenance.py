"""What a result should say about where it comes from."""

from __future__ import annotations

import contextlib
import datetime
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.data.registry import foreign_loader
from bench3dmm.errors import PluginError, UnknownNameError
from bench3dmm.models.registry import model_origin
from bench3dmm.system import processes
from bench3dmm.system.checkout import ROOT
from bench3dmm.system.device import device_name
from bench3dmm.system.machine import machine, peak_memory_mb, processor, scheduler_job, sources_sha256
from bench3dmm.system.origin import origin
from bench3dmm.system.version import __version__
from bench3dmm.tasks.registry import task_origin

if TYPE_CHECKING:
    import torch

    from bench3dmm.record.run import Run

LIBRARIES = ("numpy", "scipy", "torch")


# --- whose code it was ------------------------------------------------------------------------------------------


def origin_of_model(name: str) -> dict[str, str | None] | None:
    """Whose code a model is, for the provenance of its results; None for the project's own.

    Returns:
        ``package`` and ``version`` of the installed distribution, or None where there is none; ``module``; and
        ``source_sha256`` of that module's file as it was when the model was loaded, None where it has no file.

    Raises:
        UnknownNameError, PluginError: no such model.
    """
    return model_origin(name)


def origin_of_dataset(name: str) -> dict[str, str | None] | None:
    """Whose code loads a dataset, as `origin_of_model`; None for the project's own, and for one that is not here."""
    loader = foreign_loader(name)
    return None if loader is None else origin(loader)


def origins(run: Run) -> dict[str, dict[str, str | None]]:
    """What a result's provenance says of somebody else's code: ``model_origin``, ``dataset_origin`` and
    ``task_origin``, each where it is not the project's own."""
    found = {
        "model_origin": origin_of_model(run.model),
        "dataset_origin": origin_of_dataset(run.dataset),
        "task_origin": task_origin(run.task),
    }
    return {key: whose for key, whose in found.items() if whose is not None}


def changed_since(run: Run, provenance: Mapping[str, Any]) -> str:
    """The model or task of somebody else's that is not the one, by version and source, that a result was made with;
    empty where both are, and where one is not here to compare with."""
    for name, key, origin_of in ((run.model, "model_origin", origin_of_model), (run.task, "task_origin", task_origin)):
        with contextlib.suppress(PluginError, UnknownNameError):
            if origin_of(name) != provenance.get(key):
                return name
    return ""


# --- where it was trained -----------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """This package's, Python's and the numerical libraries'."""
    return {
        "bench3dmm": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, commit and sources, device and machine, threads, peak memory (MB, of this process or its GPU, since
    `bench3dmm.system.machine.start_peak_memory`) and date (UTC)."""
    import torch

    return {
        "versions": versions(),
        "git": git_state(),
        "sources_sha256": sources_sha256(),
        "device": device_name(device),
        "machine": machine(device),
        "threads": torch.get_num_threads(),
        "peak_memory_mb": round(peak_memory_mb(device)),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def sitting(device: torch.device) -> dict[str, Any]:
    """Who trains now, for a run's list of sittings: host, processor, device, threads, job, commit and date (UTC)."""
    import torch

    job, commit = scheduler_job(), git_state()
    return {
        "host": platform.node(),
        "cpu": processor(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        **({"job": job} if job else {}),
        **({"commit": commit["commit"]} if commit else {}),
        "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


@cache
def git_state() -> dict[str, Any] | None:
    """Commit and whether files differ from it, if the package is imported from its own repository."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        done = processes.run(command, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "bench3dmm"))}
    except (OSError, subprocess.SubprocessError):
        return None
