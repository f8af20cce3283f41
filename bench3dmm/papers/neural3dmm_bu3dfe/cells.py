"""The numbers that an effect is made of: mean errors of one configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


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

    def __init__(self, get: Callable[[Cell], np.ndarray]) -> None:
        self._get = get

    def coma(self, latent: int) -> np.ndarray:
        return self._get(Cell("coma", "percentage", "l1", latent))

    def bu3dfe(self, split: str, latent: int, loss: str = "l1", quantity: str = "error") -> np.ndarray:
        return self._get(Cell("bu3dfe", split, loss, latent, quantity))
