"""What the machine has."""

from __future__ import annotations

import os

from bench3dmm.runs.sweep import _default_jobs
from bench3dmm.system import device


def test_cores_are_counted_where_the_system_has_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert device.usable_cores() == 3
    assert _default_jobs("cpu") == 3
