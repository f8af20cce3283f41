"""The manipulation task: displace the control vertices of one region, and see what the rest of the mesh does.

On held-out pairs of source and target, half of one person and half of two, the control vertices of one region are told
to go from the source to the target, those of all others to stay (LAMM, section 4). Measured are, of each region:

- ``control_mm``: how far its control vertices end from the target's;
- ``inside_mm``: the error of all its vertices against the target;
- ``moved_mm``, ``leaked_mm``: how far its vertices, and those of all other regions, move from where they are without a
  displacement. ``ratio`` is one over the other;
- ``stirred_mm``: how far those other regions move that have control vertices, and so are told to stay; nobody tells
  those without where to be. ``held_ratio`` is ``moved_mm`` over it. Zero where no other region has any;
- ``seam_percent``: how much the edges across its border change their length by that, in percent of it.

``full_mm`` is the error of all vertices against the target when all control vertices are displaced at once.

Three references need no training: ``copy`` leaves the source as it is, ``handles`` interpolates the control vertices'
displacements by radial basis functions, biharmonic in space, ``paste`` puts the target's region into the source, which
is how far a seam goes apart if nothing gives way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from scipy.interpolate import RBFInterpolator

from bench3dmm.data.faces import partition_of
from bench3dmm.errors import DataError
from bench3dmm.mesh.partition import Partition
from bench3dmm.models.interface import arrange, as_region_editor
from bench3dmm.models.pca import PCA

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from bench3dmm.data.normaliser import Normaliser
    from bench3dmm.mesh.template import Template


PAIRS = 100
MEASURES = ("control_mm", "inside_mm", "moved_mm", "leaked_mm", "stirred_mm", "seam_percent")
RATIOS = {"ratio": "leaked_mm", "held_ratio": "stirred_mm"}
SAME, OTHER = "same person", "another person"
EDITORS = ("model", "copy", "handles", "paste")
TOLERANCE_MM = 1.0  # to which PCA is to meet control vertices, against one deviation of a coefficient


class Editor(Protocol):
    def __call__(self, sources: np.ndarray, displacements: np.ndarray) -> np.ndarray:
        """Meshes (B, V, 3) with control vertices displaced by (B, C, 3), all in mm -> (B, V, 3)."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of sources and targets, (n,) each, and whether both are of one person."""

    source: np.ndarray
    target: np.ndarray
    same: np.ndarray


@dataclass(frozen=True, eq=False)
class Edited:
    """What an editor did to pairs.

    Attributes:
        values: (n, regions, measures), by `MEASURES`.
        full: (n,) mm, the error where all control vertices are displaced.
    """

    values: np.ndarray
    full: np.ndarray


def draw_pairs(samples: pd.DataFrame, rows: np.ndarray, count: int = PAIRS, seed: int = 0) -> Pairs:
    """Pairs of different test meshes: half of one person as far as there are such, the others of two.

    Raises:
        DataError: fewer than two meshes.
    """
    if len(rows) < 2:
        raise DataError(f"manipulation needs two test meshes or more, there are {len(rows)}")
    generator = np.random.default_rng(seed)
    persons = samples["subject"].to_numpy(str)[rows]
    source = generator.choice(len(rows), count)
    target = np.empty_like(source)
    for number, one in enumerate(source):
        same = persons == persons[one]
        same[one] = False
        other = persons != persons[one]
        wanted = same if (number % 2 == 0 and same.any()) or not other.any() else other
        target[number] = generator.choice(np.flatnonzero(wanted))
    return Pairs(rows[source], rows[target], persons[source] == persons[target])


def partition_for(model: nn.Module, template: Template) -> Partition:
    """The regions that a model was built on; of one that knows none, those of its template."""
    return getattr(model, "partition", None) or partition_of(template.vertices, template.faces)


def make_editor(
    model: nn.Module, normaliser: Normaliser, partition: Partition, device: torch.device | str = "cpu"
) -> Editor:
    """The editor that a model is: PCA by its coefficients, any other by ``decode(z, displacements)``."""
    if isinstance(model, PCA):
        return PCAEditor(model, normaliser, partition)
    return ModelEditor(model, normaliser, partition, torch.device(device))


@dataclass(frozen=True, eq=False)
class ModelEditor:
    """A model whose ``decode`` takes normalised displacements (B, C, 3)."""

    model: nn.Module
    normaliser: Normaliser
    partition: Partition
    device: torch.device

    @torch.no_grad()
    def __call__(self, sources: np.ndarray, displacements: np.ndarray) -> np.ndarray:
        x = arrange(self.model, torch.from_numpy(self.normaliser.apply(sources)).to(self.device))
        deviation = self.normaliser.deviation[self.partition.control_ids]
        normalised = (displacements / np.where(deviation > 0, deviation, np.inf)).astype(np.float32)
        editor = as_region_editor(self.model)
        edited = editor.decode(editor.encode(x), torch.from_numpy(normalised).to(self.device))
        return self.normaliser.invert(edited.cpu().numpy())


@dataclass(frozen=True, eq=False)
class PCAEditor:
    """PCA's coefficients changed as little as meets the control vertices: ridge regression.

    Minimises ``|J dz - δ|² / t² + |dz|²``, where J is how control vertices move with the coefficients, in standard
    deviations, and t is `TOLERANCE_MM`.
    """

    model: PCA
    normaliser: Normaliser
    partition: Partition

    def __call__(self, sources: np.ndarray, displacements: np.ndarray) -> np.ndarray:
        device = self.model.components.device
        x = torch.from_numpy(self.normaliser.apply(sources)).to(device)
        basis = (self.model.components * self.model.deviations[:, None]).view(len(self.model.deviations), -1, 3)
        moves = basis[:, torch.from_numpy(self.partition.control_ids).to(device)].flatten(1).double()  # (d, 3C)
        gram = moves @ moves.T + TOLERANCE_MM**2 * torch.eye(len(moves), device=device, dtype=moves.dtype)
        wanted = torch.from_numpy(displacements.reshape(len(sources), -1)).to(moves)
        change = torch.linalg.solve(gram, moves @ wanted.T).T.to(x)
        return self.normaliser.invert(self.model.decode(self.model.encode(x) + change).cpu().numpy())


def copy_source(sources: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """The source as it is."""
    return sources


@dataclass(frozen=True, eq=False)
class HandleEditor:
    """Handle deformation: displacements of the control vertices interpolated in space (SciPy's `RBFInterpolator`)."""

    partition: Partition

    def __call__(self, sources: np.ndarray, displacements: np.ndarray) -> np.ndarray:
        ids = self.partition.control_ids
        return np.stack(
            [
                mesh + RBFInterpolator(mesh[ids], moved, kernel="linear")(mesh) if moved.any() else mesh
                for mesh, moved in zip(sources, displacements, strict=True)
            ]
        )


def edit_pairs(editor: Editor, vertices: np.ndarray, pairs: Pairs, partition: Partition, faces: np.ndarray) -> Edited:
    """Edit each region of each pair by itself, and all at once.

    Args:
        vertices: (N, V, 3) of the dataset, mm.
    """
    source = np.asarray(vertices[pairs.source], dtype=np.float32)
    target = np.asarray(vertices[pairs.target], dtype=np.float32)
    wanted = (target - source)[:, partition.control_ids]
    base = editor(source, np.zeros_like(wanted))
    values = np.empty((len(source), len(partition.controls), len(MEASURES)), dtype=np.float32)
    for number, (name, span) in enumerate(partition.control_spans.items()):
        alone = np.zeros_like(wanted)
        alone[:, span] = wanted[:, span]
        values[:, number] = _measured(editor(source, alone), base, target, partition, faces, name)
    full = np.linalg.norm(editor(source, wanted) - target, axis=2).mean(axis=1)
    return Edited(values, full.astype(np.float32))


def paste_pairs(vertices: np.ndarray, pairs: Pairs, partition: Partition, faces: np.ndarray) -> Edited:
    """The target's region in the source; arguments as those of `edit_pairs`."""
    source = np.asarray(vertices[pairs.source], dtype=np.float32)
    target = np.asarray(vertices[pairs.target], dtype=np.float32)
    values = np.empty((len(source), len(partition.controls), len(MEASURES)), dtype=np.float32)
    for number, name in enumerate(partition.controls):
        inside = partition.labels == partition.names.index(name)
        pasted = np.where(inside[:, None], target, source)
        values[:, number] = _measured(pasted, source, target, partition, faces, name)
    return Edited(values, np.zeros(len(source), np.float32))


def _measured(
    edited: np.ndarray, base: np.ndarray, target: np.ndarray, partition: Partition, faces: np.ndarray, name: str
) -> np.ndarray:
    """(B, measures) of one region's edits, meshes (B, V, 3)."""
    inside = partition.labels == partition.names.index(name)
    told_to_stay = partition.controlled & ~inside
    moved = np.linalg.norm(edited - base, axis=2)
    missed = np.linalg.norm(edited - target, axis=2)
    return np.stack(
        [
            missed[:, partition.controls[name]].mean(axis=1),
            missed[:, inside].mean(axis=1),
            moved[:, inside].mean(axis=1),
            moved[:, ~inside].mean(axis=1),
            moved[:, told_to_stay].mean(axis=1) if told_to_stay.any() else np.zeros(len(moved)),
            _stretched(edited, base, partition.border_edges(faces, name)),
        ],
        axis=1,
    )


def _stretched(edited: np.ndarray, base: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(B,) mean change of the edges' length, in percent of it."""
    before, after = (np.linalg.norm(mesh[:, edges[:, 0]] - mesh[:, edges[:, 1]], axis=2) for mesh in (base, edited))
    return 100 * (np.abs(after - before) / before).mean(axis=1)


def summarise_edits(edited: Edited, same: np.ndarray, partition: Partition) -> dict[str, Any]:
    """Means over pairs and regions, by region, and by kind of pair."""
    regions = list(partition.controls)
    kinds = {kind: rows for kind, rows in ((SAME, same), (OTHER, ~same)) if rows.any()}
    return {
        **_means(edited.values.reshape(-1, len(MEASURES))),
        "full_mm": float(edited.full.mean()),
        "by_region": {name: _means(edited.values[:, number]) for number, name in enumerate(regions)},
        "by_pair": {
            kind: {**_means(edited.values[rows].reshape(-1, len(MEASURES))), "full_mm": float(edited.full[rows].mean())}
            for kind, rows in kinds.items()
        },
    }


def _means(values: np.ndarray) -> dict[str, float | None]:
    """(n, measures) -> their means and the ratios of movements; None where nothing moves outside."""
    means = dict(zip(MEASURES, values.mean(axis=0, dtype=np.float64).tolist(), strict=True))
    ratios = {name: means["moved_mm"] / means[over] if means[over] > 0 else None for name, over in RATIOS.items()}
    return {**means, **ratios}


def measure_manipulation(
    model: nn.Module,
    vertices: np.ndarray,
    samples: pd.DataFrame,
    rows: np.ndarray,
    template: Template,
    normaliser: Normaliser,
    device: torch.device,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metrics and arrays of a model on the manipulation task, with those of the references.

    Args:
        rows: test meshes, which pairs are drawn from.

    Returns:
        ``manipulation`` as `summarise_edits` has it, under ``references`` the same of those; arrays ``edit_values``
        (editors, n, regions, measures) and ``edit_full`` (editors, n), by `EDITORS`, and ``edit_pairs`` (n, 2).
    """
    partition = partition_for(model, template)
    pairs = draw_pairs(samples, rows)
    model.eval()
    given = vertices, pairs, partition, template.faces
    edited = [
        edit_pairs(make_editor(model, normaliser, partition, device), *given),
        edit_pairs(copy_source, *given),
        edit_pairs(HandleEditor(partition), *given),
        paste_pairs(*given),
    ]
    own, *references = (summarise_edits(one, pairs.same, partition) for one in edited)
    metrics = {"manipulation": {**own, "references": dict(zip(EDITORS[1:], references, strict=True))}}
    arrays = {
        "edit_values": np.stack([one.values for one in edited]),
        "edit_full": np.stack([one.full for one in edited]),
        "edit_pairs": np.stack([pairs.source, pairs.target], axis=1),
    }
    return metrics, arrays


# --- what a model that edits must do, see `bench3dmm.tasks.task.Task.checks` ---------------------------------------


def check_told(model: nn.Module, x: torch.Tensor) -> str:
    """Displacements (B, C, 3) of control vertices must be taken by decode and by manipulation_loss."""
    if isinstance(model, PCA):
        return "edits by its coefficients, and is not trained for it"
    if missing := [name for name in ("partition", "manipulation_loss") if not hasattr(model, name)]:
        raise DataError(f"the model has no {' and no '.join(missing)}: see bench3dmm/models/lamm.py")
    editor = as_region_editor(model)
    partition = editor.partition
    moved = torch.ones(len(x), len(partition.control_ids), 3)
    with torch.no_grad():
        z = editor.encode(x)
        edited, plain = editor.decode(z, moved), editor.decode(z)
    if edited.shape != x.shape:
        raise DataError(f"decode(z, displacements) made {tuple(edited.shape)} of {tuple(x.shape)}")
    if torch.equal(edited, plain):
        raise DataError("decode(z, displacements) does not depend on the displacements")
    alpha = torch.full((len(x),), 0.5)
    value = editor.manipulation_loss(x, x.roll(1, 0), alpha, lambda made, wanted: (made - wanted).abs().mean())
    if value.dim() or not value.requires_grad:
        raise DataError("manipulation_loss(source, target, alpha, loss) must give a scalar with a gradient")
    return f"{len(partition.controls)} regions with {len(partition.control_ids)} control vertices"


def check_still(model: nn.Module, x: torch.Tensor) -> str:
    """A displacement of zero must give the plain reconstruction."""
    if isinstance(model, PCA):
        return "edits by its coefficients: zero changes none"
    editor = as_region_editor(model)
    still = torch.zeros(len(x), len(editor.partition.control_ids), 3)
    with torch.no_grad():
        z = editor.encode(x)
        if not torch.equal(editor.decode(z, still), editor.decode(z)):
            raise DataError("decode(z, 0) is not decode(z): an edit of nothing changes the face")
    return "zero displacement gives the plain reconstruction, bit for bit"
