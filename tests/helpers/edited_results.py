"""Results of the experiment ``manipulation`` without training."""

from __future__ import annotations

import numpy as np

from bench3dmm.data.tables import persons
from bench3dmm.runs.results import Result
from bench3dmm.tasks.parts.edits import EDITORS, MEASURES, OTHER, SAME

REGIONS = ("nose", "mouth")
PAIRS = 60
SCALES = {"manipulation": 1.0, "manipulation-from-scratch": 1.5, "manipulation-by-regions": 0.8}


def edited_result(run):
    """Movements around 4 mm inside and 0.5 mm outside; the references are the same in every result."""
    rng = np.random.default_rng([run.seed, run.model == "pca", len(run.preset), len(run.task)])
    values = np.ones((len(EDITORS), PAIRS, len(REGIONS), len(MEASURES))) * [1.0, 1.2, 4.0, 0.5, 0.25, 20.0]
    values[0] *= SCALES[run.task] * (2 if run.model == "pca" else 1) * rng.normal(1, 0.1, (PAIRS, 1, 1))
    values[1, ..., 2:] = 0
    rows = np.linspace(0, len(persons(run.dataset)) - 1, PAIRS).astype(int)
    edited = {"by_region": dict.fromkeys(REGIONS), "by_pair": {SAME: None, OTHER: None}}
    edited |= {"inside_mm": float(values[0, ..., 0].mean()), "control_mm": float(values[0, ..., 1].mean())}
    metrics = {"mean_mm": 1.0, "manipulation": edited}
    arrays = {
        "edit_values": values.astype(np.float32),
        "edit_full": values[..., 0, 0].astype(np.float32),
        "edit_pairs": np.stack([rows, rows[::-1]], axis=1),
    }
    made = {"dataset_recipe_sha256": "recipe", "split_sha256": run.split, "device": "a machine"}
    return Result(run, metrics, made, arrays)
