"""The longest runs begin first, as far as stored ones tell."""

from __future__ import annotations

import dataclasses

import pytest
from sphere_sets import sphere_dataset
from synthetic_results import make_result

from bench3dmm.errors import UnknownNameError
from bench3dmm.record.run import Run
from bench3dmm.runs.order import GIVEN, by_length, check_order
from bench3dmm.runs.results import save_result

SMALL = Run("sphere", latent=4, profile="smoke")


def store(folder, run, seconds, at_once=1):
    result = make_result(run, sphere_dataset(), 1.0)
    result.provenance.update(training_seconds=seconds, epochs=run.n_epochs, trained_at_once=at_once)
    save_result(result, folder)


def test_the_longest_comes_first_by_epochs_and_by_what_is_known_of_its_kind(tmp_path):
    other = dataclasses.replace(SMALL, model="coma")
    store(tmp_path, SMALL, 2.0)
    store(tmp_path, other, 20.0)
    store(tmp_path, dataclasses.replace(other, seed=1), 9000.0, at_once=2)
    short, long = (dataclasses.replace(SMALL, seed=5, epochs=epochs) for epochs in (2, 50))
    middle = dataclasses.replace(other, seed=5)
    unknown = dataclasses.replace(SMALL, model="spiralnet")
    runs = [short, middle, long, unknown]
    assert by_length(runs, tmp_path) == [unknown, long, middle, short], "50, 20 and 2 seconds"
    assert by_length(runs, tmp_path, GIVEN) == runs


def test_what_takes_as_long_stays_as_given(tmp_path):
    runs = [dataclasses.replace(SMALL, seed=seed) for seed in (3, 1, 2)]
    assert by_length(runs, tmp_path / "none") == runs
    store(tmp_path, SMALL, 2.0)
    (tmp_path / "smoke" / "0123456789ab.json").write_text("half a f")
    assert by_length(runs, tmp_path) == runs, "a broken result tells nothing"


def test_another_order_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown order 'longst'. Did you mean 'longest'\?"):
        check_order("longst")
