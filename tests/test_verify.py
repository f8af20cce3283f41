"""A stored run that is trained again is compared with itself, not with a stand-in."""

from __future__ import annotations

import dataclasses

import pytest

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.results import load_result, result_path, save_result
from bench3dmm.run import Run, execute
from bench3dmm.verify import stored_run, verify

RUN = Run("sphere", latent=8, profile="smoke")


@pytest.fixture(scope="module")
def stored(spheres, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    execute(RUN, folder, "cpu", progress=False, dataset=spheres)
    return folder


def test_the_same_machine_gives_the_same_bits(stored, spheres, tmp_path):
    before = result_path(RUN, stored).read_bytes()
    compared = verify(RUN, stored, tmp_path, "cpu", False, datasets={"sphere": spheres})
    assert compared.identical and compared.difference == 0 and compared.agrees(0)
    assert result_path(RUN, stored).read_bytes() == before, "the stored result is only read"
    assert compared.again.provenance["created"] >= compared.stored.provenance["created"]


def test_a_number_that_does_not_come_out_is_seen(stored, spheres, tmp_path):
    result = load_result(result_path(RUN, stored))
    wrong = {**result.metrics, "mean_mm": 1.1 * result.metrics["mean_mm"]}
    errors = {**result.arrays, "sample_error": 1.1 * result.arrays["sample_error"]}
    save_result(dataclasses.replace(result, metrics=wrong, arrays=errors), tmp_path / "stored")
    compared = verify(RUN, tmp_path / "stored", tmp_path / "again", "cpu", False, datasets={"sphere": spheres})
    assert not compared.identical and not compared.agrees()
    assert compared.relative == pytest.approx(1 / 1.1 - 1)
    assert compared.agrees(0.1)


def test_what_cannot_be_compared_is_refused(stored, spheres, tmp_path):
    with pytest.raises(DataError, match="another folder"):
        verify(RUN, stored, stored, "cpu", False)
    other = dataclasses.replace(spheres, card={**spheres.card, "recipe_sha256": "another"})
    with pytest.raises(DataError, match="dataset_recipe_sha256"):
        verify(RUN, stored, tmp_path, "cpu", False, datasets={"sphere": other})


def test_runs_are_found_by_their_id(stored):
    assert stored_run(RUN.run_id, stored) == RUN
    with pytest.raises(UnknownNameError, match=RUN.run_id):
        stored_run(RUN.run_id[:-1] + "x", stored)
