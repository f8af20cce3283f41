"""What of some runs is stored, and in which state."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from paper_results import fake_result
from sphere_sets import sphere_dataset
from synthetic_results import make_result

from bench3dmm.data import recipe_sha256
from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.papers.setup import Setup
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result, save_result
from bench3dmm.runs.stored import stored_results, stored_run, stored_state

RUN = Run("mh-scan", latent=4)


def store(run, folder, recipe):
    result = make_result(run, sphere_dataset(run.dataset), 1.0)
    result.provenance["dataset_recipe_sha256"] = recipe
    save_result(result, folder)


def test_a_result_is_missing_stored_or_stale(tmp_path):
    assert stored_state(RUN, tmp_path) == "missing"
    store(RUN, tmp_path, recipe_sha256(RUN.dataset))
    assert stored_state(RUN, tmp_path) == "stored"
    store(RUN, tmp_path, "of another version")
    assert stored_state(RUN, tmp_path) == "stale"


def test_a_result_on_data_that_are_not_here_counts_as_stored(tmp_path):
    run = dataclasses.replace(RUN, dataset="coma")
    store(run, tmp_path, "of an import elsewhere")
    assert stored_state(run, tmp_path) == "stored"


def test_runs_are_found_by_their_id(tmp_path):
    store(RUN, tmp_path, recipe_sha256(RUN.dataset))
    assert stored_run(RUN.run_id, tmp_path) == RUN
    with pytest.raises(UnknownNameError, match=RUN.run_id):
        stored_run(RUN.run_id[:-1] + "x", tmp_path)


def test_a_folder_without_results_is_said_to_be_empty(tmp_path, command):
    with pytest.raises(DataError, match=r"holds no results.*--results-dir"):
        stored_run(RUN.run_id, tmp_path)
    code, _, err = command("verify", "--results-dir", tmp_path)
    assert code == 1 and err.startswith(f"error: {tmp_path} holds no results")


def test_stored_results_are_those_there_are(tmp_path):
    first, second = Setup().runs("splits")[:2]
    result = fake_result(first)
    metrics = {**result.metrics, "std_mm": 1.0, "p95_mm": 2.0, "by_expression": {}}
    arrays = {**result.arrays, "sample_index": np.arange(30), "vertex_error": np.ones(1)}
    provenance = {**result.provenance, "dataset_sha256": "", "hierarchy_sha256": ""}
    provenance |= {"device": "cpu", "versions": {}, "created": "", "dataset_recipe_sha256": recipe_sha256("mh-scan")}
    save_result(Result(first, metrics, provenance, arrays), tmp_path)
    assert [stored.run for stored in stored_results([second, first], tmp_path)] == [first]
    save_result(Result(second, metrics, provenance | {"dataset_recipe_sha256": "another"}, arrays), tmp_path)
    with pytest.raises(DataError, match=rf"{second.run_id}.*another version of mh-scan.*--force"):
        stored_results([second, first], tmp_path)
