"""Import of BU3DFE: its four files, found or asked for."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from import_trees import QUIET, STRAY, VERTICES, face_disc, faces_of, symmetric_ids, write_bu3dfe

from bench3dmm.data import dataset_names, load_dataset
from bench3dmm.data.cache import imported_dir
from bench3dmm.data.imports.bu3dfe import import_bu3dfe
from bench3dmm.data.imports.plans import Options
from bench3dmm.data.imports.sources import open_array
from bench3dmm.errors import DataError
from bench3dmm.mesh.files import write_mesh


def test_bu3dfe_from_the_four_files(tmp_path, command):
    meshes, names = write_bu3dfe(tmp_path / "bu")
    code, _, err = command("data", "import", "bu3dfe", "--source", tmp_path / "bu")
    assert code == 0, err
    assert "counted from 1 in the file" in err
    assert "angry 6 (Table 2: 158)" in err
    dataset = load_dataset("bu3dfe")
    np.testing.assert_allclose(dataset.vertices, meshes, atol=1e-4)
    np.testing.assert_allclose(dataset.template.vertices, VERTICES, atol=1e-9)
    assert dataset.template.landmarks.tolist() == symmetric_ids().tolist()
    row = dataset.samples.iloc[names.index("F0002_AN04WH")]
    assert row.to_dict() == {"subject": "F0002", "expression": "angry", "level": 1.0, "frame": 0, "sex": "F"}
    assert dataset.samples["level"][:4].tolist() == [0.0, 0.25, 1.0, 0.5]
    files = json.loads((imported_dir() / "bu3dfe" / "manifest.json").read_text())["files"]
    assert {entry.get("role", "meshes"): entry["path"] for entry in files} == {
        "meshes": "dataset.npy",
        "identities": "identities.txt",
        "template": "template/template.obj",
        "landmarks": "template/landmarks.npy",
    }


def test_bu3dfe_asks_where_several_or_no_files_fit(tmp_path):
    root = tmp_path / "bu"
    write_bu3dfe(root)
    np.save(root / "train.npy", np.zeros((5, len(VERTICES), 3)))  # as the released code leaves them: no 12 rows
    np.save(root / "weights.npy", np.full((len(VERTICES), 3), 0.5))
    import_bu3dfe(root, QUIET)
    shutil.copy(root / "dataset.npy", root / "copy.npy")
    with pytest.raises(DataError, match=r"copy\.npy, dataset\.npy; say which with --array FILE"):
        import_bu3dfe(root, QUIET)
    assert len(import_bu3dfe(root, QUIET, array=root / "dataset.npy")) == 12
    (root / "copy.npy").unlink()
    (root / "template" / "landmarks.npy").unlink()
    with pytest.raises(DataError, match=r"list of vertex ids .*--without-landmarks.*--landmarks FILE"):
        import_bu3dfe(root, QUIET)
    with pytest.raises(DataError, match=r"other data \(template/landmarks.npy is gone.*--replace"):
        import_bu3dfe(root, QUIET, without_landmarks=True)
    assert not len(
        import_bu3dfe(root, Options(replace=True, progress=False), without_landmarks=True).template.landmarks
    )
    (root / "identities.txt").write_text("F0001_AN01WH\nF0001_XX01WH\n")
    with pytest.raises(DataError, match=r"one identity like F0001_AN01WH a line.*--identities FILE"):
        import_bu3dfe(root, QUIET)
    with pytest.raises(DataError, match=r"line 2: 'F0001_XX01WH' is no identity"):
        import_bu3dfe(root, QUIET, identities=root / "identities.txt")


def test_objects_in_an_array_are_never_unpickled(tmp_path):
    root = tmp_path / "bu"
    write_bu3dfe(root)
    np.save(root / "dataset.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"no readable \.npy"):
        import_bu3dfe(root, QUIET, array=root / "dataset.npy")


@pytest.mark.parametrize("which", ["row", "array"])
def test_a_faulty_array_is_named(tmp_path, which):
    root = tmp_path / "bu"
    meshes, _ = write_bu3dfe(root)
    if which == "row":
        meshes[6, 3] = np.nan
        np.save(root / "dataset.npy", meshes / 1000)
        with pytest.raises(DataError, match=r"mesh 7 of 12 \(F0002_AN04\) in .*dataset\.npy: NaN .*vertex 3"):
            import_bu3dfe(root, QUIET)
    else:
        np.save(root / "dataset.npy", meshes[:, :, :2])
        with pytest.raises(DataError, match=r"shape \(12, \d+, 2\)"):
            import_bu3dfe(root, QUIET, array=root / "dataset.npy")
    assert "bu3dfe" not in dataset_names()


@pytest.mark.filterwarnings("error")
def test_stray_files_are_passed_over(tmp_path):
    root = tmp_path / "bu"
    meshes, _ = write_bu3dfe(root)
    for name, content in STRAY.items():
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    np.testing.assert_allclose(import_bu3dfe(root, QUIET).vertices, meshes, atol=1e-4)


def test_an_archive_is_no_array(tmp_path, command):
    write_bu3dfe(tmp_path / "bu")
    path = tmp_path / "x.npz"
    np.savez(path, faces_of(12))
    code, _, err = command("data", "import", "bu3dfe", "--source", tmp_path / "bu", "--array", path)
    assert code == 1
    assert f"{path}: no readable .npy array (it is an .npz archive; " in err
    for name in ("archive.npy", "header.npy"):
        (tmp_path / name).write_bytes(STRAY[name])
        with pytest.raises(DataError, match=f"{name}: no readable .npy array"):
            open_array(tmp_path / name)


def test_a_search_says_why_each_file_does_not_fit(tmp_path):
    root = tmp_path / "bu"
    write_bu3dfe(root)
    whole = (root / "dataset.npy").read_bytes()
    (root / "dataset.npy").write_bytes(whole[: len(whole) // 2])
    np.save(root / "train.npy", np.zeros((5, 32, 3)))
    with pytest.raises(
        DataError, match=r"there are dataset\.npy \(no readable .*\), train\.npy \(of shape \(5, 32, 3\)"
    ):
        import_bu3dfe(root, QUIET)
    (root / "dataset.npy").write_bytes(whole)
    (root / "template" / "template.obj").write_text("v 0 0\n")
    with pytest.raises(DataError, match=r"template\.obj \(line 1: cannot read 'v 0 0'\).*--template FILE"):
        import_bu3dfe(root, QUIET)
    write_mesh(root / "template" / "template.obj", *face_disc(2))
    with pytest.raises(DataError, match=rf"template\.obj \({len(face_disc(2)[0])} vertices\)"):
        import_bu3dfe(root, QUIET)


def test_a_repeated_identity_is_named(tmp_path):
    root = tmp_path / "bu"
    _, names = write_bu3dfe(root)
    names[7] = names[1].lower().replace("_", "")
    (root / "identities.txt").write_text("\n" + "\n".join(names) + "\n")
    with pytest.raises(DataError, match=r"identities\.txt, line 9: f0001an01 stands in line 3 already"):
        import_bu3dfe(root, QUIET)
