"""Whose code a function or class is: package, version, and its source as it was when it was first asked."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from bench3dmm.system.plugins import declaring, root_of

OWN = "bench3dmm"


def origin(thing: Callable[..., Any]) -> dict[str, str | None] | None:
    """Whose code a function or class is; None for the project's own. Remembered from the first time it is asked."""
    found = _origin(thing)
    return None if found is None else dict(found)


@functools.cache
def _origin(thing: Callable[..., Any]) -> dict[str, str | None] | None:
    module = getattr(thing, "__module__", None) or type(thing).__module__
    if root_of(module) == OWN:
        return None
    file = getattr(sys.modules.get(module), "__file__", None)
    source = Path(file).read_bytes() if file and Path(file).is_file() else None
    package = _distribution(module, file)
    return {
        "package": package.name if package else None,
        "version": package.version if package else None,
        "module": module,
        "source_sha256": hashlib.sha256(source).hexdigest() if source is not None else None,
    }


def _distribution(module: str, file: str | None) -> metadata.Distribution | None:
    """The installed package that a module belongs to: one that declares it here, or has its file."""
    declared = declaring(module)
    if declared or not file:
        return declared
    for name in metadata.packages_distributions().get(root_of(module), ()):
        found = metadata.distribution(name)
        if Path(file).resolve().is_relative_to(Path(str(found.locate_file(""))).resolve()):
            return found
    return None
