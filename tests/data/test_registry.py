"""Datasets by name."""

from __future__ import annotations

import pytest
from sphere_sets import sphere_dataset

from bench3dmm.data import registry as data
from bench3dmm.data.registry import check_datasets
from bench3dmm.errors import UnknownNameError


@pytest.mark.parametrize("name", ["typo", "mh-scan@cleen", "coma@clean", "mh-scn@clean"])
def test_misspelt_datasets_are_refused(name):
    with pytest.raises(UnknownNameError):
        check_datasets("mh-seq", name)


def test_datasets_of_the_paper_are_known_where_they_are_not_imported(monkeypatch):
    monkeypatch.setitem(data._registered, "sphere", sphere_dataset)
    check_datasets("coma", "bu3dfe", "mh-scan@clean", "sphere")
