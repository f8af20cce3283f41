"""Import of one's own meshes: from folders, a table or an array."""

from __future__ import annotations

import re

import numpy as np
import pytest
from import_trees import FACES, QUIET, VERTICES, faces_of
from mesh_shapes import head_with_eyes

from bench3dmm.data import dataset_names, load_dataset
from bench3dmm.data.imports.meshes import import_meshes
from bench3dmm.data.imports.plans import Options
from bench3dmm.errors import DataError, MeshError, UnknownNameError
from bench3dmm.mesh.files import write_mesh


def test_meshes_from_folders_with_and_without_a_table(tmp_path, command):
    root = tmp_path / "mine"
    meshes = faces_of(4)
    for i, path in enumerate(("B/smile/2.obj", "B/smile/10.obj", "A2/rest/x.obj", "A10/rest/x.obj")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_mesh(root / path, meshes[i], FACES)
    (root / "A2" / "rest" / "._x.obj").write_text("what macOS leaves")
    code, out, err = command("data", "import", "meshes", "--name", "mine", "--source", root)
    assert code == 0, err
    assert "Table" not in err
    assert "hierarchy: 25, 24, 23, 22 and 21 vertices (factors 1.05,1.05,1.05,1.05)\n" in out
    dataset = load_dataset("mine")
    assert dataset.samples["subject"].tolist() == ["A2", "A10", "B", "B"]
    np.testing.assert_allclose(dataset.vertices, meshes[[2, 3, 0, 1]], atol=1e-4)

    table = tmp_path / "table.csv"
    table.write_text("file,subject,expression,level\nB/smile/10.obj,NA,smile,1\nA2/rest/x.obj,7,rest,0\n")
    code, _, err = command("data", "import", "meshes", "--name", "few", "--source", root, "--samples", table)
    assert code == 0, err
    few = load_dataset("few")
    assert few.samples.to_dict("list") == {
        "subject": ["NA", "7"],
        "expression": ["smile", "rest"],
        "level": [1.0, 0.0],
        "frame": [0, 0],
    }
    np.testing.assert_allclose(few.vertices, meshes[[1, 2]], atol=1e-4)
    assert dataset_names()[-2:] == ["few", "mine"]


def test_meshes_from_an_array(tmp_path):
    meshes = faces_of(3)
    np.save(tmp_path / "faces.npy", meshes.astype(np.float32))
    write_mesh(tmp_path / "face.obj", VERTICES / 10, FACES)
    (tmp_path / "table.csv").write_text("subject,expression,frame\na,x,0\na,x,1\nb,x,0\n")
    options = Options(template=tmp_path / "face.obj", progress=False)
    arguments = {"array": tmp_path / "faces.npy", "samples": tmp_path / "table.csv"}
    dataset = import_meshes("arr", options=options, **arguments)
    np.testing.assert_allclose(dataset.vertices, meshes, atol=1e-4)
    np.testing.assert_allclose(dataset.template.vertices, VERTICES, atol=1e-9)  # in cm, beside meshes in mm
    with pytest.raises(DataError, match="--template"):
        import_meshes("arr", options=QUIET, **arguments)
    with pytest.raises(DataError, match="--samples"):
        import_meshes("arr", options=options, array=tmp_path / "faces.npy")
    (tmp_path / "table.csv").write_text("subject,expression\na,x\n")
    with pytest.raises(DataError, match="3 meshes, but 1 row in"):
        import_meshes("other", options=options, **arguments)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("file,subject,expresion\na,b,c\n", UnknownNameError, "Did you mean 'expression'"),
        ("file,subject\na,b\n", DataError, "no column 'expression'"),
        ("file,subject,expression\n", DataError, "no rows"),
        ("file,subject,expression\na,,c\n", DataError, "line 2: subject is ''"),
        ("file,subject,expression,level\na,b,c,1\nb,b,c,2\n", DataError, "line 3: level is '2'"),
        ("file,subject,expression,frame\na,b,c,0.5\n", DataError, "line 2: frame is '0.5'"),
        ("file,subject,expression\na,b,c\na,b,c\n", DataError, "line 3: file is 'a'"),
        ("subject,expression\nb,c\n", DataError, "no column 'file'"),
        ("file,subject,expression\nno.ply,b,c\n", DataError, r"no\.ply: no such file"),
    ],
)
def test_a_faulty_table_is_named(tmp_path, text, kind, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(kind, match=says):
        import_meshes("mine", tmp_path, QUIET, samples=tmp_path / "t.csv")


def test_an_import_says_which_parts_vanish_and_who_cannot_run(tmp_path, command, monkeypatch):
    vertices, faces = head_with_eyes(2)
    for i in range(3):
        path = tmp_path / "mine" / f"S{i}" / "rest" / "0.obj"
        path.parent.mkdir(parents=True)
        write_mesh(path, vertices * (1 + 0.01 * i), faces)
    arguments = ["data", "import", "meshes", "--name", "parts", "--source", tmp_path / "mine"]
    code, out, err = command(*arguments)
    assert code == 0, err
    line = "hierarchy: 215, 119, 66, 37 and 21 vertices (factors 1.81,1.81,1.81,1.81); "
    assert line + "of 3 parts 2 vanish (2 at level 3; 84 vertices)\n" in out

    def none(template):
        raise MeshError("it cannot be")

    monkeypatch.setattr("bench3dmm.mesh.hierarchy.build_hierarchy", none)
    code, out, err = command(*arguments)
    assert code == 0, err
    assert re.search(r"hierarchy: none, so that .*coma.*neural3dmm.* cannot run \(it cannot be\)\n", out)
