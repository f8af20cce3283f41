"""Which runs an artefact shows, what of them is missing, and what they amount to."""

from __future__ import annotations

import numpy as np
import pytest
from paper_results import everything, fake_result

from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.figures.curves import figure6
from bench3dmm.papers.setup import Setup, choose, summarise


def test_the_command_says_what_differs_from_the_default():
    assert Setup().command("splits") == "bench3dmm sweep splits --profile quick"
    other = Setup(bu3dfe="mh-scan@clean", profile="paper", seeds=range(5))
    assert other.command("datasets") == "bench3dmm sweep datasets --bu3dfe mh-scan@clean --profile paper --seeds 5"


def test_missing_runs_are_listed_in_one_breath():
    results = [
        result
        for result in everything(split="percentage")
        if result.run.latent < 256 and not (result.run.latent < 64 and result.run.seed == 2)
    ]
    shown = choose("it", results, Setup(), "splits").footer
    assert "missing: percentage d = 8, 16 (seed 2); percentage d = 256, 512; identity d = 8, 16, 64, 256, 512" in shown
    assert "missing" not in choose("it", everything(), Setup(), "splits").footer


def test_runs_on_two_versions_of_a_dataset_are_not_mixed():
    results = everything()
    results[-1] = fake_result(results[-1].run, dataset_recipe_sha256="older")
    with pytest.raises(DataError, match="mh-scan, identity split, were measured on 2 versions"):
        figure6(results)


def test_summary_over_seeds():
    cell = summarise([fake_result(run) for run in Setup().runs("splits", split="identity", latent=16)])
    row = cell.iloc[0]
    assert len(cell) == 1 and row["seeds"] == 3
    assert row["mean"] == pytest.approx(2.31) and row["sd"] == pytest.approx(0.01)
    assert (row["lowest"], row["highest"]) == pytest.approx((2.30, 2.32))
    assert row["low"] < row["mean"] < row["high"] and row["high"] - row["low"] < 0.1
    assert row["near"] == pytest.approx(0.5 * row["mean"]) and row["far_sd"] == pytest.approx(0.0125)
    assert np.isnan(summarise([fake_result(Setup().runs("splits")[0])]).iloc[0]["sd"])
