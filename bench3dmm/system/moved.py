"""Modules that have moved: their old names still give what was in them, with a DeprecationWarning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast


class Moved:
    """Finds modules under the names that they had. A finder and loader in all but name: `importlib.abc` takes longer to
    import than this package.

    Args:
        homes: by old name, the modules that now have what was in it.
    """

    def __init__(self, homes: Mapping[str, Sequence[str]]) -> None:
        self.homes = homes

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self.homes:
            return None
        inside = any(name.startswith(f"{fullname}.") for name in self.homes)
        return ModuleSpec(fullname, cast(Any, self), is_package=inside)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__

        def find(name: str) -> Any:
            if f"{old}.{name}" in self.homes:
                return importlib.import_module(f"{old}.{name}")
            if not name.startswith("__"):
                for found in filter(None, map(module_or_none, self.homes[old])):
                    if hasattr(found, name):
                        home = found.__name__
                        warnings.warn(f"{old}.{name} has moved to {home}", DeprecationWarning, stacklevel=2)
                        return getattr(found, name)
            raise AttributeError(f"module {old!r} has no attribute {name!r}")

        module.__getattr__ = find  # type: ignore[method-assign]

    def get_code(self, fullname: str) -> None:
        """For ``python -m`` of an old name, which says where to look. Raises ImportError."""
        raise ImportError(f"{fullname} has moved to {', '.join(self.homes[fullname])}")


def module_or_none(name: str) -> ModuleType | None:
    """A module; None where its folder is not there, such as a paper's that somebody left out."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            return None
        raise


def install(homes: Mapping[str, Sequence[str]]) -> None:
    """From now on, old names are found; once.

    First of all finders: an emptied folder that an update left behind would be taken for a package of that name.
    """
    if not any(isinstance(finder, Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, Moved(homes))
