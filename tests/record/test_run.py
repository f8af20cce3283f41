"""A run's record and its id."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from bench3dmm.errors import Bench3dmmError
from bench3dmm.record.run import ADDED, Run
from bench3dmm.system.checkout import ROOT


def test_run_id_is_pinned():
    """Stored results are found by it: a change here makes all of them unreachable."""
    assert Run(dataset="mh-scan").run_id == "8113aecfb261"


def test_equal_runs_have_equal_ids_whatever_the_number_types():
    one = Run(dataset="mh-scan", latent=16, learning_rate=1)
    other = Run(dataset="mh-scan", latent=np.int64(16), learning_rate=np.float64(1.0))
    assert one == other
    assert one.run_id == other.run_id
    assert json.loads(json.dumps(other.as_dict())) == one.as_dict()


def test_every_field_changes_the_id():
    base = Run(dataset="mh-scan")
    ids = {base.run_id}
    for field in dataclasses.fields(Run):
        value = getattr(base, field.name)
        changed = value + "x" if isinstance(value, str) else value + 1
        if field.name in ("learning_rate_decay", "test_share", "warm_up"):
            changed = 0.5
        changed = {"profile": "quick", "task": "manipulation", "final_learning_rate": 1e-4, "factors": "4,4"}.get(
            field.name, changed
        )
        ids.add(dataclasses.replace(base, **{field.name: changed}).run_id)
    assert len(ids) == len(dataclasses.fields(Run)) + 1


def test_a_field_that_came_later_changes_no_old_id_and_may_be_missing():
    old = {name: value for name, value in Run(dataset="mh-scan").as_dict().items() if name not in ADDED}
    assert set(ADDED) == {"optimizer", "schedule", "final_learning_rate", "warm_up", "task", "factors"}
    assert Run.from_dict(old) == Run(dataset="mh-scan")
    assert Run.from_dict({**old, "optimizer": "sgd"}).run_id != Run(dataset="mh-scan").run_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", ""),
        ("dataset", 3),
        ("latent", 0),
        ("latent", 2.5),
        ("latent", "16"),
        ("latent", True),
        ("seed", -1),
        ("epochs", -1),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate_decay", 1.5),
        ("weight_decay", -1e-5),
        ("profile", "fast"),
        ("warm_up", 1.0),
        ("final_learning_rate", 2e-3),
        ("factors", "four"),
        ("factors", "4,,4"),
        ("factors", "4,0.5"),
        ("factors", "4,1.005"),
        ("factors", "4,-4"),
        ("factors", "4,1e1"),
        ("factors", "4,inf"),
        ("factors", "4;4"),
        ("factors", "auto,4"),
        ("factors", "10000,4"),
        ("factors", (4, 4)),
    ],
)
def test_wrong_values_are_refused_by_name(field, value):
    with pytest.raises(Bench3dmmError, match=field):
        Run(**{"dataset": "mh-scan", field: value})


def test_a_run_has_fields_where_all_of_them_are_equal():
    run = Run("mh-scan", latent=8)
    assert run.has(latent=8, dataset="mh-scan") and run.has()
    assert not run.has(latent=8, dataset="mh-seq")


@pytest.mark.parametrize(
    ("told", "stored", "numbers"),
    [
        ("auto", "auto", None),
        (" auto ", "auto", None),
        ("4,4,4,2", "4,4,4,2", (4, 4, 4, 2)),
        ("4, 4.0,4.00 ,02", "4,4,4,2", (4, 4, 4, 2)),
        ("2.50,1.05", "2.5,1.05", (2.5, 1.05)),
        ("1234.56", "1234.56", (1234.56,)),
        ("3", "3", (3,)),
    ],
)
def test_factors_have_one_spelling(told, stored, numbers):
    run = Run("mh-scan", factors=told)
    assert (run.factors, run.level_factors) == (stored, numbers)
    assert Run.from_dict(run.as_dict()) == run
    assert run.run_id == Run("mh-scan", factors=stored).run_id
    assert (run.run_id == Run("mh-scan").run_id) == (numbers is None)


def test_all_stored_runs_keep_their_ids():
    """Also those that were stored before a field was added, which they lack."""
    paths = sorted((ROOT / "results").glob("*/*.json"))
    assert len(paths) > 100
    for path in paths:
        fields = json.loads(path.read_text())["run"]
        assert Run.from_dict(fields).run_id == path.stem
        assert "factors" in fields or Run.from_dict(fields).factors == "auto"
