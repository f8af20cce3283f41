"""The library's exceptions: every one carries a message a user can act on."""

from __future__ import annotations

from collections.abc import Iterable


class Bench3dmmError(Exception):
    """Base class: bad input or a failed run, explained in one message."""


class UnknownNameError(Bench3dmmError):
    """A dataset, split, model, preset … that does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        import difflib  # a millisecond, which only an error has to pay

        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(known)}")
        self._given = kind, name, known

    def __reduce__(self):
        """So that it reaches the parent of a process that raises it."""
        return type(self), self._given


class MeshError(Bench3dmmError):
    """A mesh that cannot be used, with the offending vertex or face."""


class DataError(Bench3dmmError):
    """A dataset or file whose content is not what it should be."""


class TrainingError(Bench3dmmError):
    """A training that cannot go on, e.g. a loss that is not finite."""


class ShortOfMemoryError(TrainingError):
    """A training that needs more memory than there is, and what would fit."""


class PluginError(Bench3dmmError):
    """A model, dataset or task of somebody else's package that cannot be used: whose, and why."""
