"""Tasks that each break one thing of `bench3dmm.checks.tasks`; `plain_tasks.TASK` breaks none."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from plain_tasks import Means

from bench3dmm.tasks.task import Baseline, Measure, Scores
from bench3dmm.training.objective import Reconstruction

BROKEN: dict[str, tuple[type, str, str]] = {}
"""By name: the task, the check that it fails, and what is said."""


def broken(check, sentence):
    """Decorator: the task fails that check alone, with these words."""

    def add(kind):
        BROKEN[kind.__name__] = (kind, check, sentence)
        return kind

    return add


@broken("facts", "it has no summary")
class Silent(Means):
    summary = ""


@broken("facts", "two measures have the key centre.mean_mm")
class Twice(Means):
    measures = (*Means.measures, Means.measures[0])


@broken("facts", "better of centre.share must be 'lower' or 'higher'")
class Undirected(Means):
    measures = (Means.measures[0], Measure("centre.share", "share", "", "more"))


@broken("facts", "the headline centre.mean_mm must be required")
class Optional(Means):
    measures = (dataclasses.replace(Means.measures[0], required=False),)


@broken("facts", "two baselines are called the same: mean-face, mean-face")
class TwoMeans(Means):
    baselines = (*Means.baselines, Baseline("mean-face", "Another", ""))


@broken("begins", "it begins with a run that differs in latent")
class Elsewhere(Means):
    def base(self, run):
        return dataclasses.replace(run, task="reconstruction", latent=run.latent + 1)


@broken("begins", "it begins with a run of its own task")
class Circular(Means):
    def base(self, run):
        return dataclasses.replace(run, epochs=1)


@broken("rows", "some rows are trained and tested on")
class Peeking(Means):
    def rows(self, run, dataset):
        rows = super().rows(run, dataset)
        return dataclasses.replace(rows, train=np.arange(len(dataset)))


@broken("rows", "rows.test must be ascending row numbers of the dataset, at least one")
class Untested(Means):
    def rows(self, run, dataset):
        return dataclasses.replace(super().rows(run, dataset), test=np.array([], dtype=int))


@broken("rows", "rows.hashes lack split_sha256")
class Unsigned(Means):
    def rows(self, run, dataset):
        rows = super().rows(run, dataset)
        return dataclasses.replace(rows, hashes={k: v for k, v in rows.hashes.items() if k != "split_sha256"})


class _Objective(Reconstruction):
    def __init__(self):
        super().__init__(lambda made, wanted: (made - wanted).abs().mean())


@broken("objective", "examples(count, seed, epoch) gave two answers to one question")
class Drawing(Means):
    def objective(self, *given):
        class Drawn(_Objective):
            def examples(self, count, seed, epoch):
                return (torch.randperm(count),)

        return Drawn()


@broken("objective", "examples do not depend on the seed")
class InOrder(Means):
    def objective(self, *given):
        class Ordered(_Objective):
            def examples(self, count, seed, epoch):
                return (torch.arange(count),)

        return Ordered()


@broken("objective", "must be a finite scalar with a gradient")
class Unsummed(Means):
    def objective(self, *given):
        return Reconstruction(lambda made, wanted: (made - wanted).abs())


@broken("measures", "the metric centre.mean_mm is missing, negative or not finite")
class Blind(Means):
    def measure(self, *given):
        _, arrays = super().measure(*given)
        return {"centre": {}}, arrays


@broken("measures", "lacks mean_face")
class Forgetful(Means):
    def measure(self, *given):
        metrics, arrays = super().measure(*given)
        return metrics, {name: array for name, array in arrays.items() if name != "mean_face"}


@broken("scores", "the headline centre.mean_mm is")
class Other(Means):
    def scores(self, arrays):
        return Scores(2 * arrays["distances"], arrays["rows"])


@broken("scores", "some scores are of rows that are not test rows")
class Misplaced(Means):
    def scores(self, arrays):
        return Scores(arrays["distances"], arrays["rows"] + 1)


@broken("scores", "scores are (m,) values and rows, not")
class Flat(Means):
    def scores(self, arrays):
        return Scores(arrays["distances"][:, None], arrays["rows"])


@broken("scores", "the scores of baseline 'mean' must be (m,), and it must be among baselines")
class Misnamed(Means):
    def baseline_scores(self, arrays):
        return {"mean": arrays["mean_face"]}
