"""Datasets by name: embedded ones are generated once into the user's cache, a user's own are imported into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench3dmm.data.dataset import Dataset

LICENSED = ("coma", "bu3dfe")
"""The paper's sets: for those who have them, by import only."""

_registered: dict[str, Callable[[], Dataset]] = {}


def register_dataset(name: str, loader: Callable[[], Dataset]) -> None:
    """Make ``load_dataset(name)`` call ``loader``, in this process."""
    _registered[name] = loader


def registered_names() -> list[str]:
    return list(_registered)


def dataset_names() -> list[str]:
    """Names of the sets that can be loaded; the embedded ones also take a variant, see `variant_names`."""
    from bench3dmm.data.cache import imported_names
    from bench3dmm.data.makehuman import SETS

    return list(dict.fromkeys([*SETS, *imported_names(), *_registered]))


def variant_names() -> list[str]:
    """What may follow ``@`` in the name of an embedded set, e.g. ``mh-scan@clean``."""
    from bench3dmm.data.makehuman import variants

    return variants()


def recipe_sha256(name: str) -> str | None:
    """What ties a result to its data, without making or reading them: an embedded set's recipe, an imported set's
    content; None for any other set.

    Raises:
        DataError: for COMA or BU3DFE where it is not imported.
    """
    from bench3dmm.data.cache import imported_sha256
    from bench3dmm.data.makehuman import SETS, recipe

    if name in _registered:
        return None
    if name.partition("@")[0] in SETS:
        return recipe(name).sha256
    _check_imported(name)
    return imported_sha256(name)


def departures(name: str) -> list[str] | None:
    """How a licensed set, as imported here, is not what was published: a sentence each, none where it is complete.

    Read from what the import wrote beside the meshes. Of any other set, that it is another one.

    Returns:
        None for ``coma`` or ``bu3dfe`` where it is not imported, or in part only.

    Raises:
        DataError: a damaged set.
    """
    from bench3dmm.data.cache import imported_departures

    if name not in LICENSED or name in _registered:
        return [f"{name} is another set"]
    return imported_departures(name)


def load_dataset(name: str, *, progress: bool = True) -> Dataset:
    """Load a dataset, generating it first if it is embedded and not in the cache yet.

    Args:
        name: ``mh-seq``, ``mh-scan``, a variant such as ``mh-scan@clean``, an imported or a registered name.
        progress: show a progress bar while generating.

    Raises:
        UnknownNameError: with the nearest known name.
        DataError: for COMA or BU3DFE where it is not imported, or a damaged set.
    """
    from bench3dmm.data.cache import imported_names, load_generated, load_imported
    from bench3dmm.data.makehuman import SETS
    from bench3dmm.errors import UnknownNameError

    if name in _registered:
        return _registered[name]()
    if name.partition("@")[0] in SETS:
        return load_generated(name, progress=progress)
    if name in imported_names():
        return load_imported(name)
    _check_imported(name)
    raise UnknownNameError("dataset", name, dataset_names())


def _check_imported(name: str) -> None:
    from bench3dmm.data.cache import imported_dir, imported_names
    from bench3dmm.errors import DataError

    if name in imported_names():
        return
    if (imported_dir() / f".{name}.partial").is_dir():
        raise DataError(f"{name} is imported in part only: give the same import command again, it goes on")
    if name in LICENSED:
        raise DataError(
            f"{name} is not imported here: if you have its files, bench3dmm data import {name} --source DIR; "
            "the embedded mh-seq and mh-scan need nothing"
        )
