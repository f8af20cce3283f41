"""The runs behind the replicated paper's figures."""

from __future__ import annotations

import pytest

from bench3dmm.papers.neural3dmm_bu3dfe.experiments import CONVERGENCE_LATENTS
from bench3dmm.papers.registry import experiment
from bench3dmm.record.profiles import PROFILES


def test_convergence_runs_of_the_profile_quick_stay_those_that_are_stored():
    runs = experiment("convergence", profile="quick")
    assert [run.epochs for run in runs] == len(CONVERGENCE_LATENTS) * [5, 10, 20, 0, 60, 120]
    assert runs[3].run_id == "64db9693cb6a" and runs[5].run_id == "c88e7d3a81eb"


@pytest.mark.parametrize(("profile", "lengths"), [("smoke", [1, 2, 4, 8]), ("paper", [50, 100, 200, 300, 600, 1200])])
def test_convergence_is_measured_in_multiples_of_the_profiles_epochs(profile, lengths):
    runs = [run for run in experiment("convergence", profile=profile) if run.latent == 16]
    assert [run.n_epochs for run in runs] == lengths
    assert [run.epochs for run in runs if run.n_epochs == PROFILES[profile].epochs] == [0], "no second id for it"
