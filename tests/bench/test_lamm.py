"""LAMM beside spiral models."""

from __future__ import annotations

import torch

THREADS = torch.get_num_threads()


def test_lamm_is_measured_beside_spiral_models(record):
    """Decoding leaves torch its threads; a training step takes no less memory than its meshes."""
    generated = [row for row in record["lamm"] if row["what"] == "generation"]
    assert [(row["model"], row["batch"]) for row in generated] == [
        (model, batch) for model in ("lamm", "neural3dmm") for batch in (1, 16)
    ]
    assert all(0 < row["mesh_s"]["min"] <= row["mesh_s"]["median"] for row in generated)
    assert ["as_trained_ratio" in row for row in generated] == [True, True, False, False]
    assert torch.get_num_threads() == THREADS
    (row, *_) = [row for row in record["lamm"] if row["what"] == "training"]
    meshes = 4 * 32 * 1200 * 3 * 4 / 1e6
    assert row["peak_mb"] > meshes and row["batch"] == 32 and row["step_s"] > 0
