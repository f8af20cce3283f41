"""The operators that make templates of the head."""

from __future__ import annotations

import numpy as np

from bench3dmm.data.synthetic.head import load_head, load_topology


def test_operators_are_affine():
    head = load_head()
    for name in ("seq", "scan"):
        operator = load_topology(head, name).operator
        np.testing.assert_allclose(np.asarray(operator.sum(axis=1)).ravel(), 1, atol=1e-12)
