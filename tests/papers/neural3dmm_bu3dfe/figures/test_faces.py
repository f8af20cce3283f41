"""Pictures of meshes, Figs. 2, 3 and 7 to 9: which meshes they show, and what they say about them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from figure_checks import assert_texts_inside, footer, texts
from mesh_pages import array_of, objects_of, packed_scene
from paper_results import everything

from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.template import Template
from bench3dmm.papers.neural3dmm_bu3dfe.figures.faces import error_view, figure2, figure3, figure7, figure8, figure9
from bench3dmm.view import render


def test_figure2_is_the_spiral_figure(template, sphere_hierarchy, spheres):
    assert "spiral ordering of vertex" in footer(figure2(spheres.template, sphere_hierarchy, "sphere"))


def test_figure3_shows_both_weights_on_one_scale(template):
    figure = figure3(template)
    picture, bar = figure.axes
    shown = texts(figure)
    assert "equation 6" in shown and "released code" in shown and bar.get_ylabel() == "weight"
    assert bar.get_yscale() == "log" and bar.get_ylim() == pytest.approx((0.01, 1))
    first, second = (marks.get_offsets() for marks in picture.collections)
    assert len(first) == len(second) == 5
    shift = np.ptp(np.stack([first, second])[:, :, 0], axis=0)
    assert np.allclose(second - first, [shift[0], 0]), "the same landmarks on both"
    assert "5 landmarks" in footer(figure) and "sphere" in footer(figure)
    assert_texts_inside(figure)
    with pytest.raises(MeshError, match="has none"):
        figure3(Template(template.vertices, template.faces))


@pytest.mark.parametrize(
    ("draw", "splits", "loss", "rows"),
    [
        (figure7, ["percentage"], "l1", [0, 2, 3, 5]),
        (figure8, ["identity"], "l1", [10, 12, 13, 15]),
        (figure9, ["percentage", "identity"], "weighted-l1", [0, 2, 10, 12]),
    ],
)
def test_heatmaps_show_the_same_meshes_everywhere(draw, splits, loss, rows, scans):
    figure = draw(everything(n_vertices=scans.template.n_vertices, latent=512), scans)
    labels = [text.get_text() for text in figure.axes[0].texts]
    people = [label.split("\n")[-2:] for label in labels if "F0" in label]
    assert people == [[scans.samples["subject"][row], scans.samples["expression"][row]] for row in rows]
    assert labels.count("mean\n2.00 mm") == len(rows)
    assert [label for label in labels if label in ("reference", "reconstruction", "error")] == [
        "reference",
        "reconstruction",
        "error",
    ]
    if len(splits) > 1:
        assert [label.split("\n")[0] for label in labels if "F0" in label] == [splits[0]] * 2 + [splits[1]] * 2
    assert "per-vertex error (mm)" in texts(figure)
    assert figure.axes[1].get_ylim() == (0, 6)
    for expected in ("mh-scan", "profile quick", "seed 0", "d = 512", loss, "fixed positions", *splits):
        assert expected in footer(figure)
    assert "missing" not in footer(figure)
    assert_texts_inside(figure)


def test_heatmaps_take_the_first_seed_there_is_and_say_what_is_missing(scans):
    results = everything(n_vertices=scans.template.n_vertices, latent=512)
    later = [result for result in results if result.run.seed > 0 and result.run.split == "identity"]
    shown = footer(figure9(later, scans))
    assert "seed 1" in shown and "missing: percentage" in shown
    assert "missing" not in footer(figure8(later, scans))
    with pytest.raises(DataError, match="bench3dmm sweep splits --profile quick"):
        figure7(later, scans)


def test_heatmaps_refuse_another_version_of_the_dataset(scans):
    other = dataclasses.replace(scans, card={"recipe_sha256": "newer"})
    with pytest.raises(DataError, match="another version of mh-scan"):
        figure7(everything(n_vertices=scans.template.n_vertices), other)


@pytest.mark.parametrize(
    ("chosen", "row"), [({}, 0), ({"split": "identity", "loss": "l1", "place": 3}, 13)], ids=["default", "chosen"]
)
def test_the_error_of_a_heatmap_can_be_turned(scans, chosen, row):
    pytest.importorskip("trame_vtk")
    results = everything(n_vertices=scans.template.n_vertices, latent=512)
    view = error_view(results, scans, **chosen)
    packed = packed_scene(view)
    outside, _ = objects_of(packed["scene"], "PolyData")
    assert np.allclose(array_of(packed, outside["points"]), scans.vertices[row] + [0, 0, 2], atol=1e-4)
    (colours,) = (array_of(packed, field) for field in outside["fields"] if field["name"] == "colours")
    assert np.abs(colours / 255 - render.paint(np.array([2.0]))).max() < 0.01, "2 mm everywhere"
    sample = scans.samples.iloc[row]
    small = re.search(r"<figcaption[^>]*>(.*)</figcaption>", view.html)[1]
    for expected in (sample["subject"], "mean 2.00 mm", "mh-scan", "seed 0", "d = 512", chosen.get("loss", "weighted")):
        assert expected in small
    with pytest.raises(DataError, match="bench3dmm sweep weighted-loss"):
        error_view([], scans, **chosen)
