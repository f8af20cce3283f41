"""Template: what `check` refuses and how it says so, and the record itself."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_shapes import grid, icosphere, torus, wavy_with_hole

from bench3dmm.errors import MeshError
from bench3dmm.mesh.template import Template


def sheet() -> tuple[np.ndarray, list[list[int]]]:
    """6 7 8 / 3 4 5 / 0 1 2; faces 0–7, as 013 → [0, 1, 4], [0, 4, 3], …"""
    vertices, faces = grid(3, 3)
    return vertices, faces.tolist()


# --- what check accepts --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [grid(2, 2), wavy_with_hole(), icosphere(1), torus()])
def test_manifolds_pass_with_and_without_boundary(shape):
    Template(*shape, landmarks=np.array([0, 3])).check()


def test_a_single_triangle_passes():
    Template(np.eye(3), np.array([[0, 1, 2]])).check()


# --- what check refuses --------------------------------------------------------------------------------


def broken_meshes():
    vertices, faces = sheet()
    above = np.vstack([vertices, [[0.5, 0.5, 1.0]]])
    yield "non-manifold edge", above, [*faces, [0, 4, 9]], r"non-manifold edge.*0–4 lies in 3 faces \(0, 1, 8\)"

    bowtie = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 0, 0], [-1, -1, 0.0]])
    message = "non-manifold vertex 0: the faces at vertex 0 form 2 separate fans"
    yield "non-manifold vertex", bowtie, [[0, 1, 2], [0, 3, 4]], message

    yield "isolated vertex", above, faces, "isolated vertex 9, in no face.*template.keep"
    two_more = np.vstack([above, above[-1:]])
    yield "isolated vertices", two_more, faces, r"isolated 2 vertices \(9, 10\)"

    yield "repeated corner", vertices, [*faces, [2, 2, 5]], r"degenerate face 8.*\[2, 2, 5\]"
    flat = vertices.copy()
    flat[3] = flat[[0, 4]].mean(0)  # face 1 = [0, 4, 3] becomes a line
    yield "zero area", flat, faces, r"degenerate face 1 with zero area \(face 1 is \[0, 4, 3\]\)"

    yield "duplicate", vertices, [*faces, [4, 0, 1]], r"duplicated face 8 \(face 8 repeats face 0\)"
    yield "duplicate, reversed", vertices, [*faces, [1, 0, 4]], r"face 8 repeats face 0"

    yield (
        "out of range",
        vertices,
        [*faces, [7, 8, 9]],
        r"face 8 out of range \(face 8 is \[7, 8, 9\], vertices are 0 … 8",
    )
    yield "negative", vertices, [*faces, [-1, 1, 2]], r"face 8 out of range"

    for value in (np.nan, np.inf):
        bad = vertices.copy()
        bad[5, 1] = value
        yield f"{value}", bad, faces, "NaN or infinite coordinates at vertex 5"

    turned = [*faces[:3], faces[3][::-1], *faces[4:]]
    yield "orientation", vertices, turned, r"inconsistent orientation at 3 edge.*faces \d and \d both run \d → \d"

    sphere, outward = icosphere(1)
    yield "inside out", sphere, outward[:, ::-1], "inside out; reverse all faces"
    yield "no faces", vertices, np.empty((0, 3), int), "9 vertices and 0 faces"


@pytest.mark.parametrize(("vertices", "faces", "message"), [pytest.param(*b[1:], id=b[0]) for b in broken_meshes()])
def test_check_names_what_is_wrong_and_where(vertices, faces, message):
    with pytest.raises(MeshError, match=f"^scan_7: .*{message}"):
        Template(vertices, np.array(faces), name="scan_7").check()


def test_the_turned_face_is_one_of_those_named():
    vertices, faces = sheet()
    faces[3] = faces[3][::-1]
    with pytest.raises(MeshError) as caught:
        Template(vertices, np.array(faces)).check()
    assert "3" in str(caught.value).split("faces ")[1].split(" both")[0].split(" and ")


@pytest.mark.parametrize("landmark", [-1, 9])
def test_landmarks_out_of_range_are_refused(landmark):
    with pytest.raises(MeshError, match=rf"landmark ids \[{landmark}\] out of range 0 … 8"):
        Template(*grid(3, 3), landmarks=np.array([0, landmark])).check()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((4, 2)), np.zeros((1, 3), int)), r"vertices must have shape \(n, 3\), not \(4, 2\)"),
        ((np.zeros((4, 3)), np.zeros((1, 4), int)), r"faces must have shape \(n, 3\), not \(1, 4\)"),
        ((np.zeros((4, 3)), np.zeros((1, 3))), "faces must be integer vertex ids, not float64"),
        ((np.zeros((4, 3)), np.array([[0, 1, 2**32 + 2]])), "faces hold ids that do not fit 32 bits"),
        ((np.zeros((4, 3)), np.zeros((1, 3), int), np.zeros((1, 1), int)), r"landmarks must have shape \(n,\)"),
    ],
)
def test_arrays_of_the_wrong_shape_or_type_are_refused(arrays, message):
    with pytest.raises(MeshError, match=message):
        Template(*arrays)


# --- the record ----------------------------------------------------------------------------------------


def test_arrays_are_copied_and_read_only():
    vertices, faces = grid(3, 3)
    template = Template(vertices, faces)
    vertices[0] = 7.0
    assert template.vertices[0].tolist() == [0, 0, 0]
    assert template.vertices.dtype == np.float64
    assert template.faces.dtype == template.landmarks.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        template.vertices[0] = 1.0


def test_the_hash_is_of_the_content_alone():
    vertices, faces = grid(3, 3)
    sha256 = Template(vertices, faces, name="one").sha256
    assert Template(vertices.astype(np.float32), faces.astype(np.int64), name="two").sha256 == sha256
    moved = vertices.copy()
    moved[4, 2] = 1e-12
    others = [Template(moved, faces), Template(vertices, faces[::-1]), Template(vertices, faces, np.array([1]))]
    assert len({sha256, *(other.sha256 for other in others)}) == 4


def test_keep_renumbers_faces_and_landmarks():
    vertices, faces = grid(4, 3)
    template = Template(vertices, faces, np.array([1, 6]))
    for ids in ([0, 1, 2, 4, 5, 6, 8, 9, 10], np.isin(np.arange(12), [3, 7, 11], invert=True)):
        kept = template.keep(np.array(ids))
        expected_vertices, expected_faces = grid(3, 3)
        assert np.array_equal(kept.vertices, expected_vertices)
        assert np.array_equal(kept.faces, expected_faces)
        assert kept.landmarks.tolist() == [1, 5]
    with pytest.raises(MeshError, match="landmark vertex 6 would be lost"):
        template.keep(np.arange(6))


def test_the_ways_out_that_the_messages_name_work():
    """And a mesh of several parts, as COMA's, passes."""
    vertices, faces = grid(3, 3)
    apart = Template(np.vstack([vertices[[0, 1, 3]] + 10, vertices]), np.vstack([[[0, 1, 2]], faces + 3]))
    apart.check()
    assert apart.largest_component().tolist() == list(range(3, 12))
    apart.keep(apart.largest_component()).check()
    isolated = Template(np.vstack([vertices, vertices[:1]]), faces)
    isolated.keep(np.unique(isolated.faces)).check()
