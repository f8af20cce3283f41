"""Exported models: two files that reconstruct meshes without the run, its dataset or a cache.

``model.safetensors`` holds the tensors (see `bench3dmm.weights`), ``model.json`` what a reader wants to know: run,
metrics, template, hierarchy, normalisation, provenance. The JSON names the sha256 of the other file and carries one of
its own content, so that a pair that does not belong together, or was edited, is refused. Nothing is unpickled.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

import bench3dmm
from bench3dmm.data import load_dataset
from bench3dmm.data.dataset import Dataset
from bench3dmm.data.sources import SAME_SIZE, counted, extent
from bench3dmm.device import full_precision, resolve_device
from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.evaluate import BATCH
from bench3dmm.mesh.template import Template
from bench3dmm.models import check_model
from bench3dmm.objective import arrange
from bench3dmm.parallel import Workers, keep_freed_memory
from bench3dmm.partition import Partition
from bench3dmm.results import Result, load_result, result_path
from bench3dmm.run import Run, run_command
from bench3dmm.storage import canonical_json, hash_file, write_json
from bench3dmm.train import Normaliser
from bench3dmm.verify import stored_run
from bench3dmm.weights import Weights, read_weights, write_weights

if TYPE_CHECKING:
    from bench3dmm.manipulation import Editor

FORMAT, VERSION = "bench3dmm model", 1  # count up when older files can no longer be read
NAME = "model"
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".tar")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model that takes and gives millimetres. Meshes are (V, 3), or (N, V, 3) for many, in the template's
    dense correspondence and pose; however many there are, a batch of them is in memory at a time beside the result.

    Attributes:
        network: the module, in evaluation mode; it takes and gives normalised meshes, see `bench3dmm.models`.
        normaliser: from millimetres to these, and back.
        template: vertices (V, 3) mm, faces and landmarks of the meshes.
        run: what was trained.
        metrics: errors on the run's test meshes, as `bench3dmm.evaluate.evaluate` gives them.
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
        from bench3dmm.manipulation import partition_for

        if self.run.task == Run.task:
            raise DataError(
                f"{self.run.model}, trained for {self.run.task}, edits no regions; lamm trained for manipulation does"
            )
        return partition_for(self.network, self.template)

    @property
    def editor(self) -> Editor:
        """Meshes (B, V, 3) and displacements of all control vertices (B, C, 3), both in mm, to edited meshes; for the
        functions of `bench3dmm.editing`. Raises DataError for a model that edits no regions."""
        from bench3dmm.manipulation import make_editor

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
        from bench3dmm.editing import displacements_of

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


# --- export -----------------------------------------------------------------------------------------------------


def export(
    run_id: str,
    results_dir: str | Path = "results",
    output: str | Path | None = None,
    *,
    half: bool = False,
    dataset: Dataset | None = None,
) -> Path:
    """Write a stored run as a folder of two files that `load` reads anywhere.

    Args:
        run_id: of a run whose weights lie beside its result, i.e. that was trained on this machine.
        output: the folder; ``exported/RUN_ID`` if not given.
        half: numbers of 16 bits, which halves the file and moves vertices by some thousandths of a millimetre; the
            metrics remain those measured with 32.
        dataset: what the run was trained on, instead of ``load_dataset``; only looked at where the weights were
            written before they held the template's landmarks.

    Returns:
        The folder.

    Raises:
        UnknownNameError: no such result.
        DataError: no weights, or not the result's; a folder that holds another model.
    """
    run = stored_run(run_id, results_dir)
    result, weights = _stored(result_path(run, results_dir), dataset)
    network = weights.build()  # so that nothing is exported that does not load

    folder = Path(output) if output is not None else Path("exported") / run_id
    _refuse_another_model(folder, run_id)
    description, tensors = folder / f"{NAME}.json", folder / f"{NAME}.safetensors"
    description.unlink(missing_ok=True)  # so that no JSON ever stands beside tensors that are not its own
    write_weights(tensors, weights, half=half)
    hierarchy, template = weights.hierarchy, weights.template
    document = {
        "format": FORMAT,
        "version": VERSION,
        "run_id": run_id,
        "run": run.as_dict(),
        "tensors": {"file": tensors.name, "bytes": tensors.stat().st_size, "sha256": hash_file(tensors)},
        "precision": "float16" if half else "float32",
        "model": {
            "name": run.model,
            "preset": run.preset,
            "latent": run.latent,
            "parameters": result.provenance.get("parameters"),
            "module": type(network).__module__,
        },
        "template": {
            "name": template.name,
            "vertices": template.n_vertices,
            "faces": len(template.faces),
            "landmarks": len(template.landmarks),
            "unit": "mm",
            "sha256": template.sha256,
        },
        "hierarchy": {"vertices": list(hierarchy.sizes), "sha256": hierarchy.sha256},
        "normalisation": {
            "mean": "of each coordinate over the training meshes",
            "deviation": "of each coordinate" if getattr(network, "scale_coordinates", True) else "1: only centred",
        },
        "metrics": result.metrics,
        "provenance": result.provenance,
        "exported": {
            "bench3dmm": bench3dmm.__version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    }
    write_json(description, {**document, "sha256": _document_sha256(document)})
    return folder


def load_run(path: str | Path, device: str = "cpu", *, dataset: Dataset | None = None) -> TrainedModel:
    """The model of a stored run whose weights lie beside its result, as `load` gives an exported one.

    Args:
        path: of the result's JSON.
        device, dataset: as of `load` and `export`.

    Raises:
        DataError: no such result or weights, or not the result's.
    """
    result, weights = _stored(Path(path), dataset)
    return _assembled(weights, result.metrics, result.provenance, device)


def _stored(path: Path, dataset: Dataset | None) -> tuple[Result, Weights]:
    """A result and its own weights."""
    result, source = load_result(path), path.with_suffix(".safetensors")
    again = f"`{run_command(result.run)} --results-dir {shlex.quote(str(path.parent.parent))} --force` trains it again"
    if not source.exists():
        raise DataError(f"{path}: stored without its weights, which are not shared with results; {again}")
    weights = read_weights(source)
    if weights.run != result.run or weights.hierarchy.sha256 != result.provenance["hierarchy_sha256"]:
        raise DataError(f"{source}: not the weights of {path.name}; {again}")
    return result, _with_landmarks(weights, dataset)


def _assembled(weights: Weights, metrics: dict[str, Any], provenance: dict[str, Any], device: str) -> TrainedModel:
    return TrainedModel(
        weights.build(device),
        weights.normaliser,
        weights.template,
        weights.run,
        metrics,
        provenance,
        resolve_device(device),
    )


def _with_landmarks(weights: Weights, dataset: Dataset | None) -> Weights:
    if weights.landmarks is not None:
        return weights
    dataset = dataset or load_dataset(weights.run.dataset)
    return replace(weights, landmarks=dataset.template.landmarks)


def _refuse_another_model(folder: Path, run_id: str) -> None:
    present = folder / f"{NAME}.json"
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; name a folder with --output")
    if present.exists() and _read_document(present)["run_id"] != run_id:
        raise DataError(f"{folder} holds another model already; name another folder with --output")


# --- load -------------------------------------------------------------------------------------------------------


def load(path: str | Path, device: str = "cpu") -> TrainedModel:
    """An exported model, ready to use; nothing but its two files is read.

    Args:
        path: the exported folder, or either file of the pair.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        DataError: no such file, one of the two missing, edited or of another model; a format or a kind of file that
            is not read; a model that is not installed here.
    """
    description, tensors = _pair(Path(path))
    document = _read_document(description)
    if hash_file(tensors) != document["tensors"]["sha256"]:
        raise DataError(f"{tensors}: not the tensors that {description.name} was written with; export the run again")
    weights = read_weights(tensors)
    run = weights.run
    try:
        check_model(run.model, run.preset)
    except UnknownNameError as error:
        module = document["model"]["module"]
        raise DataError(
            f"{description}: a model {run.model!r} (preset {run.preset!r}) of the Python module {module}, which is not "
            f"installed here: install the package it is from. {error}"
        ) from None
    return _assembled(weights, document["metrics"], document["provenance"], device)


def _pair(path: Path) -> tuple[Path, Path]:
    """JSON and safetensors of an exported model, both there."""
    if path.suffix.lower() in PICKLES:
        raise DataError(
            f"{path}: {path.suffix} files are pickles, which run code when they are read, and none is read here; give "
            "what bench3dmm export wrote"
        )
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; bench3dmm export RUN_ID writes one")
    if not path.is_dir() and path.suffix not in (".json", ".safetensors"):
        raise DataError(f"{path}: not an exported model, which is {NAME}.json with {NAME}.safetensors")
    base = path / NAME if path.is_dir() else path
    pair = base.with_suffix(".json"), base.with_suffix(".safetensors")
    missing = [file for file in pair if not file.is_file()]
    if len(missing) == 2:
        raise DataError(f"{path}: holds no exported model, which is {NAME}.json with {NAME}.safetensors")
    if missing:
        raise DataError(f"{missing[0]}: missing; an exported model is two files, copy both")
    return pair


def _read_document(path: Path) -> dict[str, Any]:
    """The JSON of an exported model, of this version and as it was written."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        kind, version = document.get("format"), document.get("version")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: not the JSON of an exported model ({error}); export the run again") from None
    if kind != FORMAT:
        result = "metrics" in document and "run_id" in document
        hint = f": it is a stored result; bench3dmm export {path.stem} makes a model of it" if result else ""
        raise DataError(f"{path}: not the JSON of an exported model{hint}")
    if version != VERSION:
        raise DataError(
            f"{path}: of format version {version}, bench3dmm {bench3dmm.__version__} reads {VERSION}; export the run "
            "again, or use the version that wrote it"
        )
    stored = document.pop("sha256", None)
    if stored != _document_sha256(document):
        raise DataError(f"{path}: edited after it was exported; restore it or export the run again")
    return document


def _document_sha256(document: dict[str, Any]) -> str:
    """Of its content, however it is laid out."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
