"""What a paper is: its runs, its notebooks, how it is cited. Each folder of `bench3dmm.papers` has one as ``PAPER``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench3dmm.record.run import Run

Make = Callable[..., list[Run]]
"""``make(coma, bu3dfe, *, profile, seed)``: the runs on the datasets that take the places of COMA and BU3DFE, at a
profile, for a list of seeds."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One paper, reproduced.

    Attributes:
        name: of its folder.
        short: as headings say it.
        title, citation: as printed, and authors with venue and year; both empty for what is this project's own.
        summary: a line about what is done here.
        experiments: by name, which runs they are; the first line of each function's docstring says what for.
        groups: names that stand for several experiments.
        notebooks: by name, what each shows.
        shipped: gives the runs whose weights are in the repository, because a notebook uses the trained models.
        order: where it stands among the others.
    """

    name: str
    short: str
    summary: str
    title: str = ""
    citation: str = ""
    experiments: Mapping[str, Make] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notebooks: Mapping[str, str] = field(default_factory=dict)
    shipped: Callable[[], list[Run]] = list
    order: int = 100


@dataclass(frozen=True)
class Experiment:
    """Runs that together answer one question."""

    name: str
    make: Make
    paper: str

    @property
    def summary(self) -> str:
        return (self.make.__doc__ or "").strip().partition("\n")[0]
