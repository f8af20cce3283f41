"""The runs that edit, and what they begin with."""

from __future__ import annotations

from bench3dmm.papers.registry import experiment
from bench3dmm.tasks.published import base_run


def test_manipulations_begin_with_runs_of_the_experiment_lamm():
    runs = experiment("manipulation")
    bases = {base_run(run) for run in runs} - {None}
    longer = {run for run in bases if run.epochs}
    assert [(run.n_epochs, run.seed) for run in longer] == [(120, 0)]
    assert len(bases - longer) == 12 and bases - longer <= set(experiment("lamm"))
    by_regions = {(run.dataset, run.seed) for run in runs if run.task == "manipulation-by-regions"}
    assert by_regions == {(dataset, seed) for dataset in ("mh-seq", "mh-scan") for seed in (0, 1, 2)}
    alone = {(run.model, run.task) for run in runs if base_run(run) is None}
    assert alone == {("lamm", "manipulation-from-scratch"), ("pca", "manipulation")}
