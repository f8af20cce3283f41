"""A reproducibility benchmark for neural 3D morphable face models.

A trained model in three lines::

    import bench3dmm

    model = bench3dmm.load("exported/3337e236e8e6")  # see: bench3dmm export
    reconstructions = model.reconstruct(meshes)  # (N, V, 3), mm
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from bench3dmm.apply.trained import TrainedModel

__version__ = "0.1.0"


def load(path: str | PathLike[str], device: str = "cpu") -> TrainedModel:
    """An exported model, ready to encode, decode and reconstruct meshes; see `bench3dmm.apply.exported.load`."""
    import bench3dmm.run  # noqa: F401 (before torch: it sets how torch's threads wait)
    from bench3dmm import checkpoint

    return checkpoint.load(path, device)
