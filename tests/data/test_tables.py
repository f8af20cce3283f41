"""Whose meshes a dataset has, without the meshes."""

from __future__ import annotations

import pytest
from sphere_sets import sphere_dataset

from bench3dmm.data import cache
from bench3dmm.data import registry as data
from bench3dmm.data import tables as data_tables


def test_persons_are_known_without_the_meshes(monkeypatch):
    monkeypatch.setattr(cache, "load_generated", lambda *_, **__: pytest.fail("the meshes were loaded"))
    data_tables._persons.cache_clear()
    known = data_tables.persons("mh-scan")
    assert len(known) == 1779 and len(set(known)) == 100


def test_a_dataset_that_comes_later_is_asked_for_again(monkeypatch):
    assert data_tables.persons("comes-later") is None
    monkeypatch.setitem(data._registered, "comes-later", lambda: sphere_dataset("comes-later"))
    assert len(data_tables.persons("comes-later")) == 48
