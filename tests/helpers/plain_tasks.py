"""A small task of somebody else's: how far reconstructed persons are from themselves, beside the mean face."""

from __future__ import annotations

import numpy as np
import torch

from bench3dmm.tasks.task import Baseline, Measure, Scores, Task
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.objective import Reconstruction


class Means(Task):
    """Distance between the centroid of a mesh and that of its reconstruction."""

    name = "means"
    summary = "the middle of a face"
    any_model = True
    measures = (Measure("centre.mean_mm", "distance", required=True), Measure("centre.share", "share", ""))
    arrays = ("distances", "rows", "mean_face")
    baselines = (Baseline("mean-face", "The mean", "the middle of the mean face"),)

    def objective(self, run, model, dataset, rows, device):
        return Reconstruction(mean_absolute)

    def measure(self, run, model, dataset, rows, normaliser, device):
        meshes = dataset.vertices[rows.test]
        with torch.inference_mode():
            again = normaliser.invert(model(torch.from_numpy(normaliser.apply(meshes))).numpy())
        middle = meshes.mean(axis=1)
        distances = np.linalg.norm(again.mean(axis=1) - middle, axis=1)
        mean_face = np.linalg.norm(dataset.vertices[rows.train].mean(axis=(0, 1)) - middle, axis=1)
        metrics = {"centre": {"mean_mm": float(distances.mean())}}
        return metrics, {"distances": distances, "rows": rows.test, "mean_face": mean_face}

    def scores(self, arrays):
        return Scores(arrays["distances"], arrays["rows"])

    def baseline_scores(self, arrays):
        return {"mean-face": arrays["mean_face"]}


TASK = Means()
