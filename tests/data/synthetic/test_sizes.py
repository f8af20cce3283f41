"""Faces of any size."""

from __future__ import annotations

import pytest

from bench3dmm.data.synthetic.sizes import face


@pytest.mark.parametrize("count", [1200, 7000])
def test_face_has_the_number_of_vertices_asked_for(count):
    template = face(count)
    template.check()
    assert template.n_vertices == count
