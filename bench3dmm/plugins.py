"""Models and datasets of somebody else's package: found through an entry point, or named by their import path.

An entry point is the published way: a package declares, in the group ``bench3dmm.models`` or ``bench3dmm.datasets``,
a name and where the object is. Nothing is imported before that name is asked for, so a package that is broken harms
nobody who does not ask. ``my_module:build``, for an object in no installed package, is found in the working directory
too; it stays the name in the run, so that processes started later find the same.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import PluginError, UnknownNameError

if TYPE_CHECKING:
    from bench3dmm.run import Run

MODELS, DATASETS = "bench3dmm.models", "bench3dmm.datasets"
KINDS = {MODELS: "model", DATASETS: "dataset"}
OWN = "bench3dmm"


def is_import_path(name: str) -> bool:
    """Whether a name says where its object is, as ``my_module:build`` does."""
    return ":" in name


def declared_names(group: str) -> list[str]:
    """Names that installed packages declare in a group, without importing anything."""
    return sorted({point.name for point in _declared(group)})


def load(group: str, name: str) -> Any:
    """The object that an import path or a declared entry point stands for.

    Raises:
        PluginError: it cannot be imported, naming package and reason; or two packages declare the name.
    """
    if is_import_path(name):
        return _from_path(group, name)
    points = [point for point in _declared(group) if point.name == name]
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
    for point in _declared(group):
        if point.name == name and (module is None or _root(point.module) != _root(module)):
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
    return ", ".join(package_of(point) for point in _declared(group) if point.name == name)


# --- whose code it was ------------------------------------------------------------------------------------------


def origin_of_model(name: str) -> dict[str, str | None] | None:
    """Whose code a model is, for the provenance of its results; None for the project's own.

    Returns:
        ``package`` and ``version`` of the installed distribution, or None where there is none; ``module``; and
        ``source_sha256`` of that module's file as it was when the model was loaded, None where it has no file.

    Raises:
        UnknownNameError, PluginError: no such model.
    """
    from bench3dmm.models import model_origin

    return model_origin(name)


def origin_of_dataset(name: str) -> dict[str, str | None] | None:
    """Whose code loads a dataset, as `origin_of_model`; None for the project's own, and for one that is not here."""
    from bench3dmm.data import foreign_loader

    loader = foreign_loader(name)
    return None if loader is None else origin(loader)


def origins(run: Run) -> dict[str, dict[str, str | None]]:
    """What a result's provenance says of somebody else's code: ``model_origin`` and ``dataset_origin``, each where it
    is not the project's own."""
    found = {"model_origin": origin_of_model(run.model), "dataset_origin": origin_of_dataset(run.dataset)}
    return {key: whose for key, whose in found.items() if whose is not None}


def changed_since(model: str, provenance: Mapping[str, Any]) -> bool:
    """Whether somebody else's model is not the one, by version and source, that a result was made with; False where
    the model is not here to compare with."""
    try:
        return origin_of_model(model) != provenance.get("model_origin")
    except (PluginError, UnknownNameError):
        return False


def origin(thing: Callable[..., Any]) -> dict[str, str | None] | None:
    """Whose code a function or class is; None for the project's own. Remembered from the first time it is asked."""
    found = _origin(thing)
    return None if found is None else dict(found)


@functools.cache
def _origin(thing: Callable[..., Any]) -> dict[str, str | None] | None:
    module = getattr(thing, "__module__", None) or type(thing).__module__
    if _root(module) == OWN:
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
    for group in KINDS:
        for point in _declared(group):
            if _root(point.module) == _root(module) and point.dist:
                return point.dist
    if not file:
        return None
    for name in metadata.packages_distributions().get(_root(module), ()):
        found = metadata.distribution(name)
        if Path(file).resolve().is_relative_to(Path(str(found.locate_file(""))).resolve()):
            return found
    return None


# --- finding ----------------------------------------------------------------------------------------------------


def _declared(group: str) -> list[metadata.EntryPoint]:
    return _declared_on(group, tuple(sys.path))


@functools.cache
def _declared_on(group: str, path: tuple[str, ...]) -> list[metadata.EntryPoint]:
    """The entry points that installed packages declare; the path is asked for so that a change of it is seen."""
    return list(metadata.entry_points(group=group))


def _from_path(group: str, name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    kind = KINDS[group]
    if not all(part.isidentifier() for part in [*module_name.split("."), *attribute.split(".")]):
        example = "my_module:build" if group == MODELS else "my_module:load"
        raise PluginError(f"{kind} {name!r}: an import path is MODULE:NAME, such as {example}")
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


def _root(module: str) -> str:
    return module.partition(".")[0]
