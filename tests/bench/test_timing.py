"""The clocks: sides in turns, and seconds of one repetition."""

from __future__ import annotations

import time

import numpy as np
from bench_cases import CPU

from bench3dmm.bench.timing import Timing, interleaved, seconds_of


def test_sides_are_timed_in_turns():
    order = []
    actions = {
        "quick": lambda count: (order.append("quick"), time.sleep(0.001 * count)),
        "slow": lambda count: (order.append("slow"), time.sleep(0.01 * count)),
    }
    taken = interleaved(actions, 4, CPU)
    assert order[4:] == ["quick", "quick", "slow", "slow"] * 4  # not timed, timed
    assert {side: len(seconds) for side, seconds in taken.items()} == {"quick": 4, "slow": 4}
    assert (taken["quick"] >= 0.001).all() and (taken["slow"] >= 0.01).all()


def test_seconds_are_of_one_repetition(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def action(count):
        clock[0] += 0.5 * count

    assert seconds_of(action, CPU, 3) == 0.5
    assert clock == [1.5]


def test_timing_of_a_series():
    assert Timing.of(np.array([3.0, 1, 2])) == Timing(2, 1, 3)
