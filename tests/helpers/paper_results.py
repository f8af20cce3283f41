"""Results of the replicated paper's experiments without training: a number for every run."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench3dmm.papers.setup import Setup
from bench3dmm.runs.results import Result

CONVERGING = {16: {5: 2.0, 30: 1.2, 120: 1.0}, 256: {30: 0.75, 120: 0.5}}  # mm by latent size and epochs
LICENSED = Setup(coma="coma", bu3dfe="bu3dfe")


def mean_of(run) -> float:
    """A number that differs between all runs of an experiment."""
    of = {"identity": 0.3, "percentage": 0.0, "weighted-l1": 0.2, "l1": 0.0}
    return 8 / run.latent**0.5 + of[run.split] + of[run.loss] + 0.01 * run.seed - 0.5 * run.dataset.startswith("mh-seq")


def fake_result(run, n_vertices=1, **provenance) -> Result:
    """Errors of `mean_of` everywhere, in two bins of the histogram; reconstructions are off by 2 mm along z."""
    mean = mean_of(run)
    histogram = np.zeros(1001, dtype=np.int64)
    histogram[[100, 300]] = 300 - run.seed * 100, 100
    arrays = {
        "histogram": histogram,
        "histogram_edges": np.append(np.linspace(0, 10, 1001), np.inf),
        "sample_error": np.linspace(mean - 0.1, mean + 0.1, 30).astype(np.float32),
        "sample_index": np.arange(0, 1770, 59),
        "vertex_error": np.full(n_vertices, mean, np.float32),
        "reconstruction_index": np.arange(6) + (10 if run.split == "identity" else 0),
        "reconstruction_offset": np.zeros((6, n_vertices, 3), np.float16) + np.float16([0, 0, 2]),
        "loss": np.array([0.5, 0.4]),
    }
    metrics = {"mean_mm": mean, "median_mm": 0.8 * mean, "near_mm": 0.5 * mean, "far_mm": 1.25 * mean}
    return Result(run, metrics, {"dataset_recipe_sha256": "recipe", "split_sha256": run.split, **provenance}, arrays)


def everything(of=None, n_vertices=1, **where) -> list[Result]:
    runs = (of or Setup()).runs("datasets", "splits", "weighted-loss", **where)
    return [fake_result(run, n_vertices) for run in runs]


def trained_for(epochs: dict[int, dict[int, float]]) -> list[Result]:
    """Of the experiment ``convergence``: mean errors in mm by latent size and number of epochs."""
    runs = Setup().runs("convergence")
    chosen = [(run, epochs[run.latent][run.n_epochs]) for run in runs if run.n_epochs in epochs.get(run.latent, {})]
    return [dataclasses.replace(fake_result(run), metrics={"mean_mm": error}) for run, error in chosen]
