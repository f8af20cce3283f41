"""Tasks by name: the project's own, those registered in this process, and those that installed packages declare in
the entry point group ``bench3dmm.tasks``; also by import path, as ``my_module:TASK``."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from bench3dmm.errors import PluginError, UnknownNameError
from bench3dmm.models.registry import task_names as declared_tasks
from bench3dmm.system import plugins
from bench3dmm.system.origin import origin
from bench3dmm.tasks.task import Task

T = TypeVar("T", Task, type[Task])

_REGISTRY: dict[str, Task] = {}


def register(task: T) -> T:
    """Make a task known under its name; also as a decorator of its class.

    Raises:
        PluginError: the name is taken, or looks like an import path.
    """
    one = task() if isinstance(task, type) else task
    if whose := origin(type(one)):
        _import_own()  # so that nobody takes a name of the project's own
    if plugins.is_import_path(one.name) or not one.name:
        raise PluginError(f"task {one.name!r}: a name has no colon, an import path is not registered")
    taken = _REGISTRY.get(one.name)
    if taken and _module(taken) != _module(one):
        raise PluginError(f"two tasks are called {one.name!r}, in {_module(taken)} and {_module(one)}: rename one")
    if whose and not one.measures:
        raise PluginError(f"task {one.name!r} measures nothing: give it measures, the headline first")
    _REGISTRY[one.name] = one
    return task


def task_names() -> list[str]:
    """All tasks that can be chosen, the project's own first."""
    _import_own()
    return list(dict.fromkeys([*_REGISTRY, *plugins.declared_names(plugins.TASKS)]))


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UnknownNameError: no such task.
        PluginError: its package cannot be imported, or gives none.
    """
    _import_own()
    if name in _REGISTRY:
        task = _REGISTRY[name]
        plugins.check_free(plugins.TASKS, name, None if origin(type(task)) is None else _module(task))
        return task
    if plugins.is_import_path(name) or name in plugins.declared_names(plugins.TASKS):
        return _foreign(name)
    raise UnknownNameError("task", name, task_names())


def tasks_of(model: str) -> list[str]:
    """The tasks that a model may be trained for. Raises UnknownNameError."""
    declared = declared_tasks(model)
    return [name for name in task_names() if name in declared or _usable(name)]


def check_task(name: str, model: str) -> None:
    """Raises UnknownNameError for a task that does not exist, or that the model takes no part in."""
    task = get_task(name)
    if not task.any_model and task.name not in declared_tasks(model):
        raise UnknownNameError(f"task of model {model}", name, tasks_of(model))


def task_origin(name: str) -> dict[str, str | None] | None:
    """Whose code a task is, see `bench3dmm.system.origin.origin`; None for the project's own."""
    return origin(type(get_task(name)))


def _usable(name: str) -> bool:
    """Whether a task takes any model; one whose package is broken takes none."""
    try:
        return get_task(name).any_model
    except PluginError:
        return False


def _import_own() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.ispkg:
            importlib.import_module(f"{__package__}.{module.name}")


def _foreign(name: str) -> Task:
    found: Any = plugins.load(plugins.TASKS, name)
    if name in _REGISTRY:
        return _REGISTRY[name]
    if isinstance(found, type) and issubclass(found, Task):
        found = found()
    if isinstance(found, ModuleType) or not isinstance(found, Task):
        whose = plugins.declared_by(plugins.TASKS, name) or "what the import path names"
        raise PluginError(f"task {name!r}: {whose} neither registers it nor is a bench3dmm.tasks.Task")
    if not found.measures:
        raise PluginError(f"task {name!r} measures nothing: give it measures, the headline first")
    if not plugins.is_import_path(name):
        _REGISTRY[name] = found
    return found


def _module(task: Task) -> str:
    return type(task).__module__
