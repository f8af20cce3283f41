"""Datasets by name: embedded ones are generated once into the user's cache, a user's own are imported into it, and
somebody else's package may load one: see `bench3dmm.system.plugins` and docs/your-own-model.md."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import TYPE_CHECKING

from bench3dmm.errors import Bench3dmmError, DataError, PluginError, UnknownNameError
from bench3dmm.system import plugins
from bench3dmm.system.origin import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench3dmm.data.dataset import Dataset

LICENSED = ("coma", "bu3dfe")
"""The paper's sets: for those who have them, by import only."""

_registered: dict[str, Callable[[], Dataset]] = {}
_contents: dict[Callable[[], Dataset], str] = {}  # what each loader gave, by sha256


def register_dataset(name: str, loader: Callable[[], Dataset]) -> None:
    """Make ``load_dataset(name)`` call ``loader``, in this process.

    Raises:
        PluginError: the name is taken, or looks like an import path or a variant.
    """
    from bench3dmm.data.synthetic.makehuman import SETS

    if name in (*SETS, *LICENSED):
        raise PluginError(f"dataset {name!r} is this project's own: give yours another name")
    if plugins.is_import_path(name) or "@" in name:
        raise PluginError(f"dataset {name!r}: a name has neither a colon (an import path) nor an @ (a variant)")
    if name in _registered and _module(_registered[name]) != _module(loader):
        modules = f"{_module(_registered[name])} and {_module(loader)}"
        raise PluginError(f"two datasets are called {name!r}, in {modules}: rename one of them")
    origin(loader)  # as its source is now
    _registered[name] = loader


def _module(loader: Callable[[], Dataset]) -> str:
    return getattr(loader, "__module__", None) or type(loader).__module__


def registered_names() -> list[str]:
    """Names registered in this process, and those that installed packages declare."""
    return list(dict.fromkeys([*_registered, *plugins.declared_names(plugins.DATASETS)]))


def dataset_names() -> list[str]:
    """Names of the sets that can be loaded; the embedded ones also take a variant, see `variant_names`."""
    from bench3dmm.data.cache import imported_names
    from bench3dmm.data.synthetic.makehuman import SETS

    return list(dict.fromkeys([*SETS, *imported_names(), *registered_names()]))


def foreign_loader(name: str) -> Callable[[], Dataset] | None:
    """What loads a set that is registered, declared by an installed package or named by its import path; None for the
    project's own, for an imported set, and for a name that nobody has.

    Raises:
        PluginError: the package cannot be imported or gives no loader; or the name is taken twice.
    """
    from bench3dmm.data.cache import imported_names
    from bench3dmm.data.synthetic.makehuman import SETS

    group = plugins.DATASETS
    if name in _registered:
        plugins.check_free(group, name, _module(_registered[name]))
        return _registered[name]
    if not plugins.is_import_path(name):
        if name in (*SETS, *LICENSED, *imported_names()):
            plugins.check_free(group, name)
        if name not in plugins.declared_names(group):
            return None
    loader = plugins.load(group, name)
    if name in _registered:
        return _registered[name]
    if isinstance(loader, ModuleType) or not callable(loader):
        whose = plugins.declared_by(group, name) or "what the import path names"
        raise PluginError(f"dataset {name!r}: {whose} neither registers it nor is a function that loads it")
    origin(loader)  # as its source is now
    return loader


def variant_names() -> list[str]:
    """What may follow ``@`` in the name of an embedded set, e.g. ``mh-scan@clean``."""
    from bench3dmm.data.synthetic.makehuman import variants

    return variants()


def recipe_sha256(name: str) -> str | None:
    """What ties a result to its data: an embedded set's recipe, an imported set's content, neither of which needs the
    data to be made or read; the content of somebody else's set, which is loaded for it once. None for a set that
    is not here.

    Raises:
        DataError: for COMA or BU3DFE where it is not imported.
        PluginError: somebody else's package cannot load it.
    """
    from bench3dmm.data.cache import imported_sha256
    from bench3dmm.data.synthetic.makehuman import SETS, recipe

    loader = foreign_loader(name)
    if loader is not None:
        if loader not in _contents:
            _load_foreign(name, loader)
        return _contents[loader]
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

    if name not in LICENSED or foreign_loader(name) is not None:
        return [f"{name} is another set"]
    return imported_departures(name)


def load_dataset(name: str, *, progress: bool = True) -> Dataset:
    """Load a dataset, generating it first if it is embedded and not in the cache yet.

    Args:
        name: ``mh-seq``, ``mh-scan``, a variant such as ``mh-scan@clean``, an imported or a registered name, one that
            an installed package declares, or an import path such as ``my_module:load``.
        progress: show a progress bar while generating.

    Raises:
        UnknownNameError: with the nearest known name.
        DataError: for COMA or BU3DFE where it is not imported, or a damaged set.
        PluginError: somebody else's package cannot load it.
    """
    from bench3dmm.data.cache import imported_names, load_generated, load_imported
    from bench3dmm.data.synthetic.makehuman import SETS

    loader = foreign_loader(name)
    if loader is not None:
        return _load_foreign(name, loader)
    if name.partition("@")[0] in SETS:
        return load_generated(name, progress=progress)
    if name in imported_names():
        return load_imported(name)
    _check_imported(name)
    raise UnknownNameError("dataset", name, dataset_names())


def _load_foreign(name: str, loader: Callable[[], Dataset]) -> Dataset:
    """What a loader gives, checked, under the name it was asked for; results on it are tied to its content."""
    from bench3dmm.data.dataset import checked, content_sha256

    try:
        dataset = checked(loader(), name)
    except Bench3dmmError:
        raise
    except Exception as error:  # whatever somebody else's code raises
        raise PluginError(f"dataset {name!r}: its loader failed ({type(error).__name__}: {error})") from error
    _contents[loader] = sha256 = content_sha256(dataset)
    return dataclasses.replace(dataset, name=name, sha256=sha256, card={**dataset.card, "recipe_sha256": sha256})


def _check_imported(name: str) -> None:
    from bench3dmm.data.cache import imported_dir, imported_names

    if name in imported_names():
        return
    if (imported_dir() / f".{name}.partial").is_dir():
        raise DataError(f"{name} is imported in part only: give the same import command again, it goes on")
    if name in LICENSED:
        raise DataError(
            f"{name} is not imported here: if you have its files, bench3dmm data import {name} --source DIR; "
            "the embedded mh-seq and mh-scan need nothing"
        )


def check_datasets(*names: str) -> None:
    """Refuse misspelt datasets and variants, without loading anything.

    Those of the paper are known even where they are not imported: results on them may come from elsewhere.

    Raises:
        UnknownNameError: with the nearest known name.
    """
    from bench3dmm.data.synthetic.makehuman import SETS

    known = [*dataset_names(), *LICENSED]
    for name in names:
        if foreign_loader(name) is not None:
            continue
        if name not in known and name.partition("@")[0] not in SETS:
            raise UnknownNameError("dataset", name, known)
        if name not in LICENSED:
            recipe_sha256(name)  # knows the variants
