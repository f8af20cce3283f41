"""Runs on `sphere_sets` that take a moment: one that is trained, one in closed form, one to be interrupted."""

from __future__ import annotations

from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute

RUN = Run(dataset="sphere", latent=4, epochs=1)
PCA = Run(dataset="sphere", model="pca", latent=4)
LONG = Run(dataset="sphere", latent=4, epochs=6, batch_size=6)


def train_both(folder, dataset):
    """The results of `RUN` and `PCA`, by run, stored in a folder."""
    return {run: execute(run, folder, "cpu", progress=False, dataset=dataset) for run in (RUN, PCA)}
