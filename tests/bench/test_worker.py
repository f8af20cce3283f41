"""Measurements in a process of their own."""

from __future__ import annotations

import pytest

from bench3dmm.bench.worker import in_process
from bench3dmm.errors import Bench3dmmError


def test_a_fit_in_closed_form_is_measured_in_its_own_process():
    measured = in_process("closed_form", device="cpu", meshes=400, mesh="face-1200", model="pca")
    assert measured["fit_s"] > 0
    assert measured["peak_mb"] > 2 * 8 * 400**2 / 1e6  # two Gram matrices of float64


def test_failed_measurement_is_one_clear_error():
    with pytest.raises(Bench3dmmError, match=r"measuring step of .*'no-mesh'.* failed"):
        in_process("step", mesh="no-mesh", side="engine", device="cpu")
