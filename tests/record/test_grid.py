"""Many runs, and what tells them apart."""

from __future__ import annotations

import dataclasses

from bench3dmm.record.grid import grid, varying_fields
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
