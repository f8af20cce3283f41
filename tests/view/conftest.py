"""A head-like mesh, and a small dataset on it."""

from __future__ import annotations

import pytest
from face_sets import head_template, scan_dataset


@pytest.fixture(scope="module")
def template():
    return head_template()


@pytest.fixture
def scans(template):
    return scan_dataset(template)
