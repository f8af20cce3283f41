"""The engine of claims: what an interval beside a threshold says, and what stands in the way."""

from __future__ import annotations

import json
import math

import pytest
from fixed_claims import claim, found

from bench3dmm.statistics.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, Finding, judge, verdict_table
from bench3dmm.system.storage import canonical_json


def verdict_on(one, finding):
    (verdict,) = judge([one], {one.id: finding})
    return verdict


@pytest.mark.parametrize(
    ("side", "ends", "verdict", "reason"),
    [
        ("below", (0.7, 0.9), REPRODUCED, "the whole interval is below 1"),
        ("below", (0.7, 1.1), INCONCLUSIVE, "the interval contains 1"),
        ("below", (1.1, 1.3), NOT_REPRODUCED, "nothing of the interval is below 1"),
        ("below", (0.7, 1.0), INCONCLUSIVE, "the interval contains 1"),
        ("above", (1.1, 1.3), REPRODUCED, "the whole interval is above 1"),
        ("above", (0.7, 1.1), INCONCLUSIVE, "the interval contains 1"),
        ("above", (0.7, 1.0), NOT_REPRODUCED, "nothing of the interval is above 1"),
        ("above", (1.1, math.inf), REPRODUCED, "the whole interval is above 1"),
    ],
)
def test_an_interval_decides_by_its_side_of_the_threshold(side, ends, verdict, reason):
    low, high = ends
    given = verdict_on(claim(side=side), found(low, (low + high) / 2, high))
    assert (given.verdict, given.reason) == (verdict, reason)


def test_obstacles_stand_in_the_way_of_any_verdict_and_the_effect_is_kept():
    given = verdict_on(claim(), found(0.7, 0.8, 0.9, obstacles=("two seeds", "another set")))
    assert (given.verdict, given.reason) == (INCONCLUSIVE, "two seeds; another set")
    assert given.effect.point == 0.8
    assert verdict_on(claim(), Finding(effect=None)).reason == "no results"


def test_what_was_measured_is_said_in_a_line():
    assert Finding(effect=None).data == "no results"
    where = {"faces identity": 60, "faces percentage": 80}
    given = found(0, 0, 0, profile="quick", seeds=(0, 2), test_meshes=where, persons={"faces identity": 12})
    assert given.data == (
        "faces identity: 60 test meshes of 12 persons; faces percentage: 80 test meshes; "
        "profile quick, 30 epochs; seeds 0, 2"
    )


def test_a_record_has_no_number_that_json_lacks():
    given = verdict_on(claim(), found(0.5, 2.0, math.inf, seed_effects=(1.0, math.nan), paper_effect=math.inf))
    record = json.loads(canonical_json(given.as_dict()))
    assert (record["low"], record["effect"], record["high"]) == (0.5, 2.0, None)
    assert record["seed_effects"] == [1.0, None] and record["paper_effect"] is None
    assert record["holds_if"] == {"side": "below", "threshold": 1.0, "why": "said"}


def test_a_row_a_claim_in_their_order():
    claims = [claim("b"), claim("a", threshold=0.5)]
    table = verdict_table(judge(claims, {"a": found(0.1, 0.2, 0.3), "b": Finding(effect=None)}))
    assert list(table.index) == ["b", "a"]
    assert table.loc["a", "95 % interval"] == "[0.1, 0.3]" and table.loc["a", "holds if"] == "below 0.5"
    assert math.isnan(table.loc["b", "ours"]) and table.loc["b", "95 % interval"] == ""
