"""Pictures of meshes: both renderers against projection geometry, and the choice between them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from synthetic_head import synthetic_head

from bench3dmm.errors import Bench3dmmError, MeshError, UnknownNameError
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.view import render, renderers
from bench3dmm.view.camera import MARGIN, fit_view

HEAD = synthetic_head(24, 30)
WHITE = np.array([255, 255, 255])


def available_renderers() -> list[str]:
    return ["matplotlib", "pyvista"] if renderers._opengl_works() else ["matplotlib"]


@pytest.fixture(params=available_renderers())
def each_renderer(request, monkeypatch):
    monkeypatch.setattr(render, "renderer", lambda: request.param)
    return request.param


@pytest.fixture
def fresh_choice(monkeypatch):
    monkeypatch.delenv(renderers.RENDERER_VARIABLE, raising=False)
    renderers.renderer.cache_clear()
    yield
    renderers.renderer.cache_clear()


def covered(image: np.ndarray) -> np.ndarray:
    return np.abs(image.astype(int) - WHITE).sum(axis=-1) > 60


def test_silhouette_is_the_parallel_projection(each_renderer):
    vertices, faces = HEAD
    image = render.render_mesh(vertices, faces, size=(160, 200))
    assert image.shape == (200, 160, 3) and image.dtype == np.uint8
    rows, columns = np.flatnonzero(covered(image).any(axis=1)), np.flatnonzero(covered(image).any(axis=0))
    width, height = np.ptp(vertices[:, 0]), np.ptp(vertices[:, 1])
    assert len(rows) == pytest.approx(200 / MARGIN, abs=2)
    assert len(columns) == pytest.approx(200 / MARGIN * width / height, abs=2)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(99.5, abs=1.5)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(79.5, abs=1.5)


def test_the_subjects_left_is_on_the_right(each_renderer):
    """Vertices at x > 0 painted red, the others blue: from the front red lies right of the middle."""
    vertices, faces = HEAD
    values = np.where(vertices[:, 0] > 0, 6.0, 0.0)
    image = render.render_mesh(vertices, faces, values=values, size=120, cmap=render.PAPER_MAP).astype(int)
    red = covered(image) & (image[..., 0] > image[..., 2] + 80)
    blue = covered(image) & (image[..., 2] > image[..., 0] + 80)
    assert red.sum() > 500 and blue.sum() > 500
    assert np.nonzero(red)[1].mean() > 70 and np.nonzero(blue)[1].mean() < 50


@pytest.mark.parametrize(("camera", "side"), [("left", -1), ("right", 1)])
def test_profiles_look_the_right_way(each_renderer, camera, side):
    """From the subject's left the nose points to the picture's left, from the right to the right."""
    vertices, faces = HEAD
    nose = np.zeros(len(vertices))
    nose[vertices[:, 2] > 95] = 6.0
    image = render.render_mesh(vertices, faces, values=nose, size=120, camera=camera, cmap=render.PAPER_MAP).astype(int)
    red = covered(image) & (image[..., 0] > image[..., 2] + 80)
    assert red.any()
    assert side * (np.nonzero(red)[1].mean() - 59.5) > 30


def test_hidden_surface_is_hidden(each_renderer):
    """A red square behind a blue one of the same size does not show, whatever the order of the faces."""
    square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    vertices = np.concatenate([square + np.array([0, 0, 1]), square])
    quad = np.array([[0, 1, 2], [0, 2, 3]])
    values = np.repeat([0.0, 6.0], 4)
    for faces in (np.concatenate([quad, quad + 4]), np.concatenate([quad + 4, quad])):
        image = render.render_mesh(vertices, faces, values=values, size=50, cmap=render.PAPER_MAP).astype(int)
        inside = image[10:40, 10:40]
        assert (inside[..., 2] > inside[..., 0] + 80).all()


def test_batch_shares_one_scale(each_renderer):
    vertices, faces = HEAD
    images = render.render_meshes(np.stack([vertices, vertices / 2]), faces, size=120)
    large, small = covered(images[0]).sum(), covered(images[1]).sum()
    assert large / small == pytest.approx(4.0, rel=0.05)


def test_batch_equals_single_pictures(each_renderer):
    vertices, faces = HEAD
    batch = np.stack([vertices, vertices * [0.9, 1, 1]])
    values = np.abs(batch[..., 1]) / 20
    view = fit_view(batch, "three-quarter", 90)
    together = render.render_meshes(batch, faces, values=values, size=90, view=view)
    for index in range(2):
        alone = render.render_mesh(batch[index], faces, values=values[index], size=90, view=view)
        assert np.abs(alone.astype(int) - together[index]).max() <= 2


def test_transparent_and_coloured_background(each_renderer):
    vertices, faces = HEAD
    clear = render.render_mesh(vertices, faces, size=60, background=None)
    assert clear.shape == (60, 60, 4)
    assert clear[0, 0, 3] == 0 and clear[30, 30, 3] == 255
    grey = render.render_mesh(vertices, faces, size=60, background="#808080")
    assert np.abs(grey[0, 0].astype(int) - 128).max() <= 1


@pytest.mark.skipif(len(available_renderers()) < 2, reason="no off-screen OpenGL")
def test_both_renderers_draw_the_same(monkeypatch):
    vertices, faces = HEAD
    pictures = []
    for name in renderers.RENDERERS:
        monkeypatch.setattr(render, "renderer", lambda name=name: name)
        pictures.append(render.render_mesh(vertices, faces, values=np.abs(vertices[:, 0]) / 12, size=240).astype(int))
    difference = np.abs(pictures[0] - pictures[1])
    inside = covered(pictures[0]) & covered(pictures[1])
    # Agg grows triangles by half a (supersampled) pixel to close their seams: only the outline may differ.
    assert (covered(pictures[0]) != covered(pictures[1])).mean() < 0.01
    assert difference[inside].mean() < 8


def test_values_are_clamped_and_nan_is_grey():
    colours = render.paint(np.array([-1.0, 0.0, 6.0, 9.0, np.nan]))
    assert np.array_equal(colours[0], colours[1]) and np.array_equal(colours[2], colours[3])
    assert not np.array_equal(colours[1], colours[2])
    assert np.allclose(colours[4], 0.6)
    blue, green, red = render.paint(np.array([0.0, 3.0, 6.0]), render.PAPER_MAP)
    assert np.allclose(blue, [0, 0, 1]) and np.allclose(red, [1, 0, 0])
    assert np.allclose(green, [0, 1, 0], atol=0.01)


def test_error_map_gets_darker_steadily():
    """Sequential and safe in black and white: luminance falls all the way along the map."""
    luminance = render.paint(np.linspace(0, 6, 50)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) < 0).all()


def test_vertex_normals_of_a_sphere():
    vertices, faces = synthetic_head(40, 50)
    sphere = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    assert (vertex_normals(sphere, faces) * sphere).sum(axis=1).min() > 0.98


def test_contact_sheet_layout():
    images = [np.full((20, 30, 3), value, dtype=np.uint8) for value in (10, 20, 30, 40, 50)]
    sheet = render.contact_sheet(images, columns=2, gap=4)
    assert sheet.shape == (3 * 24 + 4, 2 * 34 + 4, 3)
    assert (sheet[4:24, 4:34] == 10).all() and (sheet[28:48, 38:68] == 40).all()
    assert (sheet[52:72, 38:68] == 255).all()
    labelled = render.contact_sheet(images, columns=2, labels=["a", "b", "c", "d", "e"], gap=4)
    assert labelled.shape[0] == 3 * (20 + 12 + 4) + 4
    assert (labelled[24:36, 4:34] < 200).any(), "a label is written below its image"


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        ({"camera": "frnot"}, UnknownNameError, "Did you mean 'front'"),
        ({"cmap": "virids"}, UnknownNameError, "Did you mean 'viridis'"),
        ({"clim": (6, 0)}, Bench3dmmError, "clim"),
        ({"size": 0}, Bench3dmmError, "size=0"),
        ({"values": np.zeros(3)}, MeshError, "do not match"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, expected, message):
    vertices, faces = HEAD
    arguments = {"values": np.zeros(len(vertices)), **arguments}
    with pytest.raises(expected, match=message):
        render.render_mesh(vertices, faces, **arguments)


def test_bad_meshes_say_what_is_wrong():
    vertices, faces = HEAD
    broken = vertices.copy()
    broken[7, 1] = np.nan
    with pytest.raises(MeshError, match="mesh 0, vertex 7 is not finite"):
        render.render_mesh(broken, faces)
    with pytest.raises(MeshError, match="faces name vertex"):
        render.render_mesh(vertices[:-5], faces)
    with pytest.raises(MeshError, match="use render_meshes"):
        render.render_mesh(vertices[None], faces)


def test_without_opengl_matplotlib_and_one_notice(fresh_choice, monkeypatch, capsys):
    monkeypatch.setattr(renderers, "_opengl_works", lambda: False)
    assert renderers.renderer() == renderers.renderer() == "matplotlib"
    assert capsys.readouterr().err.count("drawn with matplotlib") == 1


def test_a_crashing_probe_is_survived(monkeypatch):
    monkeypatch.setattr(renderers, "PROBE", "import os; os.kill(os.getpid(), 11)")
    assert not renderers._opengl_works()
    monkeypatch.setattr(renderers, "PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(renderers, "PROBE_SECONDS", 1)
    assert not renderers._opengl_works()


def test_variable_settles_the_renderer(fresh_choice, monkeypatch):
    monkeypatch.setenv(renderers.RENDERER_VARIABLE, "matplotlib")
    assert renderers.renderer() == "matplotlib"
    renderers.renderer.cache_clear()
    monkeypatch.setenv(renderers.RENDERER_VARIABLE, "mathplotlib")
    with pytest.raises(UnknownNameError, match="Did you mean 'matplotlib'"):
        renderers.renderer()


def test_importing_is_light():
    """Neither pyvista nor matplotlib is imported before something is drawn."""
    code = "import sys, bench3dmm.view.render; raise SystemExit(bool({'pyvista', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ)).returncode == 0


def test_wireframe_shows_edges_and_the_inside():
    vertices = np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    plain, edged = (render.render_wireframe(vertices, faces, size=80, line_width=width) for width in (0, 2))
    assert plain.shape == (80, 80, 3) and plain.dtype == np.uint8
    assert edged[20, 59].mean() < plain[20, 59].mean() - 40, "the diagonal"
    assert np.abs(edged[60, 59].astype(int) - plain[60, 59]).max() <= 2, "inside a triangle"
    inside = render.render_wireframe(vertices, faces[:, ::-1], size=80, line_width=0)
    assert inside[60, 59].mean() < 90 < plain[60, 59].mean()
