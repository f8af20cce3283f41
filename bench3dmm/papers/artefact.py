"""Tables and figures of papers: results and datasets in, a Figure or a table out. Nothing here trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bench3dmm.errors import DataError
from bench3dmm.mesh.hierarchy import Hierarchy, build_hierarchy
from bench3dmm.papers.setup import Setup

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.runs.results import Result
    from bench3dmm.view.blocks import Block


@dataclass(frozen=True)
class Material:
    """What artefacts and claims are made from: results, datasets by name, and which of them take the paper's places."""

    results: Sequence[Result]
    datasets: Mapping[str, Dataset]
    setup: Setup

    @property
    def coma(self) -> Dataset:
        return self._dataset(self.setup.coma)

    @property
    def bu3dfe(self) -> Dataset:
        return self._dataset(self.setup.bu3dfe)

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """Of the dataset in BU3DFE's place; built once, then cached."""
        return build_hierarchy(self.bu3dfe.template)

    def of(self, *experiments: str) -> list[Result]:
        """The results of those experiments' runs."""
        wanted = set(self.setup.runs(*experiments))
        return [result for result in self.results if result.run in wanted]

    def _dataset(self, name: str) -> Dataset:
        if name not in self.datasets:
            raise DataError(f"the dataset {name} is not among those given ({', '.join(self.datasets) or 'none'})")
        return self.datasets[name]


@dataclass(frozen=True)
class Artefact:
    """One table or figure of a paper.

    Attributes:
        section: the heading under which a report has it.
        make: what draws it.
        needs: the experiments whose runs it shows; none: no training.
        caption: for a paper or report; ``{coma}`` and ``{bu3dfe}`` stand for the datasets.
    """

    section: str
    make: Callable[[Material], Figure | pd.DataFrame | Block]
    needs: tuple[str, ...]
    caption: str


@dataclass(frozen=True)
class Section:
    """What a report says below a heading before any artefact of that section: sentences of what came out.

    Attributes:
        opening: sentences; raises DataError with what trains its runs where none is stored, and then nothing else of
            the section is shown.
    """

    heading: str
    opening: Callable[[Material], Sequence[str]]
