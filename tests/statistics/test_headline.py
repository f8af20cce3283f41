"""What is said above every ranking: where PCA is first, and where nothing is claimed."""

from __future__ import annotations

import dataclasses

from ranked_results import pca, seeds_of, two_to_a_person

from bench3dmm.record.run import Run
from bench3dmm.statistics.headline import headline
from bench3dmm.statistics.ranking import rankings
from bench3dmm.tasks.registry import get_task


def at(latent, split, *models):
    return [
        dataclasses.replace(one, run=dataclasses.replace(one.run, latent=latent, split=split))
        for m in models
        for one in m
    ]


def test_where_pca_wins_it_is_said_first():
    worse, better, even = seeds_of("coma", 1.3), seeds_of("coma", 0.7), seeds_of("coma", 1.0, seed_sd=0.05)
    entered = [
        *at(8, "percentage", pca(1.0), better),
        *at(16, "percentage", pca(1.0), even),
        *at(64, "percentage", pca(1.0), worse),
        *at(256, "percentage", pca(1.0), worse),
        *at(8, "identity", pca(1.0), worse),
    ]
    assert headline(rankings(entered, two_to_a_person)) == [
        "PCA, a linear model fitted in 2 s, is first, ahead of coma at d = 64 and 256 on faces, percentage split.",
        "PCA, a linear model fitted in 2 s, is first, ahead of coma at d = 8 on faces, identity split.",
        "PCA, a linear model fitted in 2 s, shares the first place with coma at d = 16 on faces, percentage split.",
        "PCA is beaten by coma at d = 8 on faces, percentage split.",
    ]


def test_the_baseline_of_reconstruction_is_pca():
    assert get_task(Run.task).baselines[0].name == "pca"


def test_the_headline_claims_nothing_without_a_ranking():
    entered = [
        *at(8, "percentage", pca(1.0), seeds_of("coma", 2.0, count=2)),
        *at(16, "percentage", seeds_of("coma", 1.0), seeds_of("spiralnet", 2.0)),
    ]
    entered += at(64, "percentage", pca(1.0), seeds_of("coma", 2.0, count=2))
    assert headline(rankings(entered, two_to_a_person)) == [
        "Not ranked at d = 8 and 64 on faces, percentage split: pca (nothing to compare it with); "
        "coma (2 seeds, fewer than 3).",
        "PCA is not among the models at d = 16 on faces, percentage split: what a linear model reaches is not known.",
    ]
    assert headline([]) == []
