"""A mesh shown in a notebook: as a picture, or to turn."""

from __future__ import annotations

import re
import socket

import numpy as np
import pytest
from figure_checks import assert_texts_inside, footer
from mesh_pages import array_of, objects_of, packed_scene
from mesh_shapes import half_sphere

from bench3dmm.errors import Bench3dmmError, MeshError
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.view import render, show

pytestmark = pytest.mark.usefixtures("software_renderer")


@pytest.fixture(scope="module")
def template():
    return half_sphere()


def test_show_mesh_is_a_picture(template):
    plain = show.show_mesh(template)
    assert len(plain.axes) == 1 and footer(plain) == "sphere"
    values = np.linspace(0, 6, template.n_vertices)
    painted = show.show_mesh((template.vertices, template.faces), values, footer="here")
    assert painted.axes[1].get_ylabel() == "per-vertex error (mm)" and painted.axes[1].get_ylim() == (0, 6)
    assert footer(painted) == "here"
    assert_texts_inside(painted)
    with pytest.raises(MeshError, match="do not match"):
        show.show_mesh(template, values[:-1])


def test_interactive_meshes_say_what_they_need(template, monkeypatch):
    monkeypatch.setattr(show.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Bench3dmmError, match=re.escape("pip install 'bench3dmm[interactive]'")) as error:
        show.show_mesh(template, interactive=True)
    assert "\n" not in str(error.value)
    with pytest.raises(MeshError, match="do not match"):
        show.show_mesh(template, np.zeros(3), interactive=True)


@pytest.mark.parametrize("painted", [False, True])
def test_interactive_meshes_carry_their_scene(template, painted, monkeypatch):
    """Points, normals and colours are in the page, lights and camera too; nothing goes over the network."""
    pytest.importorskip("trame_vtk")
    monkeypatch.setattr(socket, "socket", lambda *args, **options: pytest.fail("a socket was opened"))
    values = np.linspace(0, 8, template.n_vertices)
    view = show.show_mesh(template, values if painted else None, interactive=True)
    packed = packed_scene(view)
    outside, inside = objects_of(packed["scene"], "PolyData")
    for surface in (outside, inside):
        assert np.array_equal(array_of(packed, surface["points"]), template.vertices.astype(np.float32))
    fields = {field["name"]: array_of(packed, field) for field in outside["fields"]}
    normals = vertex_normals(template.vertices, template.faces)
    assert np.allclose(fields.pop("Normals"), normals, atol=1e-6)
    if painted:
        assert np.abs(fields.pop("colours") / 255 - render.paint(values)).max() < 0.01, "clamped at 6 mm"
    assert not fields
    assert [light["lightType"] for light in objects_of(packed["scene"], "Light")] == ["CameraLight"] * 3
    (camera,) = objects_of(packed["scene"], "Camera")
    middle = (template.vertices.min(axis=0) + template.vertices.max(axis=0)) / 2
    assert np.allclose(camera["focalPoint"], middle, atol=1e-4)
    assert np.allclose(np.cross(np.subtract(camera["position"], middle), [0, 0, 1]), 0, atol=1e-3), "from the front"


def test_interactive_meshes_are_shown_and_saved(template, tmp_path):
    pytest.importorskip("trame_vtk")
    plain = show.show_mesh(template, interactive=True)
    painted = show.show_mesh(template, np.zeros(template.n_vertices), interactive=True, label="a < b", footer="R & D")
    assert "sphere · drag to turn" in plain._repr_html_() and "<img" not in plain._repr_html_()
    assert '<img alt="a &lt; b" src="data:image/svg+xml;base64,' in painted._repr_html_()
    assert "R &amp; D · drag to turn" in painted._repr_html_()
    assert len(repr(painted)) < 100, "a notebook stores it beside the page"
    saved = painted.save(tmp_path / "mesh.html").read_text()
    assert saved.startswith("<!doctype html>") and painted.html in saved
