"""Import of COMA: its folders, in their order."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from import_trees import EXPRESSIONS, FACES, QUIET, SUBJECTS, VERTICES, face_disc, faces_of, write_coma, write_ply

from bench3dmm.data import departures, load_dataset
from bench3dmm.data.imports import coma
from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.published import Published
from bench3dmm.errors import DataError


def test_coma_is_there_in_later_processes_without_its_source(tmp_path, command):
    root = write_coma(tmp_path / "COMA_data")
    code, out, err = command("data", "import", "coma", "--source", root)
    assert code == 0, err
    assert out.startswith("coma: 24 meshes, sha256 ")
    assert "unit: m, converted to mm" in err
    assert "mouth_extreme 8 (Table 1: 793)" in err
    assert "eyebrow 0 (Table 1: 2,283)" in err
    assert "total 24 (Table 1: 20,466)" in err
    shutil.rmtree(root)

    fresh = "from bench3dmm.data import *; d = load_dataset('coma'); print(d.sha256, len(d), recipe_sha256('coma'))"
    done = subprocess.run([sys.executable, "-c", fresh], capture_output=True, text=True, check=True)
    dataset = load_dataset("coma")
    assert done.stdout.split() == [dataset.sha256, "24", dataset.sha256]
    assert isinstance(dataset.vertices, np.memmap)
    assert not dataset.vertices.flags.writeable
    np.testing.assert_allclose(dataset.vertices[:4], faces_of(4), atol=1e-4)
    np.testing.assert_allclose(dataset.template.vertices, dataset.vertices[0], atol=1e-4)
    np.testing.assert_array_equal(dataset.template.faces, FACES)

    samples = dataset.samples
    assert samples.columns.tolist() == ["subject", "expression", "level", "frame"]
    assert samples["subject"].unique().tolist() == list(SUBJECTS)
    assert samples["expression"][:12].tolist() == [name for name in EXPRESSIONS for _ in range(4)]
    assert samples["frame"].tolist() == [0, 1, 2, 3] * 6
    assert samples.groupby(["subject", "expression"])["level"].idxmin().tolist() == list(range(0, 24, 4))
    assert ((samples["level"] >= 0) & (samples["level"] <= 1)).all()
    assert samples["level"].max() == 1

    code, out, _ = command("data", "info", "coma")
    assert code == 0
    assert "24 registered meshes of 2 subjects" in out
    assert "bareteeth 8 (Table 1: 1,946)" in out
    assert "coma.is.tue.mpg.de" in out
    code, out, _ = command("list", "datasets")
    assert "imported: 24 meshes of" in out


def test_natural_order_and_stray_files(tmp_path, capsys):
    root = tmp_path / "raw"
    for subject, frame in (("S10", 2), ("S2", 10), ("S2", 9), ("S2", 100)):
        write_ply(root / subject / "mouth-open" / f"mouth_open.{frame:d}.PLY", faces_of(1, seed=frame)[0])
    write_ply(root / "template.ply", VERTICES)
    (root / "S2" / "mouth-open" / "._mouth_open.9.PLY").write_bytes(b"junk")
    dataset = import_coma(root)
    assert "ignored: 1 PLY file not in" in capsys.readouterr().err
    assert dataset.samples["subject"].tolist() == ["S2", "S2", "S2", "S10"]
    assert set(dataset.samples["expression"]) == {"mouth_open"}
    np.testing.assert_allclose(dataset.vertices, [faces_of(1, seed=f)[0] for f in (9, 10, 100, 2)], atol=1e-4)


@pytest.mark.parametrize("below", [f"raw/{SUBJECTS[0]}", "."])
def test_a_source_one_folder_off_is_set_right(tmp_path, below):
    root = write_coma(tmp_path / "deep" / "raw", frames=1)
    with pytest.raises(DataError, match=f"perhaps you mean --source {root}$"):
        import_coma(tmp_path / "deep" / below, QUIET)
    with pytest.raises(DataError, match="no such folder"):
        import_coma(tmp_path / "dep", QUIET)


def test_faces_in_another_order_are_the_same_connectivity(tmp_path):
    root = write_coma(tmp_path / "raw", frames=1)
    turned = np.roll(FACES, 1, axis=1)[::-1]
    write_ply(root / SUBJECTS[0] / "cheeks_in" / "cheeks_in.9.ply", VERTICES * 0.001, turned)
    assert len(import_coma(root, QUIET)) == 6


def test_the_first_file_is_blamed_where_it_is_the_odd_one(tmp_path, monkeypatch):
    monkeypatch.setattr(coma, "COMA", Published("COMA", len(VERTICES), 2, "Table 1", {}))
    root = write_coma(tmp_path / "raw", frames=1)
    first = root / SUBJECTS[0] / "bareteeth" / "bareteeth.9.ply"
    vertices, faces = face_disc(2)
    write_ply(first, vertices * 0.001, faces)
    says = f"file 1 of 6: {first}: {len(vertices)} vertices; COMA has {len(VERTICES)}, and so has file 2; mend"
    with pytest.raises(DataError, match=says):
        import_coma(root, QUIET)
    other = write_coma(tmp_path / "other", frames=1, vertices=vertices, faces=faces)
    import_coma(other, QUIET)
    assert departures("coma")[0] == f"{len(vertices)} vertices a mesh (COMA: {len(VERTICES)})"
