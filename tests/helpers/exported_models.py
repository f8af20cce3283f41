"""Which run of each model is exported, and how exactly it comes out again."""

from __future__ import annotations

from bench3dmm.models import model_names
from bench3dmm.record.run import Run
from bench3dmm.tasks.published import published_run

MODELS = model_names()
ROUNDING = 1e-5
"""Of a code whose deviation is about 1, float32: how far the size of a batch may move it."""


def run_of(model: str) -> Run:
    return published_run(dataset="sphere", model=model, latent=4, epochs=1)
