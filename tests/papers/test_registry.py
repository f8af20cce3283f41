"""Which papers there are, and which runs their experiments have."""

from __future__ import annotations

import pytest

from bench3dmm.data.synthetic.counts import TABLE1
from bench3dmm.errors import UnknownNameError
from bench3dmm.papers import registry
from bench3dmm.papers.comparison.experiments import PEERS
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import CONVERGENCE_LATENTS
from bench3dmm.papers.registry import experiment
from bench3dmm.record.grid import shown_value, varying_fields
from bench3dmm.record.profiles import PROFILES
from bench3dmm.tasks.published import base_run, published_run

NAMES = ("dataset", "split", "model", "preset", "latent", "profile", "seed")


def test_an_unknown_profile_is_refused():
    with pytest.raises(UnknownNameError, match="smoke"):
        experiment("splits", profile="smok")


@pytest.mark.parametrize("name", registry.experiment_names())
def test_the_fields_that_vary_tell_every_run_of_an_experiment_apart(name):
    runs = experiment(name)
    fields = varying_fields(runs)
    assert len({tuple(shown_value(run, field) for field in fields) for run in runs}) == len(runs)


def test_convergence_runs_of_the_profile_quick_stay_those_that_are_stored():
    runs = experiment("convergence", profile="quick")
    assert [run.epochs for run in runs] == len(CONVERGENCE_LATENTS) * [5, 10, 20, 0, 60, 120]
    assert runs[3].run_id == "64db9693cb6a" and runs[5].run_id == "c88e7d3a81eb"


@pytest.mark.parametrize(("profile", "lengths"), [("smoke", [1, 2, 4, 8]), ("paper", [50, 100, 200, 300, 600, 1200])])
def test_convergence_is_measured_in_multiples_of_the_profiles_epochs(profile, lengths):
    runs = [run for run in experiment("convergence", profile=profile) if run.latent == 16]
    assert [run.n_epochs for run in runs] == lengths
    assert [run.epochs for run in runs if run.n_epochs == PROFILES[profile].epochs] == [0], "no second id for it"


def test_peers_meet_on_one_protocol():
    runs = experiment("peers")
    cells = {(run.dataset, run.split, run.latent) for run in runs}
    assert cells == {
        *(("mh-scan", "percentage", d) for d in (8, 16, 64, 256)),
        *(("mh-seq", "percentage", d) for d in (8, 16, 64, 256)),
        *(("mh-scan", "identity", d) for d in (16, 64)),
    }
    for cell in cells:
        of_cell = [run for run in runs if (run.dataset, run.split, run.latent) == cell]
        seeds = {model: [run.seed for run in of_cell if run.model == model] for model in PEERS}
        assert seeds == {"pca": [0], "coma": [0, 1, 2], "spiralnet": [0, 1, 2], "neural3dmm": [0, 1, 2]}
        shared = ("loss", "profile", "epochs", "split_seed", "test_share", "validation", "learning_rate_decay")
        assert all(len({getattr(run, name) for run in of_cell}) == 1 for name in shared)


def test_neural3dmm_among_its_peers_is_the_run_of_the_papers_figures():
    assert {run for run in experiment("splits") if run.latent in (16, 64)} <= set(experiment("peers"))


def test_lamm_is_small_where_no_gpu_is_expected_and_meets_its_peers():
    runs = experiment("lamm")
    assert {run.preset for run in runs} == {"small", "small-mixer", "small-full-targets"}
    assert {run.preset for run in experiment("lamm", profile="paper")} == {"paper", "paper-mixer", "paper-full-targets"}
    cells = {(run.dataset, run.split, run.latent) for run in experiment("peers")}
    assert {(run.dataset, run.split, run.latent) for run in runs if run.preset == "small"} == cells
    assert all(run == published_run(**{n: getattr(run, n) for n in NAMES}) for run in runs)


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


def test_extrapolation_leaves_out_each_of_comas_expressions():
    runs = experiment("extrapolation")
    assert len({run.split for run in runs}) == 12
    assert {run.split.removeprefix("without:") for run in runs} == set(TABLE1)
    assert {(run.dataset, run.latent, run.seed) for run in runs} == {("mh-seq", 8, 0)}
    assert [run.model for run in runs] == list(PEERS) * 12
