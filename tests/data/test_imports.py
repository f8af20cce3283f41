"""Import of licensed and of one's own data, on small trees in exactly the layouts of the real ones."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mesh_shapes import icosphere

from bench3dmm.data import dataset_names, departures, load_dataset, recipe_sha256
from bench3dmm.data import registry as data
from bench3dmm.data.cache import imported_dir
from bench3dmm.data.imports import coma, importing
from bench3dmm.data.imports.bu3dfe import import_bu3dfe
from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.landmarks import asymmetry, read_landmarks
from bench3dmm.data.imports.meshes import import_meshes
from bench3dmm.data.imports.plans import Options
from bench3dmm.data.imports.published import BU3DFE, COMA, Published, departures_from
from bench3dmm.data.imports.sources import RECOGNISED, UNITS, MeshFiles, listed, open_array
from bench3dmm.errors import Bench3dmmError, DataError, MeshError, UnknownNameError
from bench3dmm.mesh.files import write_mesh
from bench3dmm.mesh.template import Template
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.system.storage import CACHE_VARIABLE

QUIET = Options(progress=False)
SUBJECTS = ("FaceTalk_170725_00137_TA", "FaceTalk_170728_03272_TA")
EXPRESSIONS = ("bareteeth", "cheeks_in", "mouth_extreme")


def half_sphere(subdivisions=1, radius=75.0):
    """A symmetric disc (32 vertices) of a face's size, mm."""
    vertices, faces = icosphere(subdivisions, radius)
    whole = Template(vertices, faces)
    half = whole.keep(np.flatnonzero(vertices[:, 2] > -20))
    return half.vertices, half.faces


VERTICES, FACES = half_sphere()


def faces_of(count, vertices=VERTICES, seed=0):
    """(count, V, 3) mm: smooth deformations, stronger from one mesh to the next."""
    rng = np.random.default_rng(seed)
    modes = rng.normal(0, 0.02, (4, 3))
    offset = np.sin(vertices @ modes.T) @ rng.normal(0, 4, (4, 3))
    return vertices + np.linspace(0, 1, count)[:, None, None] * offset + rng.normal(0, 0.1, (count, 1, 3))


def write_ply(path, vertices, faces=FACES):
    """As COMA's files are: binary, float coordinates, one list a face."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), dtype=[("n", "u1"), ("corners", "<i4", 3)])
    rows["n"], rows["corners"] = 3, faces
    path.write_bytes(header.encode() + vertices.astype("<f4").tobytes() + rows.tobytes())


def write_coma(root, frames=4, scale=0.001, vertices=VERTICES, faces=FACES):
    """Two people, three expressions; frame 10 comes before frame 9 in the order of letters."""
    for number, subject in enumerate(SUBJECTS):
        for which, expression in enumerate(EXPRESSIONS):
            meshes = faces_of(frames, vertices, seed=10 * number + which)
            for frame, mesh in enumerate(meshes, start=9):
                write_ply(root / subject / expression / f"{expression}.{frame}.ply", mesh * scale, faces)
    return root


def write_bu3dfe(root, people=("F0001", "F0002", "M0001"), one_based=True):
    """Metres, a template in mm, landmarks that count from 1, a list in the array's order."""
    names = [f"{p}_{e}{n:02d}WH" for p in people for e, n in (("NE", 0), ("AN", 1), ("AN", 4), ("SU", 2))]
    meshes = faces_of(len(names))
    (root / "template").mkdir(parents=True)
    np.save(root / "dataset.npy", meshes / 1000)
    (root / "identities.txt").write_text("\n".join(names) + "\n")
    write_mesh(root / "template" / "template.obj", VERTICES, FACES)
    np.save(root / "template" / "landmarks.npy", (symmetric_ids() + one_based)[:, None])
    return meshes, names


def symmetric_ids():
    """Landmarks whose mirror images are landmarks, while those of their neighbours in the list are not."""
    points = VERTICES * (-1, 1, 1)
    twin = np.linalg.norm(points[:, None] - VERTICES[None], axis=2).argmin(1)
    for start in range(1, len(VERTICES)):
        ids = np.unique([start, twin[start], (start * 7) % len(VERTICES), twin[(start * 7) % len(VERTICES)]])
        template = Template(VERTICES, FACES)
        if len(ids) == 4 and ids.min() > 0 and asymmetry(template, ids - 1) > 10:
            return ids
    raise AssertionError("no such landmarks")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Each test imports into a cache of its own, four meshes a chunk."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(importing, "CHUNK", 4)
    return tmp_path / "cache"


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- the three kinds --------------------------------------------------------------------------------------------


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


def test_manifest_names_every_file_with_its_row(tmp_path):
    import hashlib

    root = write_coma(tmp_path / "raw")
    import_coma(root, QUIET)
    files = json.loads((imported_dir() / "coma" / "manifest.json").read_text())["files"]
    assert [entry["row"] for entry in files] == list(range(24))
    assert files[1]["path"] == f"{SUBJECTS[0]}/bareteeth/bareteeth.10.ply"
    for entry in files:
        content = (root / entry["path"]).read_bytes()
        assert (entry["size"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


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


def test_meshes_from_folders_with_and_without_a_table(tmp_path, command):
    root = tmp_path / "mine"
    meshes = faces_of(4)
    for i, path in enumerate(("B/smile/2.obj", "B/smile/10.obj", "A2/rest/x.obj", "A10/rest/x.obj")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_mesh(root / path, meshes[i], FACES)
    (root / "A2" / "rest" / "._x.obj").write_text("what macOS leaves")
    code, _, err = command("data", "import", "meshes", "--name", "mine", "--source", root)
    assert code == 0, err
    assert "Table" not in err
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


def test_a_run_on_an_import_and_no_results_of_another(tmp_path):
    vertices, faces = half_sphere(4)
    root = write_coma(tmp_path / "raw", frames=4, vertices=vertices, faces=faces)
    dataset = import_coma(root, QUIET)
    run = Run(dataset="coma", profile="smoke", model="pca", latent=4)
    result = execute(run, tmp_path / "results", progress=False)
    assert result.provenance["dataset_recipe_sha256"] == recipe_sha256("coma") == dataset.sha256
    assert execute(run, tmp_path / "results", progress=False).metrics == result.metrics  # stored
    with pytest.raises(MeshError, match="weighted loss needs landmarks"):
        execute(Run(dataset="coma", model="neural3dmm", loss="weighted-l1"), tmp_path / "results", progress=False)

    write_ply(root / SUBJECTS[0] / "bareteeth" / "bareteeth.9.ply", vertices * 0.00101, faces)
    with pytest.raises(DataError, match=r"other data \(.*bareteeth\.9\.ply has changed\).*--replace"):
        import_coma(root, QUIET)
    assert load_dataset("coma").sha256 == dataset.sha256
    assert import_coma(root, Options(replace=True, progress=False)).sha256 != dataset.sha256
    assert [path.name for path in imported_dir().iterdir() if path.is_dir()] == ["coma"]
    with pytest.raises(DataError, match="another version of coma"):
        execute(run, tmp_path / "results", progress=False)


# --- what was published -----------------------------------------------------------------------------------------


def test_departures_are_those_of_the_imported_set(tmp_path, capsys):
    assert departures("coma") is None
    assert departures("mh-seq") == ["mh-seq is another set"]
    import_coma(write_coma(tmp_path / "raw"))
    found = departures("coma")
    assert found[:2] == [f"{len(VERTICES)} vertices a mesh (COMA: 5,023)", "people: 2 (COMA: 12)"]
    assert found[2].startswith("meshes per expression: bareteeth 8 (Table 1: 1,946), cheeks_in 8 (")
    assert found[2].endswith(", total 24 (Table 1: 20,466)")
    assert len(found) == 3
    err = capsys.readouterr().err
    assert "not COMA as published:" in err
    assert all(f"  {line}\n" in err for line in found)
    (imported_dir() / "coma" / "vertices.npy").unlink()  # the card is all that is read
    assert departures("coma") == found
    assert departures("bu3dfe") is None
    write_bu3dfe(tmp_path / "bu")
    import_bu3dfe(tmp_path / "bu", QUIET)
    assert departures("bu3dfe")[:2] == [f"{len(VERTICES)} vertices a mesh (BU3DFE: 6,704)", "people: 3 (BU3DFE: 100)"]


def test_a_complete_set_has_no_departures(tmp_path, monkeypatch, capsys):
    counts = dict.fromkeys(EXPRESSIONS, 8)
    monkeypatch.setattr(coma, "COMA", Published("COMA", len(VERTICES), 2, "Table 1", counts))
    root = write_coma(tmp_path / "raw")
    import_coma(root)
    assert departures("coma") == []
    assert "COMA as published" in capsys.readouterr().err
    (root / SUBJECTS[0] / "cheeks_in" / "cheeks_in.10.ply").unlink()
    import_coma(root, Options(replace=True, progress=False))
    assert departures("coma") == ["meshes per expression: cheeks_in 7 (Table 1: 8), total 23 (Table 1: 24)"]


def test_an_import_in_part_or_of_an_older_version_is_not_taken_for_a_complete_one(tmp_path):
    root = write_coma(tmp_path / "raw")
    interrupted(root)
    assert departures("coma") is None
    import_coma(root, QUIET)
    path = imported_dir() / "coma" / "card.json"
    card = json.loads(path.read_text())
    del card["departures"]
    path.write_text(json.dumps(card))
    assert departures("coma") == [f"not compared with what was published: delete {path.parent} and import coma again"]


@pytest.mark.parametrize("published", [COMA, BU3DFE])
def test_what_departs_from_the_paper(published):
    rows = [name for name, count in published.counts.items() for _ in range(count)]
    samples = pd.DataFrame({"expression": rows, "subject": [str(i % published.people) for i in range(len(rows))]})
    n = published.vertices
    assert departures_from(published, samples, n, n) == []
    assert departures_from(published, samples, n, n - 100) == [
        f"only the largest part of each mesh, {n - 100:,} of {n:,} vertices (--largest-component)"
    ]
    assert departures_from(published, samples[samples["subject"] != "0"], n, n)[0].startswith("people: ")
    assert len(departures_from(published, samples[1:], n, n)) == 1
    other = samples.assign(expression=samples["expression"].where(samples.index > 0, "wink"))
    assert "wink 1 (" in departures_from(published, other, n, n)[0]


# --- units, order, landmarks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", RECOGNISED)
def test_units_are_recognised(tmp_path, capsys, unit):
    import_coma(write_coma(tmp_path / "raw", frames=1, scale=1 / UNITS[unit]), Options())
    assert f"unit: {unit}" in capsys.readouterr().err
    np.testing.assert_allclose(load_dataset("coma").vertices[0], faces_of(1)[0], atol=1e-4)


def test_what_is_no_face_needs_a_unit(tmp_path):
    root = write_coma(tmp_path / "raw", frames=1, scale=0.01)
    with pytest.raises(DataError, match=r"measures 1\.4\d* .*no face.*--unit"):
        import_coma(root, QUIET)
    with pytest.raises(UnknownNameError, match="Did you mean 'mm'"):
        import_coma(root, Options(unit="dmm", progress=False))
    np.testing.assert_allclose(
        import_coma(root, Options(unit="dm", progress=False)).vertices[0], faces_of(1)[0], atol=1e-4
    )


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


@pytest.mark.parametrize("suffix", [".txt", ".json", ".npy"])
def test_landmarks_count_from_zero_or_one(tmp_path, capsys, suffix):
    root, path, ids = write_coma(tmp_path / "raw", frames=1), tmp_path / f"ids{suffix}", symmetric_ids()

    def write(values):
        if suffix == ".npy":
            np.save(path, values)
        else:
            path.write_text(json.dumps(values.tolist()) if suffix == ".json" else "\n".join(map(str, values)))

    write(ids)
    assert import_coma(root, Options(landmarks=path, progress=False)).template.landmarks.tolist() == ids.tolist()
    write(ids + 1)
    options = Options(landmarks=path, one_based=True, replace=True, progress=False)
    assert import_coma(root, options).template.landmarks.tolist() == ids.tolist()
    with pytest.raises(
        DataError, match="other data"
    ):  # read as they stand, they are other vertices; but a hint is given
        import_coma(root, Options(landmarks=path))
    assert "see --one-based" in capsys.readouterr().err
    write(np.array([3, len(VERTICES)]))
    with pytest.raises(DataError, match=f"landmark ids \\[{len(VERTICES)}\\] out of 0 … .*--one-based"):
        import_coma(root, Options(landmarks=path, progress=False))
    write(np.array([3.5]))
    with pytest.raises(DataError, match=f"ids{suffix}: no list of landmarks"):
        import_coma(root, Options(landmarks=path, progress=False))


def test_landmarks_of_bu3dfe_are_asked_for_where_symmetry_cannot_tell(tmp_path):
    write_bu3dfe(tmp_path / "zero", one_based=False)
    assert import_bu3dfe(tmp_path / "zero", QUIET).template.landmarks.tolist() == symmetric_ids().tolist()
    np.save(tmp_path / "zero" / "template" / "landmarks.npy", np.arange(1, len(VERTICES)))
    with pytest.raises(DataError, match="--zero-based or --one-based"):
        import_bu3dfe(tmp_path / "zero", QUIET)
    options = Options(one_based=True, replace=True, progress=False)
    assert import_bu3dfe(tmp_path / "zero", options).template.landmarks.tolist() == list(range(len(VERTICES) - 1))


# --- what is wrong with the files -------------------------------------------------------------------------------


def spoil(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "NaN":
        vertices = VERTICES * 0.001
        vertices[5, 1] = np.nan
        write_ply(path, vertices)
    elif how == "vertices":
        write_ply(path, half_sphere(2)[0] * 0.001, half_sphere(2)[1])
    elif how == "faces":
        write_ply(path, VERTICES * 0.001, FACES[:, ::-1])
    elif how == "unit":
        write_ply(path, VERTICES)


FAULTS = {
    "truncated": "the file ends within row",
    "empty": "line 1",
    "NaN": "NaN or infinite coordinates at 1 vertex, first at vertex 5",
    "vertices": f"vertices, the first mesh has {len(VERTICES)}",
    "faces": "other faces than the first mesh: face 0 is",
    "unit": "not in the same unit",
}


@pytest.mark.parametrize("how", FAULTS)
def test_a_faulty_file_is_named_and_nothing_half_imported_is_loaded(tmp_path, command, how):
    root = write_coma(tmp_path / "raw")
    path = root / SUBJECTS[1] / "bareteeth" / "bareteeth.11.ply"
    whole = path.read_bytes()
    spoil(path, how)
    code, _, err = command("data", "import", "coma", "--source", root)
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"error: file 15 of 24: {path}: ")
    assert FAULTS[how] in last
    assert "run the same command again" in last
    assert "coma" not in dataset_names()
    with pytest.raises(DataError, match="imported in part only"):
        load_dataset("coma")

    path.write_bytes(whole)
    code, _, err = command("data", "import", "coma", "--source", root)
    assert code == 0, err
    assert "going on after 12 of 24 meshes" in err
    assert [path.name for path in imported_dir().iterdir() if path.is_dir()] == ["coma"]
    again = files_of(imported_dir() / "coma")
    shutil.rmtree(imported_dir())
    import_coma(root, QUIET)
    assert files_of(imported_dir() / "coma") == again


def test_a_corrupt_file_may_be_removed(tmp_path):
    root = write_coma(tmp_path / "raw")
    path = root / SUBJECTS[1] / "bareteeth" / "bareteeth.11.ply"
    path.write_bytes(b"ply\n")
    with pytest.raises(DataError, match="file 15 of 24"):
        import_coma(root, QUIET)
    path.unlink()
    dataset = import_coma(root, QUIET)
    assert len(dataset) == 23
    assert dataset.samples["frame"][12:16].tolist() == [0, 1, 2, 0]


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


def test_faces_in_another_order_are_the_same_connectivity(tmp_path):
    root = write_coma(tmp_path / "raw", frames=1)
    turned = np.roll(FACES, 1, axis=1)[::-1]
    write_ply(root / SUBJECTS[0] / "cheeks_in" / "cheeks_in.9.ply", VERTICES * 0.001, turned)
    assert len(import_coma(root, QUIET)) == 6


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


NOT_PLY = "ply\nformat ascii 1.0\n{}end_header\n0 0 0\n"
VERTEX = "element vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
STRAY = {
    "many.ply": NOT_PLY.format(VERTEX.format("99999999999999999999")),
    "huge.json": "[" + "1" * 400 + ", 3]",
    "deep.json": "[" * 100_000,
    "infinite.json": "[1e400, 3]",
    "archive.npy": b"PK\x03\x04 and so on",
    "header.npy": b"\x93NUMPY\x01\x00\x0a\x00{'descr': ([",
    "objects.npz": b"PK\x03\x04",
}


@pytest.mark.filterwarnings("error")
def test_stray_files_are_passed_over(tmp_path):
    root = tmp_path / "bu"
    meshes, _ = write_bu3dfe(root)
    for name, content in STRAY.items():
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    np.testing.assert_allclose(import_bu3dfe(root, QUIET).vertices, meshes, atol=1e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [name for name in STRAY if name.endswith("json")])
def test_json_that_lists_no_landmarks(tmp_path, name):
    (tmp_path / name).write_text(STRAY[name])
    with pytest.raises(DataError, match=f"{name}: no list of landmarks"):
        read_landmarks(tmp_path / name)


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


def test_a_template_that_promises_too_much_is_named(tmp_path):
    root, path = write_coma(tmp_path / "raw", frames=1), tmp_path / "many.ply"
    path.write_text(STRAY["many.ply"])
    with pytest.raises(MeshError, match=r"many\.ply: the file ends before 9+ rows of element vertex"):
        import_coma(root, Options(template=path, progress=False))


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
    write_mesh(root / "template" / "template.obj", *half_sphere(2))
    with pytest.raises(DataError, match=rf"template\.obj \({len(half_sphere(2)[0])} vertices\)"):
        import_bu3dfe(root, QUIET)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "3 5\n\n7,\n5", "line 4: landmark 5 stands at line 1 already"),
        ("a.json", "[3, 5, 3]", "entry 3: landmark 3 stands at entry 1 already"),
    ],
)
def test_a_repeated_landmark_is_named(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}, {says}"):
        read_landmarks(tmp_path / name)


def test_a_repeated_identity_is_named(tmp_path):
    root = tmp_path / "bu"
    _, names = write_bu3dfe(root)
    names[7] = names[1].lower().replace("_", "")
    (root / "identities.txt").write_text("\n" + "\n".join(names) + "\n")
    with pytest.raises(DataError, match=r"identities\.txt, line 9: f0001an01 stands in line 3 already"):
        import_bu3dfe(root, QUIET)


def test_the_first_file_is_blamed_where_it_is_the_odd_one(tmp_path, monkeypatch):
    monkeypatch.setattr(coma, "COMA", Published("COMA", len(VERTICES), 2, "Table 1", {}))
    root = write_coma(tmp_path / "raw", frames=1)
    first = root / SUBJECTS[0] / "bareteeth" / "bareteeth.9.ply"
    vertices, faces = half_sphere(2)
    write_ply(first, vertices * 0.001, faces)
    says = f"file 1 of 6: {first}: {len(vertices)} vertices; COMA has {len(VERTICES)}, and so has file 2; mend"
    with pytest.raises(DataError, match=says):
        import_coma(root, QUIET)
    other = write_coma(tmp_path / "other", frames=1, vertices=vertices, faces=faces)
    import_coma(other, QUIET)
    assert departures("coma")[0] == f"{len(vertices)} vertices a mesh (COMA: {len(VERTICES)})"


# --- links ------------------------------------------------------------------------------------------------------


def test_linked_folders_are_followed(tmp_path):
    root = write_coma(tmp_path / "raw")
    (root / SUBJECTS[1]).rename(tmp_path / "elsewhere")
    (root / SUBJECTS[1]).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "all").symlink_to(root, target_is_directory=True)  # loops, near and far
    (tmp_path / "elsewhere" / "back").symlink_to(root, target_is_directory=True)
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(import_coma(root, QUIET)) == 24
    files = json.loads((imported_dir() / "coma" / "manifest.json").read_text())["files"]
    assert files[12]["path"] == f"{SUBJECTS[1]}/bareteeth/bareteeth.9.ply"


def test_a_folder_met_twice_or_a_broken_link_is_named(tmp_path):
    root = write_coma(tmp_path / "raw", frames=1)
    twin = root / "twin"
    twin.symlink_to(root / SUBJECTS[0], target_is_directory=True)
    with pytest.raises(DataError, match=rf"{twin} and {root / SUBJECTS[0]} are the same folder"):
        listed(root, [".ply"])
    twin.unlink()
    twin.symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataError, match=rf"{twin}: a link to {tmp_path / 'unmounted'}, which is not there"):
        listed(root, [".ply"])
    twin.unlink()
    (root / ".hidden").symlink_to(tmp_path / "unmounted")
    assert len(listed(root, [".ply"])) == 6


# --- killed, changed, repeated ----------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from bench3dmm.data.imports import coma, importing, sources
importing.CHUNK = 4
read, count = sources.MeshFiles.read, 0
def dying(self, row, expected):
    global count
    count += 1
    if count > int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, row, expected)
sources.MeshFiles.read = dying
coma.import_coma(Path(sys.argv[1]))
"""


def test_a_killed_import_goes_on_to_the_same_bytes(tmp_path, capsys):
    root = write_coma(tmp_path / "raw")
    done = subprocess.run([sys.executable, "-c", KILLED, str(root), "14"], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert "coma" not in dataset_names()
    partial = imported_dir() / ".coma.partial"
    assert len(list((partial / "chunks").iterdir())) == 3
    with (partial / "data" / "vertices.npy").open("ab") as file:
        file.write(b"what was on its way when the power went")
    import_coma(root)
    assert "going on after 12 of 24 meshes, imported before and unchanged" in capsys.readouterr().err
    resumed = files_of(imported_dir() / "coma")
    shutil.rmtree(imported_dir())
    import_coma(root, QUIET)
    assert files_of(imported_dir() / "coma") == resumed


def interrupted(root):
    """Leaves three chunks of four."""
    path = root / SUBJECTS[1] / "bareteeth" / "bareteeth.11.ply"
    whole = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(DataError, match="file 15"):
        import_coma(root, QUIET)
    path.write_bytes(whole)


@pytest.mark.parametrize("what", ["file", "bytes", "record", "settings"])
def test_what_changed_since_is_noticed_and_read_again(tmp_path, capsys, what):
    root = write_coma(tmp_path / "raw")
    interrupted(root)
    partial = imported_dir() / ".coma.partial"
    options = Options()
    if what == "file":
        write_ply(root / SUBJECTS[0] / "cheeks_in" / "cheeks_in.10.ply", VERTICES * 0.00102)
        says = ["file 6 of 24", "cheeks_in.10.ply has changed since it was imported", "going on after 4 of 24"]
    elif what == "bytes":
        with (partial / "data" / "vertices.npy").open("r+b") as file:
            file.seek(128 + 9 * 12 * len(VERTICES))  # in the third chunk
            file.write(bytes(8))
        says = ["what the earlier run wrote is damaged", "going on after 8 of 24"]
    elif what == "record":
        (partial / "chunks" / "00000004.json").write_text("{")
        says = ["a record of the earlier run is damaged", "going on after 4 of 24"]
    else:
        options = Options(unit="mm", replace=True)
        says = []
    import_coma(root, options)
    err = capsys.readouterr().err
    for text in says:
        assert text in err
    assert ("going on" in err) == bool(says)
    after = files_of(imported_dir() / "coma")
    shutil.rmtree(imported_dir())
    import_coma(root, options)
    assert files_of(imported_dir() / "coma") == after


def test_the_same_again_is_a_no_op_that_says_so(tmp_path, command):
    root = write_coma(tmp_path / "raw")
    import_coma(root, QUIET)
    before = {path: path.stat().st_mtime_ns for path in (imported_dir() / "coma").iterdir()}
    moved = root.rename(tmp_path / "elsewhere")
    code, _, err = command("data", "import", "coma", "--source", moved)
    assert code == 0
    assert "imported already, from the same 24 meshes: nothing to do" in err
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("after", [2, 9])
def test_an_interrupt_says_what_is_kept(tmp_path, monkeypatch, capsys, after):
    root = write_coma(tmp_path / "raw")
    read, calls = MeshFiles.read, iter(range(100))

    def interrupt(self, row, expected):
        if next(calls) == after:
            raise KeyboardInterrupt
        return read(self, row, expected)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MeshFiles, "read", interrupt)
        import_coma(root)
    says = "8 of 24 meshes are kept; the same command goes on" if after == 9 else "no meshes are kept yet"
    assert f"interrupted: {says}" in capsys.readouterr().err
    assert len(import_coma(root)) == 24
    assert ("going on after 8 of 24 meshes" in capsys.readouterr().err) == (after == 9)


def test_the_same_files_elsewhere_are_no_other_data(tmp_path):
    root = tmp_path / "bu"
    write_bu3dfe(root)
    sha256 = import_bu3dfe(root, QUIET).sha256
    for name in ("tt2.obj", "tt2.npy", "other.npy"):
        source = {"tt2.obj": "template/template.obj", "tt2.npy": "template/landmarks.npy"}.get(name, "dataset.npy")
        shutil.copy(root / source, tmp_path / name)
    options = Options(template=tmp_path / "tt2.obj", landmarks=tmp_path / "tt2.npy", progress=False)
    assert import_bu3dfe(root, options, array=tmp_path / "other.npy").sha256 == sha256
    write_mesh(tmp_path / "tt2.obj", VERTICES * 1.01, FACES)
    with pytest.raises(DataError, match=r"tt2\.obj is not template/template\.obj"):
        import_bu3dfe(root, options)


def test_a_run_killed_between_two_renames_loses_nothing(tmp_path):
    root = write_coma(tmp_path / "raw")
    sha256 = import_coma(root, QUIET).sha256
    (imported_dir() / "coma").rename(imported_dir() / ".coma.replaced")
    assert dataset_names() == ["mh-seq", "mh-scan"]
    assert import_coma(root, QUIET).sha256 == sha256


def test_damage_is_named(tmp_path):
    import_coma(write_coma(tmp_path / "raw"), QUIET)
    for path in sorted((imported_dir() / "coma").iterdir()):
        if path.name == "manifest.json":
            continue
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"damaged.*delete the folder and import coma again"):
            load_dataset("coma")
        path.write_bytes(whole)
    assert len(load_dataset("coma")) == 24


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_one_import_at_a_time(tmp_path):
    root = write_coma(tmp_path / "raw", frames=1)
    with importing._only_one("coma"), pytest.raises(DataError, match="imported by another process"):
        import_coma(root, QUIET)
    assert len(import_coma(root, QUIET)) == 6


def test_too_little_space_is_said_before(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(importing.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"GB are free.*BENCH3DMM_CACHE"):
        import_coma(write_coma(tmp_path / "raw", frames=1), QUIET)


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mh-scan", "MH-Seq", "coma", "BU3DFE", "a b", "../x", ".x", "x@clean", "registered"])
def test_names_do_not_clash(tmp_path, monkeypatch, name):
    monkeypatch.setitem(data._registered, "registered", lambda: None)
    with pytest.raises(DataError, match="name"):
        import_meshes(name, tmp_path, QUIET)


def test_what_is_not_imported_says_how(command, tmp_path):
    code, _, err = command("run", "--dataset", "coma", "--model", "pca", "--results-dir", tmp_path)
    assert code == 1
    assert "bench3dmm data import coma --source DIR" in err
    with pytest.raises(DataError, match="not imported"):
        recipe_sha256("bu3dfe")
    code, _, err = command("data", "info", "comma")
    assert code == 2


def test_wrong_usage(command, tmp_path):
    for arguments, says in (
        (["coma"], "--source"),
        (["meshes", "--source", tmp_path], "--name"),
        (["meshes", "--name", "x", "--source", tmp_path, "--sample", "t.csv"], "--samples"),
        (["comma"], "comma"),
    ):
        code, _, err = command("data", "import", *arguments)
        assert code == 2
        assert says in err
    for arguments, says in (
        (["meshes", "--name", "x"], "--source DIR"),
        (["meshes", "--name", "x", "--source", tmp_path], "no PLY or OBJ files"),
        (["coma", "--source", tmp_path], "no <subject>/<expression>/*.ply"),
    ):
        code, _, err = command("data", "import", *arguments)
        assert code == 1
        assert says in err
    write_ply(tmp_path / "flat.ply", VERTICES)
    with pytest.raises(Bench3dmmError, match=r"flat\.ply: not in <subject>/<expression>/.*--samples CSV"):
        import_meshes("x", tmp_path, QUIET)


def test_samples_tables_are_plain(tmp_path):
    """What lies in the cache: arrays without objects, CSV and JSON."""
    import_coma(write_coma(tmp_path / "raw", frames=1), QUIET)
    folder = imported_dir() / "coma"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("card.json", "manifest.json", "samples.csv", "template.npz", "vertices.npy"),
    ]
    np.load(folder / "vertices.npy", allow_pickle=False)
    assert len(pd.read_csv(folder / "samples.csv")) == 6
    assert Path(folder / "vertices.npy").stat().st_size == 128 + 6 * len(VERTICES) * 12
