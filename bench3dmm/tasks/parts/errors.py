"""The one evaluator: the paper's generalization error (section 4.3), where and when it arises, what figures need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from bench3dmm.data.faces import face_regions
from bench3dmm.data.normaliser import Normaliser
from bench3dmm.data.rows import even_positions
from bench3dmm.errors import TrainingError
from bench3dmm.mesh.geodesic import near_landmarks
from bench3dmm.mesh.normals import Normals, angles_between
from bench3dmm.mesh.regions import REGIONS
from bench3dmm.models.interface import arrange
from bench3dmm.system.device import full_precision
from bench3dmm.system.parallel import Workers, keep_freed_memory

if TYPE_CHECKING:
    from bench3dmm.mesh.template import Template


BATCH = {"cpu": 16, "cuda": 256}
HISTOGRAM_MM = 10.0
HISTOGRAM_BINS = 1000
RECONSTRUCTIONS = 6
STEP_MM = 0.01  # what stored reconstructions are rounded to
LEVELS = 6  # more intensities than these are put into quarters


def evaluate(
    model: nn.Module,
    vertices: np.ndarray,
    samples: pd.DataFrame,
    rows: np.ndarray,
    normaliser: Normaliser,
    device: torch.device,
    template: Template | None = None,
    *,
    reconstructions: int = RECONSTRUCTIONS,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Reconstruct test meshes and measure the Euclidean distance of every vertex, in mm.

    Args:
        model: maps normalised (B, V, 3) to its reconstruction.
        vertices: (N, V, 3) mm; samples: N rows with ``expression`` and maybe ``level``; rows: (m,) test rows.
        template: of the meshes, for errors of normals, by region and near landmarks.
        reconstructions: how many test meshes, at fixed positions, are kept with their reconstruction.

    Returns:
        Metrics: ``mean_mm``, ``median_mm``, ``std_mm``, ``p95_mm``, and the same ``by_expression`` and ``by_level``
        (intensity); with a template ``normal_deg``, the mean angle between vertex normals; where it is a face
        ``by_region``, means in mm; where it has landmarks ``near_mm`` and ``far_mm``, means within 10 mm of one and
        elsewhere.

        Arrays: ``histogram`` over ``histogram_edges`` (10 µm bins to 10 mm, then one to infinity), ``sample_error``
        (m,), ``sample_index`` (m,), ``vertex_error`` (V,) the mean over meshes; with what the template has
        ``sample_normal_error`` (m,), ``sample_region_error`` (m, 5), ``sample_near_error`` and ``sample_far_error``
        (m,); of the rows that are kept ``reconstruction_index`` and ``reconstruction_offset`` (k, V, 3) float16,
        reconstruction minus mesh to 0.01 mm.

    Raises:
        TrainingError: if a reconstruction is not finite.
    """
    model.eval()
    errors = np.empty((len(rows), vertices.shape[1]), dtype=np.float32)
    shown = even_positions(len(rows), reconstructions)
    offsets = np.empty((len(shown), *vertices.shape[1:]), dtype=np.float16)
    normals = Normals.of(template.faces, template.n_vertices) if template else None
    turned = np.empty(len(rows))

    def measure(start: int) -> None:
        meshes = np.asarray(vertices[rows[start : start + batch]])
        with torch.inference_mode():  # a thread's own setting
            normalised = arrange(model, torch.from_numpy(normaliser.apply(meshes)).to(device))
            reconstruction = model(normalised).cpu().numpy()
        reconstruction = normaliser.invert(reconstruction)
        offset, here = reconstruction - meshes, slice(start, start + len(meshes))
        errors[here] = np.sqrt(np.einsum("mvc,mvc->mv", offset, offset))
        if normals:
            turned[here] = angles_between(normals(reconstruction), normals(meshes)).mean(axis=1)
        for place in np.flatnonzero((shown >= start) & (shown < start + len(meshes))):
            offsets[place] = (offset[shown[place] - start] / STEP_MM).round() * STEP_MM

    batch = BATCH[device.type]
    keep_freed_memory()
    with full_precision(), Workers(1 if device.type == "cuda" else len(rows) // batch) as workers:
        workers.map(measure, range(0, len(rows), batch))

    if not np.isfinite(errors).all():
        bad = rows[~np.isfinite(errors).all(axis=1)][0]
        raise TrainingError(f"the reconstruction of test mesh {bad} is not finite: the model has diverged")
    expressions = samples["expression"].to_numpy()[rows]
    metrics: dict[str, Any] = summary(errors)
    metrics["by_expression"] = {str(name): summary(errors[expressions == name]) for name in pd.unique(expressions)}
    edges = np.append(np.linspace(0, HISTOGRAM_MM, HISTOGRAM_BINS + 1), np.inf)
    arrays = {
        "histogram": np.histogram(errors, edges)[0],
        "histogram_edges": edges,
        "sample_error": errors.mean(axis=1, dtype=np.float64).astype(np.float32),
        "sample_index": rows,
        "vertex_error": errors.mean(axis=0, dtype=np.float64).astype(np.float32),
        "reconstruction_index": rows[shown],
        "reconstruction_offset": offsets,
    }
    if "level" in samples:
        labels = level_labels(samples["level"].to_numpy(float))[rows]
        metrics["by_level"] = {str(name): summary(errors[labels == name]) for name in np.unique(labels)}
    if template:
        metrics["normal_deg"] = float(turned.mean())
        arrays["sample_normal_error"] = turned.astype(np.float32)
        _by_part(errors, template, metrics, arrays)
    return metrics, arrays


def _by_part(errors: np.ndarray, template: Template, metrics: dict, arrays: dict[str, np.ndarray]) -> None:
    """Add the errors of parts of the template: by region, near landmarks and far from them."""
    regions = face_regions(template)
    if regions is not None:
        by_region = [errors[:, regions == i].mean(axis=1, dtype=np.float64) for i in range(len(REGIONS))]
        metrics["by_region"] = {name: float(part.mean()) for name, part in zip(REGIONS, by_region, strict=True)}
        arrays["sample_region_error"] = np.stack(by_region, axis=1).astype(np.float32)
    near = near_landmarks(template)
    if near.any() and not near.all():
        for name, part in (("near", near), ("far", ~near)):
            by_mesh = errors[:, part].mean(axis=1, dtype=np.float64)
            metrics[f"{name}_mm"] = float(by_mesh.mean())
            arrays[f"sample_{name}_error"] = by_mesh.astype(np.float32)


def level_labels(levels: np.ndarray) -> np.ndarray:
    """Names of intensities (N,) in [0, 1]: themselves, or their quarter where a set has many of them."""
    if len(np.unique(levels)) <= LEVELS:
        return np.array([f"{level:g}" for level in levels])
    quarter = np.clip((levels * 4).astype(int), 0, 3)
    return np.array(["0 to 0.25", "0.25 to 0.5", "0.5 to 0.75", "0.75 to 1"])[quarter]


def summary(errors: np.ndarray) -> dict[str, float | int]:
    """Mean, median, standard deviation and 95th percentile of per-vertex errors (m, V), and the count of meshes."""
    return {
        "mean_mm": float(errors.mean(dtype=np.float64)),
        "median_mm": float(np.median(errors)),
        "std_mm": float(errors.std(dtype=np.float64)),
        "p95_mm": float(np.quantile(errors, 0.95)),
        "meshes": len(errors),
    }
