"""OBJ and PLY files, in and out."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_shapes import compact, grid, wavy_with_hole

from bench3dmm.errors import MeshError
from bench3dmm.mesh.files import read_mesh
from bench3dmm.mesh.template import Template


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".PLY"])
def test_saved_templates_come_back_exactly(tmp_path, suffix):
    vertices, faces = wavy_with_hole()
    template = Template(vertices / 3 * 1e3, faces, np.array([4, 9]))
    template.save(tmp_path / f"face{suffix}")
    again = Template.load(tmp_path / f"face{suffix}", landmarks=[4, 9])
    assert again.name == "face"
    assert np.array_equal(again.vertices, template.vertices)
    assert np.array_equal(again.faces, template.faces)
    assert again.sha256 == template.sha256


QUAD = [[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [1.5, 1.0, 0.25], [0.0, 1.0, 0.25], [3.0, 0.0, -1e-3]]
QUAD_FACES = [[0, 1, 2], [0, 2, 3], [1, 4, 2]]  # a quad, cut from its first corner, then a triangle


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_obj_with_everything_an_exporter_writes(tmp_path, ending):
    lines = ["# a comment", "mtllib face.mtl", "o face", "vt 0 0", "vn 0 0 1"]
    lines += [f"v {x!r} {y!r} {z!r} 0.5 0.5 0.5" for x, y, z in QUAD]
    lines += ["usemtl skin", "s 1", "f 1/1/1 2//1 3/1 \\", "  4", "", "f -4 -1 -3 # counted from the end"]
    (tmp_path / "a.obj").write_bytes(ending.join(lines).encode())
    vertices, faces = read_mesh(tmp_path / "a.obj")
    assert vertices.tolist() == QUAD
    assert faces.tolist() == QUAD_FACES


def write_ply(path, order: str, index: str = "vertex_indices", mixed: bool = True):
    """Vertices with a normal between and a colour after, an element to skip, then a quad and a triangle."""
    name = {"": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}[order]
    polygons = [[0, 1, 2, 3], [1, 4, 2]] if mixed else QUAD_FACES
    header = (
        f"ply\nformat {name} 1.0\ncomment made by hand\nelement vertex 5\n"
        "property double x\nproperty float nx\nproperty double y\nproperty double z\nproperty uchar red\n"
        "element camera 2\nproperty list uchar short pose\n"
        f"element face {len(polygons)}\nproperty int16 group\nproperty list uint8 int32 {index}\nend_header\n"
    )
    if not order:
        rows = [f"{x!r} 0.5 {y!r} {z!r} 200" for x, y, z in QUAD] + ["1 7", "2 -8 9"]
        rows += [f"-3 {len(p)} {' '.join(map(str, p))}" for p in polygons]
        path.write_text(header + "\n".join(rows) + "\n")
        return
    u1, i2, i4, f4, f8 = (order + kind for kind in ("u1", "i2", "i4", "f4", "f8"))
    body = b""
    for x, y, z in QUAD:
        for value, kind in ((x, f8), (0.5, f4), (y, f8), (z, f8), (200, u1)):
            body += np.array(value, kind).tobytes()
    for pose in ([7], [-8, 9]):
        body += np.array(len(pose), u1).tobytes() + np.array(pose, i2).tobytes()
    for p in polygons:
        body += np.array(-3, i2).tobytes() + np.array(len(p), u1).tobytes() + np.array(p, i4).tobytes()
    path.write_bytes(header.encode() + body)


@pytest.mark.parametrize("mixed", [True, False], ids=["quad and triangle", "triangles"])
@pytest.mark.parametrize("index", ["vertex_indices", "vertex_index"])
@pytest.mark.parametrize("order", ["", "<", ">"], ids=["ascii", "little", "big"])
def test_ply_in_each_format(tmp_path, order, index, mixed):
    write_ply(tmp_path / "a.ply", order, index, mixed)
    vertices, faces = read_mesh(tmp_path / "a.ply")
    assert vertices.tolist() == QUAD
    assert faces.tolist() == QUAD_FACES
    assert faces.dtype == np.int32


@pytest.mark.parametrize("order", ["", "<", ">"], ids=["ascii", "little", "big"])
def test_truncated_ply_is_refused(tmp_path, order):
    write_ply(tmp_path / "a.ply", order)
    whole = (tmp_path / "a.ply").read_bytes()
    for cut in range(whole.index(b"end_header") + 11, len(whole) - 2, 3):
        (tmp_path / "a.ply").write_bytes(whole[:cut])
        with pytest.raises(MeshError, match=r"a\.ply"):
            read_mesh(tmp_path / "a.ply")


HEADER = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
HEADER += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.obj", "v 0 0 0\nv 1 0 zero\n", "a.obj, line 2: cannot read 'v 1 0 zero'"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "line 4: corner 4, but there are 3 vertices"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "line 4: vertex index 0; indices count from 1"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -4\n", "line 4: vertex index -4"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2\n", "line 3: a face with 2 corners"),
        ("a.obj", "v 0 0 0\n", "vertices: 1, faces: 0; a mesh needs both"),
        ("a.ply", "solid\n", "line 1: a PLY file starts with 'ply'"),
        ("a.ply", "ply\nformat ascii 1.0\n", "no end_header"),
        ("a.ply", "ply\nformat morse 1.0\nend_header\n", "line 2: cannot read 'format morse 1.0'"),
        ("a.ply", "ply\nformat ascii 1.0\nend_header\n", "no element vertex with properties x, y, z"),
        ("a.ply", HEADER.replace("vertex 3", "vertex -1"), "line 3: cannot read 'element vertex -1'"),
        ("a.ply", HEADER.replace("vertex 3", "vertex " + "9" * 20), "the file ends before 9+ rows of element vertex"),
        ("a.ply", HEADER.replace("float y", "float x"), "line 5: cannot read 'property float x'"),
        ("a.ply", HEADER.replace("element face", "element vertex"), "line 7: cannot read 'element vertex 1'"),
        ("a.ply", HEADER.replace("float x", "list uchar float x"), "no element vertex with properties x, y, z"),
        ("a.ply", HEADER.replace("list uchar int", "list float int"), "line 8: cannot read 'property list float"),
        ("a.ply", HEADER.replace("list uchar int", "list uchar float"), "a list vertex_indices of whole numbers"),
        ("a.ply", HEADER + "0 0 0\n1 0 0\n0 1\n3 0 1 2\n", "line 12: cannot read '0 1' as vertex"),
        ("a.ply", HEADER + "0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n", r"face 0 names \[0, 1, 3\]; there are 3 vertices"),
        ("a.ply", HEADER + "0 0 0\n1 0 0\n0 1 0\n2 0 1\n", "face 0 has 2 corners"),
        ("a.stl", "solid\n", "cannot read '.stl'; give an OBJ or a PLY file"),
    ],
)
def test_files_that_cannot_be_read_name_the_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(MeshError, match=message):
        Template.load(tmp_path / name)


def test_a_missing_file_and_an_unknown_suffix(tmp_path):
    with pytest.raises(MeshError, match=r"nowhere.obj: no such file"):
        Template.load(tmp_path / "nowhere.obj")
    with pytest.raises(MeshError, match=r"a name that ends in .obj or .ply"):
        Template(*grid(2, 2)).save(tmp_path / "a.stl")


def test_a_quad_mesh_from_a_file_passes_check(tmp_path):
    vertices, _ = grid(4, 4)
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    corners = [r * 4 + c for r in range(3) for c in range(3)]
    lines += [f"f {i + 1} {i + 2} {i + 6} {i + 5}" for i in corners]
    (tmp_path / "quads.obj").write_text("\n".join(lines))
    template = Template.load(tmp_path / "quads.obj")
    template.check()
    assert np.array_equal(template.faces, grid(4, 4)[1])
    assert np.array_equal(compact(template.vertices, template.faces)[0], vertices)
