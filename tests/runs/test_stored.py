"""Which of the runs asked for are stored."""

from __future__ import annotations

import numpy as np
import pytest
from paper_results import fake_result

from bench3dmm.data import recipe_sha256
from bench3dmm.errors import DataError
from bench3dmm.papers.setup import Setup
from bench3dmm.runs.results import Result, save_result
from bench3dmm.runs.stored import stored_results


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
