"""Trained weights, with everything else that reconstructs a mesh: normalisation and hierarchy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import nn

from bench3dmm.data.dataset import Dataset
from bench3dmm.device import resolve_device
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.mesh.coarsen import Hierarchy
from bench3dmm.models import build_model
from bench3dmm.run import Run
from bench3dmm.storage import canonical_json, write_atomically
from bench3dmm.train import Normaliser


def save_weights(
    path: Path, run: Run, model: nn.Module, normaliser: Normaliser, hierarchy: Hierarchy, dataset: Dataset
) -> None:
    """Everything that reconstructs a mesh, in one safetensors file: see `load_model`."""
    tensors = {f"model/{k}": v.detach().cpu().numpy() for k, v in model.state_dict().items()}
    tensors |= {"normaliser/mean": normaliser.mean, "normaliser/deviation": normaliser.deviation}
    tensors |= {f"hierarchy/{k}": v for k, v in hierarchy.arrays().items()}
    tensors = {name: np.array(array, order="C") for name, array in tensors.items()}
    metadata = {"run": canonical_json(run.as_dict()), "template_sha256": dataset.template.sha256}
    content = save(tensors, metadata=metadata)
    write_atomically(path, lambda file: file.write(content))


def load_model(
    path: str | Path, device: str = "cpu", *, dataset: Dataset | None = None
) -> tuple[nn.Module, Normaliser]:
    """A trained model with the normalisation and the hierarchy it was trained with; nothing is built anew.

    Args:
        path: of a result (``.json``) or of its weights (``.safetensors``).
        dataset: if given, it must have the template the model was trained on.

    Raises:
        DataError: if the file cannot be read, was edited, or belongs to another template.
    """
    path = Path(path).with_suffix(".safetensors")
    if not path.exists():
        raise DataError(f"{path}: no such weights; they are written by the run and not shared with results")
    parts: dict[str, dict[str, np.ndarray]] = {"model": {}, "normaliser": {}, "hierarchy": {}}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                part, _, rest = name.partition("/")
                parts[part][rest] = file.get_tensor(name)
        run, template = Run.from_dict(json.loads(metadata["run"])), metadata["template_sha256"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, Bench3dmmError) as error:
        raise DataError(f"{path}: not the weights of a run ({error})") from None
    if dataset is not None and dataset.template.sha256 != template:
        raise DataError(
            f"{path}: trained on the template {template[:12]}…, but {dataset.name} has "
            f"{dataset.template.sha256[:12]}…: vertices would not correspond; train on this dataset"
        )
    hierarchy = Hierarchy.from_arrays(parts["hierarchy"], source=path)
    model = build_model(run.model, hierarchy, run.latent, preset=run.preset)
    try:
        model.load_state_dict({k: torch.from_numpy(v) for k, v in parts["model"].items()})
        normaliser = Normaliser(**parts["normaliser"])
    except (RuntimeError, TypeError) as error:
        raise DataError(f"{path}: its weights do not fit {run.model} ({run.preset}): {error}") from None
    return model.to(resolve_device(device)).eval(), normaliser
