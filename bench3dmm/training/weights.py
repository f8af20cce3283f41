"""Trained weights, with everything else that reconstructs a mesh: normalisation, hierarchy and template.

One safetensors file, beside a stored result and in an exported model alike: tensors ``model/…`` (the state dict),
``normaliser/…``, ``hierarchy/…`` (see `Hierarchy.arrays`; its finest level is the template) and
``template/landmarks``; in the header the run as JSON, and the template's hash.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import nn

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.normaliser import Normaliser
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.mesh.hierarchy import Hierarchy
from bench3dmm.mesh.template import Template
from bench3dmm.models.interface import dense_state, ready_to_infer
from bench3dmm.models.registry import build_model
from bench3dmm.record.run import Run
from bench3dmm.system.device import resolve_device
from bench3dmm.system.storage import canonical_json, hash_named, sorted_header, write_bytes

PARTS = ("model", "normaliser", "hierarchy", "template")


@dataclass(frozen=True, eq=False)
class Weights:
    """What one file holds.

    Attributes:
        model: the state dict.
        template_sha256: of the template the model was trained on.
        landmarks: (K,) int32 of that template; None in files written before they were stored.
        source: the file, for messages.
    """

    run: Run
    model: dict[str, np.ndarray]
    normaliser: Normaliser
    hierarchy: Hierarchy
    template_sha256: str
    landmarks: np.ndarray | None
    source: Path

    @cached_property
    def tensors_sha256(self) -> str:
        """Of every tensor by name: what the weights are, whichever file they lie in and whatever lies beside them."""
        tensors = {f"model/{name}": array for name, array in self.model.items()}
        tensors |= {f"normaliser/{name}": getattr(self.normaliser, name) for name in ("mean", "deviation")}
        return hash_named(tensors, salt=f"{self.hierarchy.sha256} {self.template_sha256}")

    @cached_property
    def template(self) -> Template:
        """The hierarchy's finest level with the landmarks. Raises DataError where these are not those of training."""
        finest = self.hierarchy.levels[0]
        landmarks = np.empty(0, np.int32) if self.landmarks is None else self.landmarks
        template = Template(finest.vertices, finest.faces, landmarks, name=self.run.dataset.partition("@")[0])
        if template.sha256 != self.template_sha256:
            raise DataError(
                f"{self.source}: its landmarks and finest level are not the template {self.template_sha256[:12]}… that "
                "the model was trained on"
            )
        return template

    def build(self, device: str = "cpu") -> nn.Module:
        """The model, in evaluation mode; nothing of it is built anew.

        Raises:
            UnknownNameError: no such model here.
            DataError: weights that are not this model's.
        """
        run = self.run
        model = build_model(run.model, self.hierarchy, run.latent, preset=run.preset)
        try:
            model.load_state_dict({name: torch.from_numpy(array) for name, array in self.model.items()})
        except RuntimeError as error:
            raise DataError(f"{self.source}: its weights do not fit {run.model} ({run.preset}): {error}") from None
        return ready_to_infer(model.to(resolve_device(device)).eval())


def save_weights(
    path: Path, run: Run, model: nn.Module, normaliser: Normaliser, hierarchy: Hierarchy, dataset: Dataset
) -> Weights:
    """Store a trained model, and give what is stored: see `load_model`."""
    state = {name: tensor.numpy() for name, tensor in dense_state(model).items()}
    template = dataset.template
    weights = Weights(run, state, normaliser, hierarchy, template.sha256, template.landmarks, path)
    write_weights(path, weights)
    return weights


def write_weights(path: Path, weights: Weights, *, half: bool = False) -> None:
    """Write one safetensors file; vertex ids take 16 bits where they fit.

    Args:
        half: the model's numbers in 16 bits (half precision) too. It computes in 32 bits all the same, once loaded.
    """
    tensors = {f"model/{name}": _halved(array) if half else array for name, array in weights.model.items()}
    tensors |= {f"normaliser/{name}": getattr(weights.normaliser, name) for name in ("mean", "deviation")}
    tensors |= {f"hierarchy/{name}": _packed(array) for name, array in weights.hierarchy.arrays().items()}
    if weights.landmarks is not None:
        tensors["template/landmarks"] = _packed(weights.landmarks)
    tensors = {name: np.array(array, order="C") for name, array in tensors.items()}
    metadata = {"run": canonical_json(weights.run.as_dict()), "template_sha256": weights.template_sha256}
    content = save(tensors, metadata=metadata)
    write_bytes(path, sorted_header(content))


def read_weights(path: Path) -> Weights:
    """What `write_weights` wrote.

    Raises:
        DataError: for a file that is missing, cannot be read, or was edited.
    """
    if not path.exists():
        raise DataError(f"{path}: no such weights; they are written by the run and not shared with results")
    parts: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                part, _, rest = name.partition("/")
                array = file.get_tensor(name)
                parts[part][rest] = array if part in ("model", "normaliser") else _unpacked(array)
        run, template = Run.from_dict(json.loads(metadata["run"])), metadata["template_sha256"]
        normaliser = Normaliser(**parts["normaliser"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, Bench3dmmError) as error:
        raise DataError(f"{path}: not the weights of a run ({error})") from None
    hierarchy = Hierarchy.from_arrays(parts["hierarchy"], source=path)
    return Weights(run, parts["model"], normaliser, hierarchy, template, parts["template"].get("landmarks"), path)


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
    weights = weights_for(path, dataset)
    return weights.build(device), weights.normaliser


def weights_for(path: str | Path, dataset: Dataset | None = None) -> Weights:
    """What `read_weights` gives of a result or of its weights.

    Raises:
        DataError: also where the dataset has another template, see `load_model`.
    """
    path = Path(path).with_suffix(".safetensors")
    weights = read_weights(path)
    if dataset is not None and dataset.template.sha256 != weights.template_sha256:
        raise DataError(
            f"{path}: trained on the template {weights.template_sha256[:12]}…, but {dataset.name} has "
            f"{dataset.template.sha256[:12]}…: vertices would not correspond; train on this dataset"
        )
    return weights


def _halved(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16) if array.dtype == np.float32 else array


def _packed(array: np.ndarray) -> np.ndarray:
    """Vertex ids in 16 bits where they fit, which takes a quarter off a file; `_unpacked` gives the same array."""
    limits = np.iinfo(np.int16)
    fits = array.dtype == np.int32 and (not array.size or limits.min <= array.min() <= array.max() <= limits.max)
    return array.astype(np.int16) if fits else array


def _unpacked(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int32) if array.dtype == np.int16 else array
