"""The one evaluator: the paper's generalization error (section 4.3) and what figures need."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import nn

from bench3dmm.device import full_precision
from bench3dmm.errors import TrainingError
from bench3dmm.parallel import Workers, keep_freed_memory
from bench3dmm.step import arrange
from bench3dmm.train import Normaliser

BATCH = {"cpu": 16, "cuda": 256}
HISTOGRAM_MM = 10.0
HISTOGRAM_BINS = 1000
RECONSTRUCTIONS = 6


def evaluate(
    model: nn.Module,
    vertices: np.ndarray,
    samples: pd.DataFrame,
    rows: np.ndarray,
    normaliser: Normaliser,
    device: torch.device,
    near: np.ndarray | None = None,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Reconstruct test meshes and measure the Euclidean distance of every vertex, in mm.

    Args:
        model: maps normalised (B, V, 3) to its reconstruction.
        vertices: (N, V, 3) mm; samples: N rows with ``expression``; rows: (m,) test rows.
        near: (V,) bool, the vertices near a landmark, whose error is also reported apart from the others'.

    Returns:
        Metrics (``mean_mm``, ``median_mm``, ``std_mm``, ``p95_mm``, the same per expression, and with ``near`` the
        means ``near_mm`` and ``far_mm``) and arrays: ``histogram`` over ``histogram_edges`` (10 µm bins to 10 mm,
        then one to infinity), ``sample_error`` (m,), ``sample_index`` (m,), ``vertex_error`` (V,) the mean over
        meshes, with ``near`` also ``sample_near_error`` and ``sample_far_error`` (m,), and for six rows at fixed
        positions ``reconstruction_index`` and ``reconstruction_offset`` (6, V, 3) float16, reconstruction minus mesh.

    Raises:
        TrainingError: if a reconstruction is not finite.
    """
    model.eval()
    errors = np.empty((len(rows), vertices.shape[1]), dtype=np.float32)
    shown = even_positions(len(rows), RECONSTRUCTIONS)
    offsets = np.empty((len(shown), *vertices.shape[1:]), dtype=np.float16)

    def measure(start: int) -> None:
        meshes = np.asarray(vertices[rows[start : start + batch]])
        with torch.inference_mode():  # a thread's own setting
            normalised = arrange(model, torch.from_numpy(normaliser.apply(meshes)).to(device))
            reconstruction = model(normalised).cpu().numpy()
        offset = normaliser.invert(reconstruction) - meshes
        errors[start : start + len(meshes)] = np.sqrt(np.einsum("mvc,mvc->mv", offset, offset))
        for place in np.flatnonzero((shown >= start) & (shown < start + len(meshes))):
            offsets[place] = offset[shown[place] - start]

    batch = BATCH[device.type]
    keep_freed_memory()
    with full_precision(), Workers(1 if device.type == "cuda" else len(rows) // batch) as workers:
        workers.map(measure, range(0, len(rows), batch))

    if not np.isfinite(errors).all():
        bad = rows[~np.isfinite(errors).all(axis=1)][0]
        raise TrainingError(f"the reconstruction of test mesh {bad} is not finite: the model has diverged")
    expressions = samples["expression"].to_numpy()[rows]
    metrics = summary(errors)
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
    if near is not None and near.any() and not near.all():
        for name, part in (("near", near), ("far", ~near)):
            by_mesh = errors[:, part].mean(axis=1, dtype=np.float64)
            metrics[f"{name}_mm"] = float(by_mesh.mean())
            arrays[f"sample_{name}_error"] = by_mesh.astype(np.float32)
    return metrics, arrays


def even_positions(count: int, at_most: int) -> np.ndarray:
    """Up to ``at_most`` of the positions 0 … count - 1, evenly spaced, first and last included."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64))


def summary(errors: np.ndarray) -> dict[str, float | int]:
    """Mean, median, standard deviation and 95th percentile of per-vertex errors (m, V), and the count of meshes."""
    return {
        "mean_mm": float(errors.mean(dtype=np.float64)),
        "median_mm": float(np.median(errors)),
        "std_mm": float(errors.std(dtype=np.float64)),
        "p95_mm": float(np.quantile(errors, 0.95)),
        "meshes": len(errors),
    }
