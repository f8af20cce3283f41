"""Results without training: errors with a known mean, the same meshes as hard for every run on a split."""

from __future__ import annotations

import numpy as np

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.splits import make_split
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result

EDGES = np.append(np.linspace(0, 10, 21), np.inf)


def make_result(run: Run, dataset: Dataset, error: float, *, device: str = "a machine", noise: float = 0.02) -> Result:
    """A run's result on its test meshes.

    Args:
        error: mean in mm, up to noise.
        noise: relative deviation of a mesh's error that other runs on the mesh do not share.
    """
    split = make_split(run.split, dataset.samples, run.split_seed, run.test_share)
    rng = np.random.default_rng([run.seed, run.latent, len(run.loss), len(run.preset), run.validation])
    hard = np.random.default_rng(0).gamma(8, 1 / 8, len(dataset))[split.test]
    errors = (error * hard / hard.mean() * rng.normal(1, noise, len(hard))).astype(np.float32)
    n_vertices = dataset.template.n_vertices
    shown = split.test[np.linspace(0, len(split.test) - 1, 6).round().astype(int)]
    arrays = {
        "sample_error": errors,
        "sample_near_error": 0.8 * errors,
        "sample_far_error": 1.1 * errors,
        "sample_index": split.test,
        "vertex_error": np.full(n_vertices, errors.mean()),
        "histogram": np.histogram(np.repeat(errors, 50), EDGES)[0],
        "histogram_edges": EDGES,
        "reconstruction_index": shown,
        "reconstruction_offset": rng.normal(0, error / 2, (len(shown), n_vertices, 3)).astype(np.float16),
        "loss": np.linspace(1, 0.1, 3),
    }
    mean = float(errors.mean(dtype=np.float64))
    metrics = {"mean_mm": mean, "median_mm": 0.9 * mean, "std_mm": 0.5 * mean, "p95_mm": 2 * mean}
    provenance = {
        "dataset_sha256": dataset.sha256,
        "dataset_recipe_sha256": dataset.card.get("recipe_sha256"),
        "split_sha256": split.sha256,
        "hierarchy_sha256": "h" * 64,
        "device": device,
        "versions": {"bench3dmm": "0.1.0", "torch": "2"},
        "created": f"2026-01-0{run.seed + 1}T00:00:00+00:00",
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "parameters": 1000 * run.latent + 10_000,
        "training_seconds": 60.0,
    }
    near = {"near_mm": 0.8 * mean, "far_mm": 1.1 * mean}
    return Result(
        run, {**metrics, **near, "meshes": len(errors), "by_expression": {"all": metrics}}, provenance, arrays
    )
