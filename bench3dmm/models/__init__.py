"""Models by name. A model is one file of this folder with one decorated function

    @register("my-model", presets=("paper",))
    def build(hierarchy, latent, *, preset): ...

that returns an ``nn.Module`` with ``encode(x) -> z`` and ``decode(z) -> x`` for normalised meshes x (B, V, 3) and
codes z (B, latent). A model with ``fit_closed_form(x)`` is fitted by it instead of by gradient descent; one with
``scale_coordinates = False`` gets centred millimetres instead of coordinates divided by their deviation.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import nn

    from bench3dmm.mesh.coarsen import Hierarchy


@dataclass(frozen=True)
class _Entry:
    build: Callable[..., nn.Module]
    presets: tuple[str, ...]
    training: Mapping[str, Any]
    closed_form: bool
    summary: str


_REGISTRY: dict[str, _Entry] = {}


def register(
    name: str,
    presets: tuple[str, ...] = ("paper",),
    training: Mapping[str, Any] | None = None,
    *,
    closed_form: bool = False,
):
    """Decorator: make ``build(hierarchy, latent, *, preset)`` known under ``name``.

    Args:
        training: what the model was published with, where that differs from `bench3dmm.run.Run`'s defaults: optimizer,
            learning_rate, learning_rate_decay, weight_decay, batch_size.
        closed_form: it is fitted without chance, so that all seeds are one.
    """

    def add(build):
        if name in _REGISTRY and _REGISTRY[name].build.__module__ != build.__module__:
            raise ValueError(f"two models are called {name!r}")
        summary = (build.__doc__ or "").strip().partition("\n")[0]
        _REGISTRY[name] = _Entry(build, presets, dict(training or {}), closed_form, summary)
        return build

    return add


def _registry() -> dict[str, _Entry]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return _REGISTRY


def model_names() -> list[str]:
    return sorted(_registry())


def preset_names(model: str) -> tuple[str, ...]:
    """The presets of a model, its default first. Raises UnknownNameError."""
    return _entry(model).presets


def published_training(model: str, preset: str) -> dict[str, Any]:
    """The fields of a run in which the model's published training differs from `Run`'s defaults.

    Raises UnknownNameError.
    """
    check_model(model, preset)
    return dict(_entry(model).training)


def closed_form(model: str) -> bool:
    """Whether a model is fitted in closed form, by ``fit_closed_form``. Raises UnknownNameError."""
    return _entry(model).closed_form


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


def _entry(name: str) -> _Entry:
    registry = _registry()
    if name not in registry:
        raise UnknownNameError("model", name, registry)
    return registry[name]
