"""What a task says of itself, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from plain_tasks import TASK
from small_runs import PCA
from sphere_sets import sphere_dataset
from synthetic_results import make_result

from bench3dmm.data.rows import rows_of
from bench3dmm.errors import DataError
from bench3dmm.runs.execute import execute
from bench3dmm.tasks.reconstruction import SUMMARY
from bench3dmm.tasks.registry import get_task, task_names, task_origin
from bench3dmm.tasks.task import HIGHER, LOWER, Measure, Task

OWN = [name for name in task_names() if task_origin(name) is None]


# --- measures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "metrics", "value"),
    [
        ("mean_mm", {"mean_mm": 1.5}, 1.5),
        ("edits.inside_mm", {"edits": {"inside_mm": 2}}, 2.0),
        ("edits.inside_mm", {"edits": {"outside_mm": 2}}, None),
        ("edits.inside_mm", {"inside_mm": 2}, None),
        ("edits.inside_mm", {"edits": 3.0}, None),
        ("edits.ratio", {"edits": {"ratio": None}}, None),
        ("mean_mm", {}, None),
    ],
)
def test_a_measure_finds_its_value_or_none(key, metrics, value):
    found = Measure(key, "error").of(metrics)
    assert math.isnan(found) if value is None else (found == value and isinstance(found, float))


def test_a_heading_has_the_unit_unless_there_is_none():
    assert Measure("mean_mm", "error").heading == "error (mm)"
    assert Measure("ratio", "in / out", "").heading == "in / out"


@pytest.mark.parametrize("name", OWN)
def test_the_project_s_tasks_say_what_they_measure(name):
    task = get_task(name)
    assert task.name == name and task.summary and "\n" not in task.summary
    assert task.headline is task.measures[0] and task.headline.required
    keys = [measure.key for measure in task.measures]
    assert len(set(keys)) == len(keys) and {measure.better for measure in task.measures} <= {LOWER, HIGHER}
    assert len(set(task.arrays)) == len(task.arrays)
    assert task.baselines and len({one.name for one in task.baselines}) == len(task.baselines)
    assert all(one.label and one.summary for one in task.baselines)


# --- what it does if it is told no more ---------------------------------------------------------------------------


def test_a_task_begins_with_new_weights_on_the_rows_of_the_split(spheres):
    plain = Task()
    assert plain.base(PCA) is None and plain.baseline_scores({}) == {} and not plain.checks and not plain.any_model
    rows, expected = plain.rows(PCA, spheres), rows_of(PCA, spheres)
    np.testing.assert_array_equal(rows.train, expected.train)
    np.testing.assert_array_equal(rows.test, expected.test)
    assert rows.hashes == expected.hashes


def test_what_only_a_task_itself_can_say_is_asked_of_it():
    for ask in (
        lambda: Task().objective(PCA, None, None, None, None),
        lambda: Task().measure(PCA, None, None, None, None, None),
        lambda: Task().scores({}),
    ):
        with pytest.raises(NotImplementedError):
            ask()


# --- results ------------------------------------------------------------------------------------------------------


@pytest.fixture
def complete():
    """Metrics and arrays of a reconstruction, with nothing missing."""
    result = make_result(PCA, sphere_dataset(), 1.0)
    return result.metrics, {**dict.fromkeys(get_task("reconstruction").arrays), **result.arrays}


def test_a_complete_result_is_taken(complete):
    metrics, arrays = complete
    get_task("reconstruction").check_result(metrics, arrays)
    get_task("reconstruction").check_result(metrics)


@pytest.mark.parametrize("key", SUMMARY)
@pytest.mark.parametrize("value", [None, -1e-9, math.nan, math.inf])
def test_a_required_measure_that_is_no_measurement_is_named(complete, key, value):
    metrics, _ = complete
    with pytest.raises(DataError, match=rf"^the metric {key} is missing, negative or not finite$"):
        get_task("reconstruction").check_result({**metrics, key: value})
    broken = {**metrics, "by_expression": {"happy": {**metrics["by_expression"]["all"], key: value}}}
    with pytest.raises(DataError, match=rf"^the metric {key} of happy is missing, negative or not finite$"):
        get_task("reconstruction").check_result(broken)


@pytest.mark.parametrize("groups", [None, 3, ["happy"]])
def test_a_reconstruction_without_its_expressions_is_refused(complete, groups):
    with pytest.raises(DataError, match="lack by_expression"):
        get_task("reconstruction").check_result({**complete[0], "by_expression": groups})


def test_what_is_not_required_may_be_missing(complete):
    metrics, _ = complete
    get_task("reconstruction").check_result({key: metrics[key] for key in (*SUMMARY, "by_expression")})
    get_task("reconstruction").check_result({**metrics, "near_mm": None, "compactness": math.nan})


@pytest.mark.parametrize("name", ["reconstruction", "manipulation", "manipulation-by-regions"])
def test_each_array_that_is_missing_is_named(complete, name):
    task, (metrics, _) = get_task(name), complete
    metrics = {**metrics, "manipulation": dict.fromkeys(("inside_mm", "control_mm"), 1.0)}
    task.check_result(metrics)
    task.check_result(metrics, dict.fromkeys(task.arrays))
    for missing in task.arrays:
        with pytest.raises(DataError, match=rf"^lacks {missing}$"):
            task.check_result(metrics, {array: 0 for array in task.arrays if array != missing})
    with pytest.raises(DataError, match=", ".join(task.arrays)):
        task.check_result(metrics, {})


def test_a_manipulation_without_edits_is_refused(complete):
    with pytest.raises(DataError, match=r"the metric manipulation\.inside_mm is missing"):
        get_task("manipulation").check_result(complete[0])


def test_a_task_of_ones_own_has_the_same_refusals():
    TASK.check_result({"centre": {"mean_mm": 0.5}}, dict.fromkeys(TASK.arrays))
    with pytest.raises(DataError, match=r"the metric centre\.mean_mm is missing"):
        TASK.check_result({"centre": {}})
    with pytest.raises(DataError, match="lacks rows, mean_face"):
        TASK.check_result({"centre": {"mean_mm": 0.5}}, {"distances": 0})


# --- scores -------------------------------------------------------------------------------------------------------


def test_the_scores_of_a_reconstruction_average_to_its_headline(spheres, tmp_path):
    result = execute(PCA, tmp_path, "cpu", progress=False, dataset=spheres)
    scores = get_task("reconstruction").scores(result.arrays)
    np.testing.assert_array_equal(scores.rows, rows_of(PCA, spheres).test)
    assert scores.values.mean(dtype=np.float64) == pytest.approx(result.score, rel=1e-6)
    assert result.score == result.metrics["mean_mm"]
    assert get_task("reconstruction").baseline_scores(result.arrays) == {}, "PCA is trained like any other"
