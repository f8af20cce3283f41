"""How times grow."""

from __future__ import annotations

import numpy as np
import pytest

from bench3dmm.bench import scaling


def test_linear_growth_has_exponent_one(record):
    assert scaling.exponent(record["scaling"], "vertices", "engine") == pytest.approx(1)
    squares = [{"axis": "batch", "side": "engine", "value": n, "step_s": 3.0 * n**2} for n in (1, 10, 70)]
    assert scaling.exponent(squares, "batch", "engine") == pytest.approx(2)
    assert np.isnan(scaling.exponent(squares, "batch", "engine", least=50))


def test_scaling_reaches_100_000_vertices_without_dense_matrices():
    points = list(scaling.points())
    assert max(p.value for p in points if p.axis == "vertices") == 100_000
    assert max(p.value for p in points if p.axis == "vertices" and p.side == "published") == scaling.DENSE_LIMIT
