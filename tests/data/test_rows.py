"""Which meshes a run trains and tests on."""

from __future__ import annotations

import numpy as np

from bench3dmm.data.rows import rows_of_profile
from bench3dmm.record.profiles import PROFILES


def test_profiles_take_meshes_evenly():
    train, test = np.arange(0, 4000, 2), np.arange(1, 1001, 2)
    chosen, tested = rows_of_profile(train, test, PROFILES["smoke"])
    assert len(chosen) == 128
    assert len(tested) == 32
    assert chosen[0] == 0
    assert chosen[-1] == 3998
    assert np.diff(chosen).max() - np.diff(chosen).min() <= 2
    whole = rows_of_profile(train, test, PROFILES["paper"])
    np.testing.assert_array_equal(whole[0], train)
    np.testing.assert_array_equal(whole[1], test)
    assert [len(rows) for rows in rows_of_profile(np.arange(9000), np.arange(900), PROFILES["quick"])] == [2000, 400]
