"""Imports go into a cache of their own."""

from __future__ import annotations

import pytest

from bench3dmm.data.imports import importing
from bench3dmm.system.storage import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Each test imports into a cache of its own, four meshes a chunk."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(importing, "CHUNK", 4)
    return tmp_path / "cache"
