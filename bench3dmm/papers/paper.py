"""What a paper is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench3dmm.errors import DataError
from bench3dmm.papers.setup import Setup

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.mesh.hierarchy import Hierarchy
    from bench3dmm.runs.results import Result


@dataclass(frozen=True)
class Material:
    """What artefacts are made from: results, datasets by name, and which of them take the paper's places."""

    results: Sequence[Result]
    datasets: Mapping[str, Dataset]
    setup: Setup

    @property
    def coma(self) -> Dataset:
        return self._dataset(self.setup.coma)

    @property
    def bu3dfe(self) -> Dataset:
        return self._dataset(self.setup.bu3dfe)

    @property
    def hierarchy(self) -> Hierarchy:
        """Of the dataset in BU3DFE's place; built once, then cached."""
        from bench3dmm.mesh.hierarchy import build_hierarchy

        return build_hierarchy(self.bu3dfe.template)

    def _dataset(self, name: str) -> Dataset:
        if name not in self.datasets:
            raise DataError(f"the dataset {name} is not among those given ({', '.join(self.datasets) or 'none'})")
        return self.datasets[name]


@dataclass(frozen=True)
class Artefact:
    """One table or figure.

    Attributes:
        make: what draws it.
        needs: the experiments whose runs it shows (`bench3dmm.papers.registry.EXPERIMENTS`); none: no training.
        caption: for a paper or report; ``{coma}`` and ``{bu3dfe}`` stand for the datasets.
    """

    make: Callable[[Material], Figure | pd.DataFrame]
    needs: tuple[str, ...]
    caption: str


SEEDS = (0, 1, 2)
