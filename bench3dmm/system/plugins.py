"""Models, datasets and tasks of somebody else's package: found through an entry point, or by their import path.

An entry point is the published way: a package declares, in the group ``bench3dmm.models``, ``bench3dmm.datasets`` or
``bench3dmm.tasks``, a name and where the object is. Nothing is imported before that name is asked for, so a package
that is broken harms nobody who does not ask. ``my_module:build``, for an object in no installed package, is found in
the working directory too; it stays the name in the run, so that processes started later find the same.
"""

from __future__ import annotations

import functools
import importlib
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from bench3dmm.errors import PluginError

MODELS, DATASETS, TASKS = "bench3dmm.models", "bench3dmm.datasets", "bench3dmm.tasks"

KINDS = {MODELS: "model", DATASETS: "dataset", TASKS: "task"}
EXAMPLES = {MODELS: "my_module:build", DATASETS: "my_module:load", TASKS: "my_module:TASK"}


def is_import_path(name: str) -> bool:
    """Whether a name says where its object is, as ``my_module:build`` does."""
    return ":" in name


def declared_names(group: str) -> list[str]:
    """Names that installed packages declare in a group, without importing anything."""
    return sorted({point.name for point in declared(group)})


def load(group: str, name: str) -> Any:
    """The object that an import path or a declared entry point stands for.

    Raises:
        PluginError: it cannot be imported, naming package and reason; or two packages declare the name.
    """
    if is_import_path(name):
        return _from_path(group, name)
    points = [point for point in declared(group) if point.name == name]
    if len(points) != 1:
        whose = " and ".join(sorted(package_of(point) for point in points))
        raise PluginError(f"{KINDS[group]} {name!r} is declared by {whose}: uninstall one of them")
    try:
        return points[0].load()
    except (Exception, SystemExit) as error:  # whatever somebody else's module raises
        raise PluginError(
            f"{KINDS[group]} {name!r}: {package_of(points[0])} cannot be imported ({_reason(error)}); "
            "mend or uninstall that package"
        ) from error


def check_free(group: str, name: str, module: str | None = None) -> None:
    """Refuse a name that is taken and that an installed package declares too.

    Args:
        module: where the object that has the name comes from, if from elsewhere than this project.

    Raises:
        PluginError: naming the packages.
    """
    for point in declared(group):
        if point.name == name and (module is None or root_of(point.module) != root_of(module)):
            whose = "this project's own" if module is None else f"registered by {module}"
            raise PluginError(
                f"{KINDS[group]} {name!r} is {whose}, and {package_of(point)} declares it too: rename it there, or "
                "uninstall that package"
            )


def package_of(point: metadata.EntryPoint) -> str:
    """The distribution that declares an entry point, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def declared_by(group: str, name: str) -> str:
    """The packages that declare a name, with their versions; empty where none does."""
    return ", ".join(package_of(point) for point in declared(group) if point.name == name)


def declaring(module: str) -> metadata.Distribution | None:
    """The installed package that declares, in any group, something in a module's top-level package."""
    points = (point for group in KINDS for point in declared(group))
    return next((point.dist for point in points if point.dist and root_of(point.module) == root_of(module)), None)


def root_of(module: str) -> str:
    """The top-level package of a module, by name."""
    return module.partition(".")[0]


# --- finding ----------------------------------------------------------------------------------------------------


def declared(group: str) -> list[metadata.EntryPoint]:
    """What installed packages declare in a group."""
    return _declared_on(group, tuple(sys.path))


@functools.cache
def _declared_on(group: str, path: tuple[str, ...]) -> list[metadata.EntryPoint]:
    """The entry points that installed packages declare; the path is asked for so that a change of it is seen."""
    return list(metadata.entry_points(group=group))


def _from_path(group: str, name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    kind = KINDS[group]
    if not all(part.isidentifier() for part in [*module_name.split("."), *attribute.split(".")]):
        raise PluginError(f"{kind} {name!r}: an import path is MODULE:NAME, such as {EXAMPLES[group]}")
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)  # as for `python -m`; and it stays, for what the module imports later
    importlib.invalidate_caches()  # the file may have been written a moment ago
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever somebody else's module raises
        raise PluginError(f"{kind} {name!r}: {module_name} cannot be imported ({_reason(error)})") from error
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            where = getattr(module, "__file__", None) or module_name
            raise PluginError(f"{kind} {name!r}: {where} has no {attribute!r}")
        found = getattr(found, part)
    return found


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0].strip()
