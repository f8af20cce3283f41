"""Papers by name: every folder of `bench3dmm.papers` that has a ``PAPER``. Nobody lists them by hand."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.papers.paper import Experiment, Paper
from bench3dmm.papers.protocol import SEEDS
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run


@functools.cache
def papers() -> Mapping[str, Paper]:
    """All of them, in their order."""
    folders = [one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)]) if one.ispkg]
    found = [importlib.import_module(f"{__package__}.{name}").PAPER for name in folders]
    return {paper.name: paper for paper in sorted(found, key=lambda paper: (paper.order, paper.name))}


def part_of(paper: str, part: str) -> ModuleType | None:
    """A module of a paper's folder, such as ``artefacts`` or ``claims``; None where it has none."""
    name = f"{__package__}.{paper}.{part}"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


@functools.cache
def experiments() -> Mapping[str, Experiment]:
    """Of all papers, in their order.

    Raises:
        DataError: two papers call theirs the same.
    """
    found: dict[str, Experiment] = {}
    for paper in papers().values():
        for name, make in paper.experiments.items():
            if name in found:
                raise DataError(f"an experiment of {paper.name} is called {name!r}, as one of {found[name].paper} is")
            found[name] = Experiment(name, make, paper.name)
    return found


@functools.cache
def groups() -> Mapping[str, tuple[str, ...]]:
    """Names that stand for several experiments."""
    return {name: members for paper in papers().values() for name, members in paper.groups.items()}


def experiment_names() -> list[str]:
    return [*groups(), *experiments()]


def experiment(
    name: str,
    coma: str = "mh-seq",
    bu3dfe: str = "mh-scan",
    profile: str = "quick",
    seeds: Sequence[int] = SEEDS,
) -> list[Run]:
    """The runs of an experiment, or of a group, each once.

    Args:
        name: one of `experiment_names`.
        coma, bu3dfe: the datasets that take the places of COMA and BU3DFE.

    Raises:
        UnknownNameError: with the nearest known experiment or profile.
    """
    if name not in experiment_names():
        raise UnknownNameError("experiment", name, experiment_names())
    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    parts = groups().get(name, (name,))
    chosen = [
        run for part in parts for run in experiments()[part].make(coma, bu3dfe, profile=profile, seed=list(seeds))
    ]
    return list(dict.fromkeys(chosen))


def notebooks() -> Mapping[str, str]:
    """Every notebook of every paper, by name, and what it shows."""
    found = {name: shows for paper in papers().values() for name, shows in paper.notebooks.items()}
    return dict(sorted(found.items()))
