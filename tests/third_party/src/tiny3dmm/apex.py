"""A task of its own: a person's strongest expressions from their neutral mesh, by any model."""

from dataclasses import dataclass

import numpy as np
import torch

from bench3dmm.models.interface import arrange
from bench3dmm.tasks import HIGHER, Baseline, Measure, Scores, Task, reconstruction_of

NEAR_MM = 2.0


def neutral_of(samples):
    """By person, the row of the neutral mesh."""
    rows = np.flatnonzero(samples["expression"] == "neutral")
    return dict(zip(samples["subject"].iloc[rows], rows, strict=True))


def pairs(samples, rows):
    """(k, 2): the neutral mesh and the strongest of each expression among those rows."""
    neutral = neutral_of(samples)
    chosen = samples.iloc[rows]
    strong = rows[(chosen["expression"] != "neutral") & (chosen["level"] == samples["level"].max())]
    return np.array([(neutral[samples["subject"].iloc[row]], row) for row in strong])


@dataclass(frozen=True)
class ToApex:
    """The mean absolute distance of what a model makes of the neutral mesh to the apex."""

    places: torch.Tensor  # (k, 2) among the training meshes

    def examples(self, count, seed, epoch):
        order = torch.randperm(len(self.places), generator=torch.Generator().manual_seed(1000 * seed + epoch))
        return self.places[order, 0], self.places[order, 1]

    def value(self, model, meshes, neutral, apex):
        return (model(arrange(model, meshes[neutral])) - meshes[apex]).abs().mean()


class Apex(Task):
    """Apex from neutral."""

    name = "tiny-apex"
    summary = "a person's strongest expressions from their neutral mesh"
    any_model = True
    measures = (
        Measure("apex.near_percent", f"share of vertices within {NEAR_MM:g} mm", "%", HIGHER, required=True),
        Measure("apex.mean_mm", "distance", required=True),
    )
    arrays = ("apex_near", "apex_near_neutral", "apex_rows")
    baselines = (Baseline("neutral", "The neutral mesh", "kept as it is"),)

    def base(self, run):
        return reconstruction_of(run)

    def objective(self, run, model, dataset, rows, device):
        known = pairs(dataset.samples, rows.train)
        known = known[np.isin(known[:, 0], rows.train)]
        return ToApex(torch.from_numpy(np.searchsorted(rows.train, known)).to(device))

    def measure(self, run, model, dataset, rows, normaliser, device):
        neutral, apex = pairs(dataset.samples, rows.test).T
        given, truth = dataset.vertices[neutral], dataset.vertices[apex]
        with torch.inference_mode():
            made = model(arrange(model, torch.from_numpy(normaliser.apply(given)).to(device))).cpu().numpy()
        distance = np.linalg.norm(normaliser.invert(made) - truth, axis=2)
        near, kept = (100 * (d < NEAR_MM).mean(axis=1) for d in (distance, np.linalg.norm(given - truth, axis=2)))
        metrics = {"apex": {"near_percent": float(near.mean()), "mean_mm": float(distance.mean())}}
        return metrics, {"apex_near": near, "apex_near_neutral": kept, "apex_rows": apex}

    def scores(self, arrays):
        return Scores(arrays["apex_near"], arrays["apex_rows"])

    def baseline_scores(self, arrays):
        return {"neutral": arrays["apex_near_neutral"]}
