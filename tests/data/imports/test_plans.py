"""What is to be imported: its name and its template."""

from __future__ import annotations

import numpy as np
import pytest
from import_trees import FACES, QUIET, STRAY, VERTICES, faces_of, write_coma

from bench3dmm.data import departures
from bench3dmm.data import registry as data
from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.meshes import import_meshes
from bench3dmm.data.imports.plans import Options
from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.template import Template


def test_a_template_of_several_parts_is_cut_if_wanted(tmp_path):
    vertices = np.concatenate([VERTICES, VERTICES * 0.1])  # a face and an eyeball
    faces = np.concatenate([FACES, FACES + len(VERTICES)])
    root = write_coma(tmp_path / "raw", frames=1, vertices=vertices, faces=faces)
    try:
        Template(vertices, faces).check()
    except MeshError:
        with pytest.raises(MeshError, match="--largest-component"):
            import_coma(root, QUIET)
    else:
        assert import_coma(root, QUIET).template.n_vertices == len(vertices)
    cut = import_coma(root, Options(largest_component=True, replace=True, progress=False))
    assert departures("coma")[1] == (
        f"only the largest part of each mesh, {len(VERTICES)} of {len(vertices)} vertices (--largest-component)"
    )
    assert cut.template.n_vertices == cut.vertices.shape[1] == len(VERTICES)
    np.testing.assert_allclose(cut.vertices[0], faces_of(1, vertices)[0][: len(VERTICES)], atol=1e-4)


def test_a_template_that_promises_too_much_is_named(tmp_path):
    root, path = write_coma(tmp_path / "raw", frames=1), tmp_path / "many.ply"
    path.write_text(STRAY["many.ply"])
    with pytest.raises(MeshError, match=r"many\.ply: the file ends before 9+ rows of element vertex"):
        import_coma(root, Options(template=path, progress=False))


@pytest.mark.parametrize("name", ["mh-scan", "MH-Seq", "coma", "BU3DFE", "a b", "../x", ".x", "x@clean", "registered"])
def test_names_do_not_clash(tmp_path, monkeypatch, name):
    monkeypatch.setitem(data._registered, "registered", lambda: None)
    with pytest.raises(DataError, match="name"):
        import_meshes(name, tmp_path, QUIET)
