"""Imports that are killed, interrupted, repeated or of faulty files: nothing is half there, nothing is lost."""

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
from import_trees import (
    FACES,
    QUIET,
    SUBJECTS,
    VERTICES,
    face_disc,
    files_of,
    interrupted,
    write_bu3dfe,
    write_coma,
    write_ply,
)

from bench3dmm.data import dataset_names, load_dataset, recipe_sha256
from bench3dmm.data.cache import imported_dir
from bench3dmm.data.imports import importing
from bench3dmm.data.imports.bu3dfe import import_bu3dfe
from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.plans import Options
from bench3dmm.data.imports.sources import MeshFiles
from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.files import write_mesh
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute


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


def test_a_run_on_an_import_and_no_results_of_another(tmp_path):
    vertices, faces = face_disc(4)
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
        write_ply(path, face_disc(2)[0] * 0.001, face_disc(2)[1])
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
