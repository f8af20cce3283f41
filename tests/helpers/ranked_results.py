"""Results of models whose errors are known multiples of how hard forty persons are."""

from __future__ import annotations

import numpy as np

from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result
from bench3dmm.statistics.ranking import rank_models

PERSONS = 40


def two_to_a_person(_dataset):
    return np.repeat(np.arange(PERSONS), 2)


def meshes(hard, rng, noise=0.02):
    """Errors of two meshes a person, around what each person's are."""
    return np.repeat(hard, 2) * rng.normal(1, noise, 2 * len(hard))


def result(model, errors, *, seed=0, losses=True, **fields):
    """A run's result with these errors of its test meshes."""
    provenance = {"dataset_recipe_sha256": "data", "split_sha256": "split", "device": "a machine", "parameters": 7}
    provenance |= fields.pop("provenance", {"training_seconds": 60.0 if losses else 1.4})
    rows = fields.pop("rows", np.arange(len(errors)))
    run = Run(**{"dataset": "faces", "model": model, "seed": seed, "profile": "quick", **fields})
    arrays = {"sample_error": np.asarray(errors, np.float32), "sample_index": rows}
    arrays |= {"loss": np.ones(30 if losses else 0), "vertex_error": np.ones(10)}
    return Result(run, {}, provenance, arrays)


def seeds_of(model, factor, *, seed_sd=0.005, count=3, stream=0, **fields):
    """A model whose error is a factor of how hard each person is, times each seed's luck."""
    rng = np.random.default_rng([stream, len(model)])
    hard = np.random.default_rng(0).gamma(8, 1 / 8, PERSONS)
    luck = factor * (1 + seed_sd * rng.normal(size=count))
    return [result(model, meshes(hard * luck[s], rng), seed=s, **fields) for s in range(count)]


def pca(factor, **fields):
    return seeds_of("pca", factor, seed_sd=0, count=1, losses=False, **fields)


def ranked(*models, **options):
    return rank_models([one for model in models for one in model], two_to_a_person, **options)
