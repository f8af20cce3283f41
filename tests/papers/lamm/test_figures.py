"""Figures of edited faces, with an editor in place of a trained model."""

from __future__ import annotations

import numpy as np
import pytest
from handle_models import handle_model

from bench3dmm.data.faces import partition_of
from bench3dmm.mesh.partition import patches
from bench3dmm.papers.lamm import figures as edited_faces
from bench3dmm.runs.results import Result
from bench3dmm.tasks.published import published_run
from bench3dmm.view import grid

RUN = published_run(dataset="sphere", model="lamm", preset="small", latent=8, task="manipulation")


@pytest.fixture(scope="module")
def model(spheres):
    """Handle deformation where a network is expected."""
    return handle_model(spheres.template, partition_of(spheres.template.vertices, spheres.template.faces))


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
    other = handle_model(template, partition)
    result = Result(RUN, {}, {}, {"sample_index": np.arange(0, 48, 3), "loss": np.ones(2)})
    figure = getattr(edited_faces, name)(result, other, spheres)
    assert "patch 1" in " ".join(text.get_text() for text in figure.axes[0].texts)


def test_the_regions_are_in_the_legend_with_their_control_vertices(spheres, monkeypatch):
    monkeypatch.setattr(edited_faces, "REGION_PIXELS", 60)
    figure = edited_faces.partition_figure(spheres, spheres)
    entries = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "mouth (12)" in entries and "skull" in entries and len(entries) == 11
