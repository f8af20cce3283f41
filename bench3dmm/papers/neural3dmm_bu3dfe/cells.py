"""The numbers that an effect is made of: mean errors of one configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bench3dmm.statistics.claims import Claim, Finding

Values = npt.NDArray[np.float64]
"""One number, or one for every resample or seed."""


@dataclass(frozen=True, order=True)
class Cell:
    """One number that an effect is made of: a mean over the test meshes and seeds of one configuration.

    Attributes:
        dataset: the paper's, ``coma`` or ``bu3dfe``, whichever set takes its place.
        split, loss, latent: as in a `bench3dmm.record.run.Run`.
        quantity: ``error``, ``near_error`` and ``far_error`` (within 10 mm of a landmark and beyond), all in mm;
            ``noise``, see `bench3dmm.mesh.roughness.error_roughness`; ``parameters``, their number.
    """

    dataset: str
    split: str
    loss: str
    latent: int
    quantity: str = "error"


class Errors:
    """Means by configuration, from wherever ``get`` takes them: scalars, or arrays of one shape."""

    def __init__(self, get: Callable[[Cell], Values]) -> None:
        self._get = get

    def coma(self, latent: int) -> Values:
        return self._get(Cell("coma", "percentage", "l1", latent))

    def bu3dfe(self, split: str, latent: int, loss: str = "l1", quantity: str = "error") -> Values:
        return self._get(Cell("bu3dfe", split, loss, latent, quantity))


class Finder(Protocol):
    """Where a claim's effect is looked for; see `bench3dmm.papers.neural3dmm_bu3dfe.evidence.Evidence`."""

    def find(self, claim: CellClaim) -> Finding: ...


@dataclass(frozen=True, eq=False, kw_only=True)
class CellClaim(Claim):
    """A statement about mean errors of configurations.

    Attributes:
        comparisons: computes the effect for each d or split that the claim is about.
    """

    comparisons: Callable[[Errors], Sequence[Values]]

    def find(self, evidence: Finder) -> Finding:
        return evidence.find(self)

    def effect(self, errors: Errors) -> Values:
        """The worst of the comparisons, in the shape of the errors."""
        worst = np.maximum if self.side == "below" else np.minimum
        return worst.reduce(np.asarray(self.comparisons(errors)), axis=0)

    @cached_property
    def needs(self) -> tuple[Cell, ...]:
        """The cells that the comparisons read, each once, in order."""
        read: dict[Cell, None] = {}

        def get(cell: Cell) -> Values:
            read[cell] = None
            return np.ones(())

        self.comparisons(Errors(get))
        return tuple(sorted(read))
