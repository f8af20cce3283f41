"""Datasets by name: embedded ones are generated once into the user's cache, then memory-mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench3dmm.data.dataset import Dataset

_registered: dict[str, Callable[[], Dataset]] = {}


def register_dataset(name: str, loader: Callable[[], Dataset]) -> None:
    """Make ``load_dataset(name)`` call ``loader``: for imported sets and for a user's own."""
    _registered[name] = loader


def dataset_names() -> list[str]:
    """Names of the sets that can be loaded; the embedded ones also take a variant, see `variant_names`."""
    from bench3dmm.data.makehuman import SETS

    return [*SETS, *_registered]


def variant_names() -> list[str]:
    """What may follow ``@`` in the name of an embedded set, e.g. ``mh-scan@clean``."""
    from bench3dmm.data.makehuman import variants

    return variants()


def recipe_sha256(name: str) -> str | None:
    """What an embedded set is made from, without making it; None for any other set."""
    from bench3dmm.data.makehuman import SETS, recipe

    return recipe(name).sha256 if name.partition("@")[0] in SETS and name not in _registered else None


def load_dataset(name: str, *, progress: bool = True) -> Dataset:
    """Load a dataset, generating it first if it is embedded and not in the cache yet.

    Args:
        name: ``mh-seq``, ``mh-scan``, a variant such as ``mh-scan@clean``, or a registered name.
        progress: show a progress bar while generating.

    Raises:
        UnknownNameError: with the nearest known name.
    """
    from bench3dmm.data.makehuman import SETS
    from bench3dmm.errors import UnknownNameError

    if name in _registered:
        return _registered[name]()
    if name.partition("@")[0] not in SETS:
        raise UnknownNameError("dataset", name, dataset_names())
    from bench3dmm.data.cache import load_generated

    return load_generated(name, progress=progress)
