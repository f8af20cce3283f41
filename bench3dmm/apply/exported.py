"""Trained models as files: a folder of two that loads anywhere."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench3dmm.apply.trained import TrainedModel
from bench3dmm.data.dataset import Dataset
from bench3dmm.data.registry import load_dataset
from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.models.registry import check_model
from bench3dmm.runs.results import Result, load_result, result_path
from bench3dmm.runs.stored import stored_run
from bench3dmm.system.device import resolve_device
from bench3dmm.system.storage import canonical_json, hash_file, write_json
from bench3dmm.system.version import __version__
from bench3dmm.tasks.published import run_command
from bench3dmm.training.weights import Weights, read_weights, write_weights

FORMAT, VERSION = "bench3dmm model", 1  # count up when older files can no longer be read
NAME = "model"
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".tar")


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
            "bench3dmm": __version__,
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


def load(path: str | os.PathLike[str], device: str = "cpu") -> TrainedModel:
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
            f"{path}: of format version {version}, bench3dmm {__version__} reads {VERSION}; export the run "
            "again, or use the version that wrote it"
        )
    stored = document.pop("sha256", None)
    if stored != _document_sha256(document):
        raise DataError(f"{path}: edited after it was exported; restore it or export the run again")
    return document


def _document_sha256(document: dict[str, Any]) -> str:
    """Of its content, however it is laid out."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
