"""Errors carry their message wherever they go."""

from __future__ import annotations

import pickle

from bench3dmm.errors import UnknownNameError


def test_an_unknown_name_reaches_the_parent_of_a_process():
    error = UnknownNameError("model", "tny", ["tiny"])
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
