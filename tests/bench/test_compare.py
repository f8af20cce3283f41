"""The engine beside the published formulation."""

from __future__ import annotations

import pytest


def test_compared_numbers_are_consistent(record):
    rows = record["compare"]
    assert [(row["what"], row["batch"]) for row in rows] == [("training step", 4), ("forward", 1), ("forward", 16)]
    for row in rows:
        assert row["vertices"] == 1200
        assert 0 < row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"]
        assert row["floor_fraction"] == pytest.approx(row["floor_s"] / row["engine_s"]["median"])
    # The dense matrices alone: U and D, (1201, 301) and so on, of float32.
    assert rows[0]["peak_mb"]["published"] > 2 * 4 * 1201 * 301 / 1e6
    assert rows[0]["peak_mb"]["engine"] > 0
