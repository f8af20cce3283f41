"""Every expression of the paper's tables has a description."""

from __future__ import annotations

from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.data.synthetic.expressions import BU3DFE, COMA


def test_every_expression_has_a_description():
    assert set(COMA) == set(TABLE1)
    assert set(BU3DFE) == set(TABLE2)
