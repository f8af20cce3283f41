"""Models by name: the project's own, and those of somebody else's package. What a model is: `bench3dmm.models`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import Bench3dmmError, PluginError, UnknownNameError
from bench3dmm.record.run import Run
from bench3dmm.system import plugins
from bench3dmm.system.origin import origin

if TYPE_CHECKING:
    from torch import nn

    from bench3dmm.mesh.hierarchy import Hierarchy
    from bench3dmm.mesh.template import Template


@dataclass(frozen=True)
class _Entry:
    build: Callable[..., nn.Module]
    presets: tuple[str, ...]
    training: Mapping[str, Mapping[str, Any]]  # by task
    closed_form: bool
    needs_hierarchy: bool
    summary: str
    origin: dict[str, str | None] | None  # see `bench3dmm.system.origin.origin`


_REGISTRY: dict[str, _Entry] = {}


def register(
    name: str,
    presets: tuple[str, ...] = ("paper",),
    training: Mapping[str, Any] | None = None,
    *,
    closed_form: bool = False,
    needs_hierarchy: bool = True,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
):
    """Decorator: make ``build(hierarchy, latent, *, preset)`` known under ``name``.

    Args:
        training: what the model was published with, where that differs from `bench3dmm.record.run.Run`'s defaults:
            optimizer, learning_rate, learning_rate_decay, weight_decay, batch_size, schedule, final_learning_rate,
            warm_up.
        closed_form: it is fitted without chance, so that all seeds are one.
        needs_hierarchy: False for one that works on the template alone: nothing is decimated for it, and its hierarchy
            has one level.
        tasks: those besides reconstruction that it takes part in, with the training of each.

    Raises:
        PluginError: the name is taken, or looks like an import path.
    """

    def add(build):
        whose = origin(build)
        if whose:
            _import_own()  # so that nobody takes a name of the project's own
        if plugins.is_import_path(name):
            raise PluginError(f"model {name!r}: a name has no colon, an import path is not registered")
        if name in _REGISTRY and _REGISTRY[name].build.__module__ != build.__module__:
            modules = f"{_REGISTRY[name].build.__module__} and {build.__module__}"
            raise PluginError(f"two models are called {name!r}, in {modules}: rename one of them")
        by_task = {Run.task: dict(training or {}), **(tasks or {})}
        _REGISTRY[name] = _Entry(build, presets, by_task, closed_form, needs_hierarchy, _summary(build), whose)
        return build

    return add


def _summary(build: Callable[..., Any]) -> str:
    return (build.__doc__ or "").strip().partition("\n")[0]


def _import_own() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")


def model_names() -> list[str]:
    """The project's own models, those registered in this process, and those that installed packages declare."""
    _import_own()
    return sorted({*_REGISTRY, *plugins.declared_names(plugins.MODELS)})


def preset_names(model: str) -> tuple[str, ...]:
    """The presets of a model, its default first. Raises UnknownNameError."""
    return _entry(model).presets


def task_names(model: str) -> list[str]:
    """The tasks a model is registered for; tasks that any model may take part in are not named. Raises
    UnknownNameError."""
    return list(_entry(model).training)


def published_training(model: str, preset: str, task: str = Run.task) -> dict[str, Any]:
    """The fields of a run in which the model's published training differs from `Run`'s defaults.

    Raises UnknownNameError.
    """
    check_model(model, preset)
    by_task = _entry(model).training
    return dict(by_task.get(task, by_task[Run.task]))


def closed_form(model: str) -> bool:
    """Whether a model is fitted in closed form, by ``fit_closed_form``. Raises UnknownNameError."""
    return _entry(model).closed_form


def needs_hierarchy(model: str) -> bool:
    """Whether a model uses coarser levels than the template. Raises UnknownNameError."""
    return _entry(model).needs_hierarchy


def hierarchy_for(model: str, template: Template, factors: Sequence[float] | None = None) -> Hierarchy:
    """What a model is built on: the template's hierarchy, or its one level for a model that needs no more.

    Args:
        factors: see `bench3dmm.mesh.hierarchy.build_hierarchy`.

    Raises:
        UnknownNameError: no such model.
        MeshError: a template that cannot be decimated that far.
    """
    from bench3dmm.mesh.hierarchy import build_hierarchy  # SciPy, which names alone do not need

    return build_hierarchy(template, factors if needs_hierarchy(model) else ())


def check_factors(model: str, factors: str) -> None:
    """Raises Bench3dmmError for factors that are told where they change nothing: the run would have two ids."""
    if factors != Run.factors and not needs_hierarchy(model):
        raise Bench3dmmError(f"{model} works on the template alone, factors {factors} change nothing: leave them out")


def model_summary(model: str) -> str:
    """One line about a model. Raises UnknownNameError."""
    return _entry(model).summary


def build_model(name: str, hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> nn.Module:
    """A freshly initialised model, from torch's current random state. Raises UnknownNameError."""
    check_model(name, preset)
    return _entry(name).build(hierarchy, latent, preset=preset)


def check_model(name: str, preset: str) -> None:
    """Raises UnknownNameError for a model, or a preset of that model, that does not exist."""
    if preset not in preset_names(name):
        raise UnknownNameError(f"preset of model {name}", preset, preset_names(name))


def model_origin(name: str) -> dict[str, str | None] | None:
    """See `bench3dmm.runs.provenance.origin_of_model`."""
    return _entry(name).origin


def _entry(name: str) -> _Entry:
    _import_own()
    if plugins.is_import_path(name):
        return _foreign(name)
    if name in _REGISTRY:
        entry = _REGISTRY[name]
        plugins.check_free(plugins.MODELS, name, entry.build.__module__ if entry.origin else None)
        return entry
    if name in plugins.declared_names(plugins.MODELS):
        return _foreign(name)
    raise UnknownNameError("model", name, model_names())


def _foreign(name: str) -> _Entry:
    """A model of somebody else's package, registered by it or under its entry point's name or import path."""
    before = set(_REGISTRY)
    try:
        build = plugins.load(plugins.MODELS, name)
    except PluginError:
        for added in set(_REGISTRY) - before:  # by a module that then broke: it must be able to try again
            if _REGISTRY[added].build.__module__ not in sys.modules:
                del _REGISTRY[added]
        raise
    if name in _REGISTRY:
        return _REGISTRY[name]
    registered = [known for known, entry in _REGISTRY.items() if entry.build is build]
    if registered and plugins.is_import_path(name):
        return _REGISTRY[registered[0]]
    if isinstance(build, ModuleType) or registered:
        names = registered or sorted(set(_REGISTRY) - before)
        raise PluginError(f"model {name!r}: {_where(name)} registers {', '.join(names) or 'no model'}, not {name!r}")
    _check_signature(name, build)
    entry = _Entry(build, ("paper",), {Run.task: {}}, False, True, _summary(build), origin(build))
    if not plugins.is_import_path(name):
        _REGISTRY[name] = entry
    return entry


def _check_signature(name: str, build: Any) -> None:
    try:
        inspect.signature(build).bind(None, 1, preset="paper")
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"model {name!r}: {_where(name)} must be a function build(hierarchy, latent, *, preset) ({error})"
        ) from None


def _where(name: str) -> str:
    return plugins.declared_by(plugins.MODELS, name) or "what the import path names"
