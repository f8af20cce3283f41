"""A model under check, on two small faces."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.normaliser import Normaliser
from bench3dmm.data.synthetic.sizes import face
from bench3dmm.mesh.hierarchy import Hierarchy
from bench3dmm.models.interface import as_coder, has_closed_form
from bench3dmm.models.registry import build_model, hierarchy_for
from bench3dmm.record.run import Run
from bench3dmm.system.device import seeded
from bench3dmm.training.fit import load_normalised

SIZES = (500, 650)  # vertices of the two faces
FACTORS = (4, 4, 2, 2)  # five levels, as on the full-size templates
NEAR = 1e-4  # relative; what float32 may differ by when a batch's size or layout changes


class Wrong(Exception):
    """The model does not pass; the message says why, and how to mend it."""


class NotAsked(Exception):
    """The check is not for this model."""


# --- what is checked, and on what -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    name: str
    preset: str
    latent: int

    @functools.cached_property
    def faces(self) -> list[Dataset]:
        return [_faces(size, max(24, self.latent + 8)) for size in SIZES]

    @functools.cached_property
    def hierarchies(self) -> list[Hierarchy]:
        return [hierarchy_for(self.name, faces.template, FACTORS) for faces in self.faces]

    def build(self, which: int = 0, *, latent: int = 0, seed: int = 0) -> nn.Module:
        with seeded(seed):
            return build_model(self.name, self.hierarchies[which], latent or self.latent, preset=self.preset)

    def normaliser(self, model: nn.Module, which: int = 0) -> Normaliser:
        vertices = self.faces[which].vertices
        scale = getattr(model, "scale_coordinates", True)
        return Normaliser.fit(vertices, np.arange(len(vertices)), scale=scale)

    def meshes(self, model: nn.Module, which: int = 0) -> torch.Tensor:
        """(N, V, 3), normalised as the model asks."""
        vertices = self.faces[which].vertices
        rows = np.arange(len(vertices))
        return load_normalised(vertices, rows, self.normaliser(model, which), torch.device("cpu"))

    def fitted(self) -> tuple[nn.Module, torch.Tensor]:
        """A fresh model in evaluation mode, fitted if that is done in closed form, and meshes."""
        model = self.build()
        meshes = self.meshes(model)
        if has_closed_form(model):
            model.fit_closed_form(meshes.clone())
        return model.eval(), meshes

    def run(self, **training: Any) -> Run:
        return Run("faces", model=self.name, preset=self.preset, latent=self.latent, **training)


@functools.cache
def _faces(size: int, count: int) -> Dataset:
    """Small faces in mm: the template under twelve smooth deformations and 0.1 mm of noise."""
    template = face(size)
    rng = np.random.default_rng(size)
    phases = template.vertices @ rng.normal(0, 0.03, (3, 12)) + rng.uniform(0, 6, 12)
    modes = np.sin(phases)[:, :, None] * rng.normal(0, 1, (12, 3))  # (V, 12, 3)
    offsets = np.einsum("nk,vkc->nvc", rng.normal(0, 2, (count, 12)), modes)
    vertices = template.vertices + offsets + rng.normal(0, 0.1, offsets.shape)
    samples = pd.DataFrame(
        {"subject": [f"S{row}" for row in range(count)], "expression": "neutral", "level": 0.0, "frame": 0}
    )
    return Dataset("faces", template, vertices.astype(np.float32), samples, "", {})


def encode(model: nn.Module, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Of a copy and from one random state: what changes its input or draws at random fails one check, not all."""
    with torch.no_grad(), seeded(seed):
        return as_coder(model).encode(x.clone())


def decode(model: nn.Module, z: torch.Tensor, seed: int = 0) -> torch.Tensor:
    with torch.no_grad(), seeded(seed):
        return as_coder(model).decode(z.clone())


def codes(count: int, latent: int) -> torch.Tensor:
    return torch.randn(count, latent, generator=torch.Generator().manual_seed(1))


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference, relative to the largest value of b."""
    scale = b.abs().max().item()
    largest = (a - b).abs().max().item()
    return largest / scale if scale > 0 else largest


def listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Shape and every number, also of sparse tensors, which torch does not compare."""
    return torch.equal(*(each if each.layout == torch.strided else each.to_dense() for each in (one, other)))


def copied(model: nn.Module) -> nn.Module:
    """A model that shares nothing with the first; copy alone cannot copy sparse buffers."""
    sparse = {id(buffer): buffer.clone() for buffer in model.buffers() if buffer.layout != torch.strided}
    return copy.deepcopy(model, dict(sparse))


class Devices(TorchFunctionMode):
    """Notes every tensor that an operation gets or gives on another device than ``meta``; single numbers may."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: list[str] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, result)):
            if isinstance(leaf, torch.Tensor) and leaf.dim() and leaf.device.type != "meta":
                self.elsewhere.append(f"{getattr(function, '__name__', function)} {tuple(leaf.shape)}")
        return result
