"""The comparison's figures: that they show the results given, claim no more, and say what is missing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from figure_checks import assert_texts_inside, footer, legend, texts
from mesh_shapes import icosphere
from peer_results import PERSONS, SETUP, foreign_results, peer_result, people

from bench3dmm.data.dataset import Dataset
from bench3dmm.mesh.template import Template
from bench3dmm.papers.comparison.experiments import PEERS
from bench3dmm.papers.comparison.figures import (
    error_over_latent_figure,
    error_over_time_figure,
    peers_faces_figure,
    region_figure,
)
from bench3dmm.statistics.ranking import rankings


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_errors_over_the_latent_size(results):
    figure = error_over_latent_figure(results, SETUP)
    assert [axes.get_title() for axes in figure.axes] == [
        "mh-scan, percentage",
        "mh-seq, percentage",
        "mh-scan, identity",
    ]
    assert legend(figure) == list(PEERS)
    drawn = lines(figure.axes[0])
    found = [r for r in rankings(results) if r.place == "mh-scan, percentage split"]
    for model in PEERS:
        np.testing.assert_allclose(drawn[model], [(r.latent, r.standing(model).mean.point) for r in found])
    assert "40 test persons" in footer(figure) and "profile quick" in footer(figure)
    assert_texts_inside(figure)


def test_a_legend_of_many_long_names_is_whole(results):
    names = [f"package_of_somebody_{i}.models:build" for i in range(4)]
    foreign = [result for name in names for result in foreign_results(SETUP, people, name, latent=16)]
    figure = error_over_latent_figure([*results, *foreign], SETUP)
    figure.canvas.draw()
    within = figure.legends[0].get_window_extent().transformed(figure.transFigure.inverted())
    assert set(names) < set(legend(figure)) and 0 <= within.x0 < within.x1 <= 1
    assert_texts_inside(figure)


def test_models_differ_in_shape_as_well_as_in_colour(results):
    given = [*results, *foreign_results(SETUP, people, latent=16), *foreign_results(SETUP, people, "b:c", latent=16)]
    axes = error_over_latent_figure(given, SETUP).axes[0]
    drawn = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert len({line.get_marker() for line in drawn}) == len({line.get_color() for line in drawn}) == 6


def test_too_few_seeds_are_drawn_hollow(results):
    one = [r for r in results if r.run.seed == 0 and r.run.split == "percentage" and r.run.dataset == "mh-scan"]
    figure = error_over_latent_figure(one, SETUP)
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 3, "of every model but PCA"
    assert "runs of these panels missing" in footer(figure)


def write_bench(path, latents):
    """As ``bench3dmm bench peers`` writes it, with one row of another preset among the others."""
    rows = [
        {
            "model": model,
            "preset": preset,
            "mesh": "mh-scan",
            "latent": d,
            "one_mesh_s": {"median": 0.001},
            **({} if model == "pca" else {"step_s": {"median": 0.01 * (place + 1)}}),
        }
        for place, model in enumerate(PEERS)
        for d in latents
        for preset in ("paper", "wide")
    ]
    for row in rows:
        if row["preset"] == "wide":
            row["one_mesh_s"] = {"median": 9.0}
    path.write_text(json.dumps({"schema": 1, "peers": rows}))
    return path


def test_errors_over_time_are_those_of_the_bench(results, tmp_path):
    bench = write_bench(tmp_path / "bench.json", (8, 16, 64, 256))
    figure = error_over_time_figure(results, SETUP, bench=bench)
    steps, once = figure.axes
    assert list(lines(steps)["coma"][:, 0]) == [20.0] * 4 and list(lines(once)["pca"][:, 0]) == [1.0] * 4
    assert "pca" not in lines(steps) and "pca, 8: no steps" in texts(figure)
    assert "bench3dmm bench peers" in footer(figure) and "rough" not in footer(figure)
    assert_texts_inside(figure)


def test_latent_sizes_that_were_not_timed_are_not_drawn(results, tmp_path):
    figure = error_over_time_figure(results, SETUP, bench=write_bench(tmp_path / "bench.json", (16,)))
    assert all(len(lines(axes)["coma"]) == 1 for axes in figure.axes)
    assert "at d = 16" in footer(figure) and "pca, 64: no steps" not in texts(figure)
    none = error_over_time_figure([r for r in results if r.run.latent == 8], SETUP, bench=tmp_path / "bench.json")
    assert not none.axes[0].lines, "nothing of what is there was timed"


@pytest.mark.parametrize("content", [None, {"schema": 1}, {"peers": [{"preset": "paper", "mesh": "other"}]}])
def test_without_a_bench_the_times_are_the_sweeps_and_it_says_so(results, tmp_path, content):
    path = tmp_path / "bench.json"
    if content is not None:
        path.write_text(json.dumps(content))
    figure = error_over_time_figure(results, SETUP, bench=path)
    (steps,) = figure.axes
    # 120 s over 30 epochs of 1,584 meshes, 16 at a time, whatever the model's own batch is
    for model in ("coma", "spiralnet"):
        np.testing.assert_allclose(lines(steps)[model][:, 0], 120e3 / (30 * 99))
    assert "measured while others ran" in footer(figure).replace(" · ", " ")


def test_errors_by_region(results):
    figure = region_figure(results, SETUP)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["eyes", "nose", "mouth", "cheeks", "rest"]
    given = [
        r
        for r in results
        if (r.run.model, r.run.latent, r.run.dataset, r.run.split) == ("coma", 16, "mh-scan", "percentage")
    ]
    expected = np.mean([list(r.metrics["by_region"].values()) for r in given], axis=0)
    np.testing.assert_allclose(lines(axes)["coma"][:, 1], expected)
    assert "d = 16" in footer(figure)


def test_faces_of_every_model():
    vertices, faces = icosphere(2, radius=50.0)
    template = Template(vertices, faces, np.empty(0, np.int32), "sphere")
    samples = pd.DataFrame({"subject": PERSONS, "expression": "angry", "level": 1.0, "frame": 0})
    meshes = np.repeat(vertices[None].astype(np.float32), len(PERSONS), axis=0)
    dataset = Dataset("mh-scan", template, meshes, samples, "0" * 64, {"recipe_sha256": "recipe"})
    runs = [run for run in SETUP.runs("peers", dataset="mh-scan", split="percentage", latent=16) if run.model != "coma"]
    given = [peer_result(run, PERSONS, n_vertices=len(vertices)) for run in runs]
    figure = peers_faces_figure(given, dataset, SETUP)
    shown = texts(figure)
    assert all(model in shown for model in ("reference", "pca", "spiralnet", "neural3dmm")) and "missing: coma" in shown
    offset = given[0].arrays["reconstruction_offset"][0].astype(float)
    assert f"{np.linalg.norm(offset, axis=1).mean():.2f} mm" in shown
    assert_texts_inside(figure)
