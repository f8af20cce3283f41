"""The editing panel without a browser, and figures of edited faces, with an editor in place of a trained model."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread
from sphere_sets import sphere_dataset

from bench3dmm.apply.editing import displacements_of
from bench3dmm.data.faces import partition_of
from bench3dmm.mesh.partition import patches
from bench3dmm.papers.lamm import figures as edited_faces
from bench3dmm.runs.results import Result
from bench3dmm.tasks.parts.edits import HandleEditor
from bench3dmm.tasks.published import published_run
from bench3dmm.view import grid
from bench3dmm.view.camera import project

pytest.importorskip("ipywidgets")
panel = pytest.importorskip("bench3dmm.view.panel")
RUN = published_run(dataset="sphere", model="lamm", preset="small", latent=8, task="manipulation")


@pytest.fixture(scope="module")
def spheres():
    return sphere_dataset()


@pytest.fixture(scope="module")
def model(spheres):
    """Handle deformation where a network is expected."""
    partition = partition_of(spheres.template.vertices, spheres.template.faces)
    handles = HandleEditor(partition)

    def edit(mesh, by_region):
        moved = displacements_of(partition, by_region)
        return handles(np.asarray(mesh)[None], moved[None])[0]

    return SimpleNamespace(
        partition=partition,
        template=spheres.template,
        editor=handles,
        edit=edit,
        reconstruct=lambda mesh: np.asarray(mesh),
    )


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


@pytest.mark.parametrize("name", ["edit_figure", "swap_figure", "region_samples_figure"])
def test_figures_name_run_and_person(name, model, spheres, monkeypatch):
    monkeypatch.setattr(grid, "CELL", 24)
    result = Result(RUN, {}, {}, {"sample_index": np.arange(0, 48, 3), "loss": np.ones(2)})
    figure = getattr(edited_faces, name)(result, model, spheres)
    said = " ".join(text.get_text() for text in figure.texts)
    assert "sphere" in said and "lamm (small)" in said
    assert any(expression in said for expression in ("angry", "happy", "sad", "neutral"))


@pytest.mark.parametrize("name", ["edit_figure", "swap_figure", "region_samples_figure"])
def test_figures_of_a_template_with_other_regions(name, spheres, monkeypatch):
    monkeypatch.setattr(grid, "CELL", 24)
    template = spheres.template
    partition = patches(template.vertices, template.faces, count=5, controlled=2)
    handles = HandleEditor(partition)
    other = SimpleNamespace(
        partition=partition,
        template=template,
        editor=handles,
        edit=lambda mesh, moved: handles(mesh[None], displacements_of(partition, moved)[None])[0],
        reconstruct=lambda mesh: np.asarray(mesh),
    )
    result = Result(RUN, {}, {}, {"sample_index": np.arange(0, 48, 3), "loss": np.ones(2)})
    figure = getattr(edited_faces, name)(result, other, spheres)
    assert "patch 1" in " ".join(text.get_text() for text in figure.axes[0].texts)


def test_the_regions_are_in_the_legend_with_their_control_vertices(spheres, monkeypatch):
    monkeypatch.setattr(edited_faces, "REGION_PIXELS", 60)
    figure = edited_faces.partition_figure(spheres, spheres)
    entries = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "mouth (12)" in entries and "skull" in entries and len(entries) == 11
