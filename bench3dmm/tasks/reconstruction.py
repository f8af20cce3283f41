"""Reconstruction: meshes from their codes, as every paper here trains an autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench3dmm.data.rows import Rows
from bench3dmm.data.splits import SPLITS
from bench3dmm.errors import DataError
from bench3dmm.record.run import Run
from bench3dmm.tasks.registry import register
from bench3dmm.tasks.task import HIGHER, Baseline, Measure, Scores, Task, check_value

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.data.normaliser import Normaliser
    from bench3dmm.training.objective import Objective

SUMMARY = ("mean_mm", "median_mm", "std_mm", "p95_mm")  # of all errors, and of each expression's
RECONSTRUCTIONS = 6  # that a result keeps


@register
class Reconstruction(Task):
    """The loss between a mesh and its reconstruction; the paper's generalization error (section 4.3)."""

    name = "reconstruction"
    summary = "meshes from their codes"
    any_model = True
    measures = (
        Measure("mean_mm", "error", required=True),
        Measure("median_mm", "median", required=True),
        Measure("std_mm", "standard deviation", required=True),
        Measure("p95_mm", "95th percentile", required=True),
        Measure("near_mm", "within 10 mm of a landmark"),
        Measure("far_mm", "elsewhere"),
        Measure("normal_deg", "normals", "°"),
        Measure("specificity_mm", "specificity"),
        Measure("compactness", "compactness", "", HIGHER),
    )
    arrays = (
        "histogram",
        "histogram_edges",
        "sample_error",
        "sample_index",
        "vertex_error",
        "reconstruction_index",
        "reconstruction_offset",
    )
    baselines: tuple[Baseline, ...] = (Baseline("pca", "PCA", "a linear model"),)

    def objective(self, run: Run, model: nn.Module, dataset: Dataset, rows: Rows, device: torch.device) -> Objective:
        from bench3dmm.training.losses import make_loss
        from bench3dmm.training.objective import Reconstruction as Objective

        return Objective(make_loss(run.loss, dataset.template, device))

    def measure(
        self, run: Run, model: nn.Module, dataset: Dataset, rows: Rows, normaliser: Normaliser, device: torch.device
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        from bench3dmm.tasks.parts.errors import evaluate
        from bench3dmm.tasks.parts.shape_model import measure_shape_model

        metrics, arrays = evaluate(
            model,
            dataset.vertices,
            dataset.samples,
            rows.test,
            normaliser,
            device,
            dataset.template,
            reconstructions=kept_reconstructions(run),
        )
        shapes = measure_shape_model(model, dataset.vertices, rows.train, normaliser, device)
        metrics |= {
            "compactness": shapes.compactness,
            "specificity_mm": float(shapes.specificity.mean()),
            "specificity_sd_mm": float(shapes.specificity.std(ddof=1)),
        }
        return metrics, {**arrays, "specificity": shapes.specificity}

    def scores(self, arrays: Mapping[str, np.ndarray]) -> Scores:
        return Scores(arrays["sample_error"], arrays["sample_index"])

    def check_result(self, metrics: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        super().check_result(metrics, arrays)
        if not isinstance(groups := metrics.get("by_expression"), Mapping):
            raise DataError("the metrics lack by_expression")
        for label, group in groups.items():
            for key in SUMMARY:
                check_value(f"{key} of {label}", Measure(key, key).of(group))


def kept_reconstructions(run: Run) -> int:
    """How many reconstructions a result keeps: what figures show, because results are to fit into a repository."""
    if run.split not in SPLITS:
        return 0
    if run.model == Run.model:  # of the replicated paper
        return RECONSTRUCTIONS
    return 1 if run.seed == 0 else 0
