"""What a sweep trains next: what others begin with first, what somebody else trains not at all, who died alone."""

from __future__ import annotations

import dataclasses

import pytest

from bench3dmm.errors import ShortOfMemoryError, TrainingError
from bench3dmm.record.run import Run
from bench3dmm.runs import plan as plans
from bench3dmm.runs.claims import BusyError, claimed
from bench3dmm.runs.plan import Outcome, Plan, bases_of, outcome_of, planned
from bench3dmm.runs.results import result_path

STORED, FAILED, BUSY, DIED = Outcome.STORED, Outcome.FAILED, Outcome.BUSY, Outcome.DIED


@pytest.fixture
def based(monkeypatch):
    """Runs of seed 1 and 2 begin with the one of seed 0."""
    first = Run("faces", seed=0)
    monkeypatch.setattr(plans, "base_run", lambda run: first if run.seed in (1, 2) else None)
    return [first, *(dataclasses.replace(first, seed=seed) for seed in (1, 2, 3))]


def test_what_others_begin_with_comes_first_and_once(based, tmp_path):
    first, second, third, other = based
    assert bases_of([second, third, other], tmp_path) == [first]
    plan = planned([second, third, other], tmp_path)
    assert plan.all == based
    assert [plan.next_run(alone=True) for _ in range(3)] == [first, other, None], "the others wait for their base"
    assert plan.end(first, STORED, "1 mm") == "1 mm"
    assert [plan.next_run(alone=False) for _ in range(3)] == [second, third, None]


def test_runs_fail_with_their_base(based):
    first, second, third, other = based
    plan = Plan(based)
    plan.next_run(alone=True)
    assert plan.end(first, FAILED, "no disk") == "failed, no disk"
    assert [run for run, _ in plan.given_up()] == [second, third]
    assert plan.next_run(alone=True) == other and plan.end(other, STORED, "") == "" and plan.done
    assert plan.failures[third] == f"{first.run_id}, which it begins with, failed: no disk"


def test_who_died_is_tried_alone_and_last(based):
    first, second, *_, other = based
    plan = Plan([first, second, other])
    assert [plan.next_run(alone=True), plan.next_run(alone=False)] == [first, other]
    assert plan.end(first, DIED, "signal 9") == "" and plan.next_run(alone=False) is None
    plan.end(other, STORED, "")
    assert plan.next_run(alone=True) == first, "what begins with it still waits"
    assert plan.end(first, DIED, "signal 9") == "failed, signal 9, also when nothing else was trained"
    assert [run for run, _ in plan.given_up()] == [second] and plan.done and list(plan.failures) == [first, second]


def test_what_somebody_else_trains_is_left_and_asked_for_again(based):
    first, *_, other = based
    taken = {first}
    plan = Plan([first, other], lambda run: run not in taken)
    assert [plan.next_run(alone=True), plan.next_run(alone=True)] == [other, None]
    taken.clear()
    assert plan.next_run(alone=False) == first
    assert plan.end(first, BUSY, "somebody was faster") == "" and not plan.done
    assert plan.next_run(alone=False) == first


def test_one_to_be_tried_alone_that_is_busy_stays_one_to_be_tried_alone(based):
    first, *_ = based
    plan = Plan([first])
    plan.next_run(alone=True)
    plan.end(first, DIED, "")
    assert plan.next_run(alone=True) == first and plan.end(first, BUSY, "") == ""
    assert plan.next_run(alone=False) is None and plan.next_run(alone=True) == first


def test_claims_say_who_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "POLL", 0.0)
    run = Run("faces")
    plan = planned([run], tmp_path)
    with claimed(result_path(run, tmp_path)):
        assert plan.next_run(alone=True) is None
    assert plan.next_run(alone=True) == run


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BusyError(""), BUSY),
        (ShortOfMemoryError(""), DIED),
        (TrainingError(""), FAILED),
        (ZeroDivisionError(), FAILED),
    ],
)
def test_errors_say_what_becomes_of_a_run(error, outcome):
    assert outcome_of(error) is outcome
