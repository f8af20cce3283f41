"""A result with just what a heatmap and a curve of errors are drawn from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


def fake_result(scans, seed=0, **changes):
    run = {
        "dataset": "mh-scan",
        "split": "percentage",
        "profile": "smoke",
        "seed": seed,
        "model": "neural3dmm",
        "preset": "paper",
        "latent": 16,
        "loss": "l1",
    }
    index = np.array([0, 9])
    histogram = np.zeros(1001, dtype=np.int64)  # the last bin is all errors above 10 mm
    histogram[[50, 150, 1000]] = 30, 8, 2
    arrays = {
        "reconstruction_index": index,
        "reconstruction_offset": np.zeros((2, *scans.vertices.shape[1:]), np.float16) + np.float16([0, 0, 2]),
        "histogram": histogram,
        "histogram_edges": np.append(np.linspace(0, 10, 1001), np.inf),
        "loss": np.array([0.5, 0.4, 0.3]),
    }
    return SimpleNamespace(
        provenance={"dataset_recipe_sha256": None}, run=SimpleNamespace(**{**run, **changes}), arrays=arrays
    )
