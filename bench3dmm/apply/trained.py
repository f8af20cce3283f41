"""A trained model in millimetres: encode, decode, reconstruct and edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from bench3dmm.data.imports.sources import SAME_SIZE, extent
from bench3dmm.data.normaliser import Normaliser
from bench3dmm.errors import DataError
from bench3dmm.mesh.partition import Partition
from bench3dmm.mesh.template import Template
from bench3dmm.models.interface import arrange
from bench3dmm.record.run import Run
from bench3dmm.system.device import full_precision
from bench3dmm.system.parallel import Workers, keep_freed_memory
from bench3dmm.system.words import counted
from bench3dmm.tasks.parts.errors import BATCH

if TYPE_CHECKING:
    from bench3dmm.tasks.parts.edits import Editor


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model that takes and gives millimetres. Meshes are (V, 3), or (N, V, 3) for many, in the template's
    dense correspondence and pose; however many there are, a batch of them is in memory at a time beside the result.

    Attributes:
        network: the module, in evaluation mode; it takes and gives normalised meshes, see `bench3dmm.models`.
        normaliser: from millimetres to these, and back.
        template: vertices (V, 3) mm, faces and landmarks of the meshes.
        run: what was trained.
        metrics: errors on the run's test meshes, as `bench3dmm.tasks.parts.errors.evaluate` gives them.
        provenance: hashes of the data, versions, commit, device and date of the training.
        device: where it computes.
    """

    network: nn.Module
    normaliser: Normaliser
    template: Template
    run: Run
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    device: torch.device

    @property
    def latent(self) -> int:
        """Size d of a code."""
        return self.run.latent

    def encode(self, meshes: ArrayLike) -> np.ndarray:
        """Meshes (V, 3) or (N, V, 3), mm -> codes (d,) or (N, d) float32. Raises DataError, see `reconstruct`."""
        return self._mapped(self._encode, meshes, self._check_meshes, (self.latent,))

    def decode(self, codes: ArrayLike) -> np.ndarray:
        """Codes (d,) or (N, d) -> meshes (V, 3) or (N, V, 3) float32, mm.

        Raises:
            DataError: codes of another size, or not finite.
        """
        return self._mapped(self._decode, codes, self._check_codes, (self.template.n_vertices, 3))

    def reconstruct(self, meshes: ArrayLike) -> np.ndarray:
        """Meshes (V, 3) or (N, V, 3), mm -> what the model makes of them, as float32 of the same shape.

        Raises:
            DataError: for meshes of another topology (both sizes are named), of another unit (the first one's size
                is looked at), or with coordinates that are not finite.
        """
        return self._mapped(self._reconstruct, meshes, self._check_meshes, (self.template.n_vertices, 3))

    @property
    def partition(self) -> Partition:
        """The template's regions and their control vertices. Raises DataError for a model that edits none."""
        from bench3dmm.tasks.parts.edits import partition_for

        if self.run.task == Run.task:
            raise DataError(
                f"{self.run.model}, trained for {self.run.task}, edits no regions; lamm trained for manipulation does"
            )
        return partition_for(self.network, self.template)

    @property
    def editor(self) -> Editor:
        """Meshes (B, V, 3) and displacements of all control vertices (B, C, 3), both in mm, to edited meshes; for the
        functions of `bench3dmm.apply.editing`. Raises DataError for a model that edits no regions."""
        from bench3dmm.tasks.parts.edits import make_editor

        return make_editor(self.network, self.normaliser, self.partition, self.device)

    def edit(self, meshes: ArrayLike, displacements: Mapping[str, ArrayLike]) -> np.ndarray:
        """Meshes (V, 3) or (N, V, 3), mm -> the same with control vertices of regions displaced, float32.

        Args:
            displacements: by region, in mm: (3,) for all of its control vertices, or (n, 3), one for each, in the order
                of ``partition.controls``.

        Raises:
            UnknownNameError: for a region that has no control vertices.
            DataError: for a model that edits no regions, displacements of another shape, and as `reconstruct`.
        """
        from bench3dmm.apply.editing import displacements_of

        moved, editor = displacements_of(self.partition, displacements), self.editor

        def edited(batch: np.ndarray) -> np.ndarray:
            return editor(batch, np.tile(moved, (len(batch), 1, 1)))

        return self._mapped(edited, meshes, self._check_meshes, (self.template.n_vertices, 3))

    def _encode(self, meshes: np.ndarray) -> np.ndarray:
        return self.network.encode(self._normalised(meshes)).cpu().numpy()

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        decoded = self.network.decode(torch.from_numpy(codes).to(self.device))
        return self.normaliser.invert(decoded.cpu().numpy())

    def _reconstruct(self, meshes: np.ndarray) -> np.ndarray:
        return self.normaliser.invert(self.network(self._normalised(meshes)).cpu().numpy())

    def _normalised(self, meshes: np.ndarray) -> torch.Tensor:
        return arrange(self.network, torch.from_numpy(self.normaliser.apply(meshes)).to(self.device))

    def _mapped(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        given: ArrayLike,
        check: Callable[[np.ndarray], int],
        shape: tuple[int, ...],
    ) -> np.ndarray:
        """The function's values, each of a shape, for one item or, batch by batch, for many; as `evaluate` computes.

        ``check`` refuses what is no item, and says how many axes one has.
        """
        given = np.asarray(given)
        single = given.ndim == check(given)
        items = given[None] if single else given
        result = np.empty((len(items), *shape), dtype=np.float32)
        batch = BATCH[self.device.type]

        def put(start: int) -> None:
            piece = np.array(items[start : start + batch], dtype=np.float32, order="C")
            finite = np.isfinite(piece).all(axis=tuple(range(1, piece.ndim)))
            if not finite.all():
                raise DataError(
                    f"number {start + finite.argmin()} of what is given has values that are NaN or infinite"
                )
            with torch.inference_mode():  # a thread's own setting
                result[start : start + batch] = function(piece)

        keep_freed_memory()
        with full_precision(), Workers(1 if self.device.type == "cuda" else len(items) // batch) as workers:
            workers.map(put, range(0, len(items), batch))
        return result[0] if single else result

    def _check_meshes(self, meshes: np.ndarray) -> int:
        if meshes.ndim not in (2, 3) or meshes.shape[-1] != 3 or meshes.dtype.kind not in "fiu":
            raise DataError(
                f"meshes are numbers of shape (V, 3) or (N, V, 3) in mm, not {meshes.dtype} of {meshes.shape}"
            )
        trained = self.template.n_vertices
        if meshes.shape[-2] != trained:
            raise DataError(
                f"a mesh has {counted(meshes.shape[-2], 'vertex')}, the model was trained on {trained:,} "
                f"({self.template.name}): it takes meshes in dense correspondence with its template only"
            )
        if meshes.size:
            given, wanted = extent(meshes.reshape(-1, trained, 3)[0]), extent(self.template.vertices)
            if np.isfinite(given) and not wanted / SAME_SIZE <= given <= wanted * SAME_SIZE:
                raise DataError(
                    f"the first mesh measures {given:.4g} at its longest, the template {wanted:.4g} mm: convert the "
                    "meshes to millimetres"
                )
        return 2

    def _check_codes(self, codes: np.ndarray) -> int:
        if codes.ndim not in (1, 2) or codes.shape[-1] != self.latent or codes.dtype.kind not in "fiu":
            raise DataError(
                f"codes are numbers of shape ({self.latent},) or (N, {self.latent}), not {codes.dtype} of {codes.shape}"
            )
        return 1
