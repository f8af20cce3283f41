"""Small trees of meshes in exactly the layouts of COMA and BU3DFE, and what may lie about in them."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_shapes import icosphere

from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.landmarks import asymmetry
from bench3dmm.data.imports.plans import Options
from bench3dmm.errors import DataError
from bench3dmm.mesh.files import write_mesh
from bench3dmm.mesh.template import Template

QUIET = Options(progress=False)
SUBJECTS = ("FaceTalk_170725_00137_TA", "FaceTalk_170728_03272_TA")
EXPRESSIONS = ("bareteeth", "cheeks_in", "mouth_extreme")
NOT_PLY = "ply\nformat ascii 1.0\n{}end_header\n0 0 0\n"
VERTEX = "element vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
STRAY = {  # what lies about in a tree and is nothing of it
    "many.ply": NOT_PLY.format(VERTEX.format("99999999999999999999")),
    "huge.json": "[" + "1" * 400 + ", 3]",
    "deep.json": "[" * 100_000,
    "infinite.json": "[1e400, 3]",
    "archive.npy": b"PK\x03\x04 and so on",
    "header.npy": b"\x93NUMPY\x01\x00\x0a\x00{'descr': ([",
    "objects.npz": b"PK\x03\x04",
}


def face_disc(subdivisions=1, radius=75.0):
    """A symmetric disc (32 vertices) of a face's size, mm."""
    vertices, faces = icosphere(subdivisions, radius)
    whole = Template(vertices, faces)
    half = whole.keep(np.flatnonzero(vertices[:, 2] > -20))
    return half.vertices, half.faces


VERTICES, FACES = face_disc()


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


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupted(root):
    """An import of COMA that left three chunks of four meshes."""
    path = root / SUBJECTS[1] / "bareteeth" / "bareteeth.11.ply"
    whole = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(DataError, match="file 15"):
        import_coma(root, QUIET)
    path.write_bytes(whole)
