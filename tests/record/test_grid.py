"""Many runs, and what tells them apart."""

from __future__ import annotations

import dataclasses

from bench3dmm.record.grid import differences, grid, varying_fields
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run

RUN = Run("mh-scan", latent=4)


def test_grid_is_the_product_of_its_axes():
    runs = grid(dataset="mh-scan", latent=[8, 16], seed=range(2))
    assert [(run.latent, run.seed) for run in runs] == [(8, 0), (8, 1), (16, 0), (16, 1)]


def test_runs_differ_in_how_long_they_train_not_in_how_that_is_written():
    spelt_out = dataclasses.replace(RUN, epochs=PROFILES["smoke"].epochs)
    assert varying_fields([RUN, spelt_out]) == []
    assert varying_fields([RUN, dataclasses.replace(RUN, epochs=9, seed=1)]) == ["seed", "epochs"]


def test_a_field_may_be_any_of_a_list_a_tuple_and_a_range_and_text_is_one_value():
    runs = grid(dataset="mh-scan", model=("pca", "coma"), latent=[8], seed=range(1))
    assert [(run.dataset, run.model, run.latent, run.seed) for run in runs] == [
        ("mh-scan", "pca", 8, 0),
        ("mh-scan", "coma", 8, 0),
    ]
    assert grid(dataset="mh-scan", seed=[]) == []


def test_fields_that_vary_come_in_the_order_of_a_run_s():
    runs = grid(seed=[0, 1], dataset=["mh-scan", "mh-seq"], latent=16)
    assert varying_fields(runs) == ["dataset", "seed"]
    assert varying_fields([]) == []


def test_differences_are_of_one_run_among_others_and_where_there_are_none_its_dataset():
    runs = grid(dataset="mh-scan", latent=[8, 16], epochs=[0, 5])
    assert [differences(run, runs) for run in runs] == [
        "latent=8, epochs=2",
        "latent=8, epochs=5",
        "latent=16, epochs=2",
        "latent=16, epochs=5",
    ]
    assert differences(RUN, [RUN]) == "mh-scan"
