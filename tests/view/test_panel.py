"""The editing panel without a browser, with an editor in place of a trained model."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from handle_models import handle_model
from matplotlib.image import imread

from bench3dmm.data.faces import partition_of
from bench3dmm.view.camera import project

pytest.importorskip("ipywidgets")


panel = pytest.importorskip("bench3dmm.view.panel")


@pytest.fixture(scope="module")
def model(spheres):
    """Handle deformation where a network is expected."""
    return handle_model(spheres.template, partition_of(spheres.template.vertices, spheres.template.faces))


@pytest.fixture
def edit_panel(model, spheres, monkeypatch):
    monkeypatch.setattr(panel, "PIXELS", 48)
    return panel.EditPanel(model, spheres.vertices[0])


def test_a_slider_moves_the_region_and_the_picture_follows(edit_panel, model):
    before = edit_panel.image.value
    assert imread(io.BytesIO(before)).shape[:2] == (48, 48) and "no displacement" in edit_panel.text.value
    edit_panel.region.value = "nose"
    edit_panel.sliders["forward"].value = 8
    assert edit_panel.image.value != before and "inside" in edit_panel.text.value
    moved = edit_panel.edited() - edit_panel.mesh
    np.testing.assert_allclose(moved[model.partition.controls["nose"]], [[0, 0, 8]] * 9, atol=1e-4)
    np.testing.assert_allclose(moved[model.partition.controls["chin"]], 0, atol=1e-4)


def test_regions_keep_their_displacements_until_all_are_forgotten(edit_panel):
    edit_panel.region.value = "nose"
    edit_panel.sliders["up"].value = 3
    edit_panel.region.value = "chin"
    assert [slider.value for slider in edit_panel.sliders.values()] == [0, 0, 0]
    edit_panel.sliders["to the right"].value = -2
    edit_panel.region.value = "nose"
    assert [slider.value for slider in edit_panel.sliders.values()] == [0, 3, 0]
    assert edit_panel.moved["chin"].tolist() == [-2, 0, 0]
    plain = panel.EditPanel(edit_panel.model, edit_panel.mesh).image.value
    edit_panel.reset.click()
    assert not any(moved.any() for moved in edit_panel.moved.values()) and edit_panel.image.value == plain


def test_what_a_browser_says_late_of_one_region_does_not_reach_another(edit_panel):
    edit_panel.region.value = "nose"
    late = edit_panel.sliders["up"]
    edit_panel.region.value = "chin"
    late.value = 3
    assert edit_panel.moved["nose"].tolist() == [0, 3, 0] and not edit_panel.moved["chin"].any()


def test_the_farthest_displacement_stays_in_the_picture(edit_panel):
    edges = [edit_panel.plain + sign * panel.REACH_MM for sign in (-1, 1)]
    points = np.concatenate([project(edge, edit_panel.view, (48, 48)) for edge in edges])
    assert (points >= 0).all() and (points <= 48).all()


def test_readers_without_a_kernel_get_a_picture(edit_panel):
    shown = edit_panel._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == edit_panel.image.value
    assert any("widget" in kind for kind in shown)


def test_turning_and_painting_change_the_picture_alone(edit_panel):
    edit_panel.region.value = "mouth"
    edit_panel.sliders["forward"].value = 5
    pictures = {edit_panel.image.value}
    edited = edit_panel.edited()
    edit_panel.turn.value = 40
    pictures.add(edit_panel.image.value)
    edit_panel.painted.value = True
    pictures.add(edit_panel.image.value)
    assert len(pictures) == 3
    np.testing.assert_array_equal(edit_panel.edited(), edited)


def test_a_turn_of_a_quarter_brings_the_front_to_the_side():
    mesh = np.array([[0.0, 1.0, 2.0]])
    np.testing.assert_allclose(panel._turned(mesh, 90, np.zeros(3)), [[2, 1, 0]], atol=1e-9)
    np.testing.assert_allclose(panel._turned(mesh, 180, np.array([0, 0, 1.0])), [[0, 1, 0]], atol=1e-9)
