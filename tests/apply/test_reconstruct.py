"""The command ``reconstruct``: a folder of meshes in, a folder and a table out."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from exported_models import ROUNDING

import bench3dmm
from bench3dmm.mesh.files import read_mesh, write_mesh


@pytest.fixture
def faces(tmp_path, marked):
    """Three files in metres, with the connectivity's triangles begun at another corner."""
    folder = tmp_path / "faces"
    turned = np.roll(marked.template.faces, 1, axis=1)[::-1]
    for name, row in (("face10.ply", 0), ("face9.obj", 7), ("more/face1.ply", 30)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_mesh(folder / name, marked.vertices[row].astype(np.float64) / 1000, turned)
    return folder


def rows_of(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("unit", [None, "m"])
def test_a_folder_is_reconstructed(command, exported, faces, marked, tmp_path, unit):
    out = tmp_path / "out"
    given = ["--unit", unit] if unit else []
    code, said, err = command("reconstruct", exported["pca"], faces, "--output", out, "--codes", *given)
    assert code == 0, err
    model = bench3dmm.load(exported["pca"])
    names, meshes = ["face9.obj", "face10.ply", "more/face1.ply"], marked.vertices[[7, 0, 30]]
    wanted = model.reconstruct(meshes)
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert written == sorted([*names, "errors.csv", "codes.csv"])
    for name, mesh in zip(names, wanted, strict=True):
        vertices, triangles = read_mesh(out / name)
        np.testing.assert_allclose(vertices * 1000, mesh, atol=2e-4)
        np.testing.assert_array_equal(triangles, marked.template.faces)
    distance = np.linalg.norm(wanted - meshes, axis=2)
    header, *rows = rows_of(out / "errors.csv")
    assert header == ["file", "mean_mm", "median_mm", "p95_mm", "max_mm"]
    assert [row[0] for row in rows] == names
    expected = [[d.mean(), np.median(d), np.quantile(d, 0.95), d.max()] for d in distance]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), expected, atol=1e-4)
    header, *rows = rows_of(out / "codes.csv")
    assert header == ["file", "z1", "z2", "z3", "z4"]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], np.float32), model.encode(meshes), atol=ROUNDING)
    assert f"3 meshes in m: mean error {distance.mean():.3f} mm" in said
    assert f"{model.metrics['mean_mm']:.3f} mm (dataset sphere, split percentage, profile smoke" in said


def without_a_corner(faces):
    vertices, triangles = read_mesh(faces / "face10.ply")
    keep = np.arange(len(vertices) - 1)
    write_mesh(faces / "face10.ply", vertices[keep], triangles[(triangles < len(keep)).all(1)])


def with_other_faces(faces):
    vertices, triangles = read_mesh(faces / "face10.ply")
    write_mesh(faces / "face10.ply", vertices, triangles[:, ::-1])


def with_a_hole(faces):
    vertices, triangles = read_mesh(faces / "face10.ply")
    write_mesh(faces / "face10.ply", vertices, triangles[1:])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_a_corner, r"face10\.ply: {less} vertices, the model's template \(sphere\) has {all}"),
        (with_other_faces, r"face10\.ply: other faces than the model's template"),
        (with_a_hole, r"face10\.ply: .* faces, the model's template \(sphere\) has"),
        (lambda faces: (faces / "face10.ply").write_text("ply\n"), r"face10\.ply: line 2"),
    ],
)
def test_one_bad_file_is_refused_before_anything_is_written(
    command, exported, faces, marked, tmp_path, damage, message
):
    damage(faces)
    count = marked.template.n_vertices
    message = message.replace("{less}", f"{count - 1:,}").replace("{all}", f"{count:,}")
    code, _, err = command("reconstruct", exported["pca"], faces, "--output", tmp_path / "out")
    assert code == 1
    assert re.search(message + ".*nothing is written yet", " ".join(err.split())), err
    assert "file 2 of 3" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "output", "options", "message"),
    [
        ("nowhere", "out", [], "nowhere: no such folder"),
        ("empty", "out", [], "no PLY or OBJ files"),
        ("faces", "faces", [], "apart from it"),
        ("faces", "faces/out", [], "apart from it"),
        ("faces", "full", [], "not an empty folder"),
        ("faces", "out", ["--unit", "mm"], "--unit mm, cm, m"),
        ("faces", "out", ["--unit", "metre"], "Known: .*mm"),
    ],
)
def test_folders_and_units_that_do_not_fit(command, exported, faces, tmp_path, source, output, options, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    code, _, err = command("reconstruct", exported["pca"], tmp_path / source, "--output", tmp_path / output, *options)
    assert code in (1, 2) and re.search(message, " ".join(err.split())), err
    assert len(list(faces.rglob("*.*"))) == 3 and not (tmp_path / "out").exists()
