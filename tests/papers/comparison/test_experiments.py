"""Every model on one protocol: the runs."""

from __future__ import annotations

from bench3dmm.data.synthetic.counts import TABLE1
from bench3dmm.papers.comparison.experiments import PEERS
from bench3dmm.papers.registry import experiment
from bench3dmm.tasks.published import published_run

NAMES = ("dataset", "split", "model", "preset", "latent", "profile", "seed")


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


def test_extrapolation_leaves_out_each_of_comas_expressions():
    runs = experiment("extrapolation")
    assert len({run.split for run in runs}) == 12
    assert {run.split.removeprefix("without:") for run in runs} == set(TABLE1)
    assert {(run.dataset, run.latent, run.seed) for run in runs} == {("mh-seq", 8, 0)}
    assert [run.model for run in runs] == list(PEERS) * 12


def test_lamm_is_small_where_no_gpu_is_expected_and_meets_its_peers():
    runs = experiment("lamm")
    assert {run.preset for run in runs} == {"small", "small-mixer", "small-full-targets"}
    assert {run.preset for run in experiment("lamm", profile="paper")} == {"paper", "paper-mixer", "paper-full-targets"}
    cells = {(run.dataset, run.split, run.latent) for run in experiment("peers")}
    assert {(run.dataset, run.split, run.latent) for run in runs if run.preset == "small"} == cells
    assert all(run == published_run(**{n: getattr(run, n) for n in NAMES}) for run in runs)
