"""Figures and tables: what they say about the data, not how pretty they are."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
from face_sets import head_template, make_dataset, scan_dataset

from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.errors import Bench3dmmError
from bench3dmm.view import render
from bench3dmm.view.curves import _strokes, error_cdf_figure, error_table, run_label
from bench3dmm.view.heatmaps import heatmap_figure
from bench3dmm.view.people import contact_sheet_figure, contact_sheet_samples
from bench3dmm.view.spirals import _draw_pixels, even_vertex, spiral_figure
from bench3dmm.view.style import save_figure


@pytest.fixture(autouse=True)
def software_renderer(monkeypatch):
    monkeypatch.setattr(render, "renderer", lambda: "matplotlib")


@pytest.fixture(scope="module")
def template():
    return head_template()


@pytest.fixture
def scans(template):
    return scan_dataset(template)


def fake_result(scans, seed=0, **changes):
    run = {
        "dataset": "mh-scan",
        "split": "percentage",
        "profile": "smoke",
        "seed": seed,
        "model": "neural3dmm",
        "preset": "paper",
        "latent": 16,
        "loss": "l1",
    }
    index = np.array([0, 9])
    histogram = np.zeros(1001, dtype=np.int64)  # the last bin is all errors above 10 mm
    histogram[[50, 150, 1000]] = 30, 8, 2
    arrays = {
        "reconstruction_index": index,
        "reconstruction_offset": np.zeros((2, *scans.vertices.shape[1:]), np.float16) + np.float16([0, 0, 2]),
        "histogram": histogram,
        "histogram_edges": np.append(np.linspace(0, 10, 1001), np.inf),
        "loss": np.array([0.5, 0.4, 0.3]),
    }
    return SimpleNamespace(
        provenance={"dataset_recipe_sha256": None}, run=SimpleNamespace(**{**run, **changes}), arrays=arrays
    )


def texts(figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
    return " | ".join(found)


def test_contact_sheet_takes_each_expression_at_its_strongest(scans):
    chosen = contact_sheet_samples(scans, people=3)
    assert list(chosen.columns) == list(TABLE2)
    assert "F0001" not in chosen.index, "who lacks an expression is not shown"
    for subject, row in chosen.iterrows():
        for expression, index in row.items():
            sample = scans.samples.iloc[index]
            assert (sample.subject, sample.expression, sample.level) == (subject, expression, 1.0)


def test_contact_sheet_has_expressions_of_no_table_too(template):
    rows = [("S01", name, level, 0) for name in ("grumpy", "asleep", "grumpy") for level in (0.5, 1.0)]
    own = make_dataset(template, rows, "mine")
    assert list(contact_sheet_samples(own).columns) == ["neutral", "asleep", "grumpy"]


def test_contact_sheet_of_sequences_starts_with_a_neutral_face(template):
    rows = [
        (subject, expression, level, frame)
        for subject in ("S01", "S02")
        for expression in TABLE1
        for frame, level in enumerate((0.1, 1.0, 0.05))
    ]
    dataset = make_dataset(template, rows, "mh-seq")
    chosen = contact_sheet_samples(dataset)
    assert list(chosen.columns) == ["neutral", *TABLE1]
    assert (dataset.samples["level"].to_numpy()[chosen["neutral"]] == 0.05).all()
    assert "mh-seq" in texts(contact_sheet_figure(dataset, people=1, cell=40))


def test_contact_sheet_names_dataset_people_and_expressions(scans):
    shown = texts(contact_sheet_figure(scans, people=2, cell=40))
    for expected in ("mh-scan", "0123456789ab", "F0000", "F0003", "surprise"):
        assert expected in shown
    assert f"{len(scans)} meshes of 4 people" in shown


def test_heatmap_states_the_error_and_the_run(scans):
    figure = heatmap_figure(fake_result(scans), scans, rows=2)
    shown = texts(figure)
    assert shown.count("2.00 mm") == 2
    for expected in (
        "mh-scan",
        "percentage",
        "profile smoke",
        "seed 0",
        "neural3dmm (paper), d = 16, l1",
        "F0000",
    ):
        assert expected in shown
    assert "per-vertex error (mm)" in shown
    assert [tick for tick in figure.axes[-1].get_yticks() if 0 <= tick <= 6][-1] == 6


def test_cdf_curve_is_the_cumulative_share(scans):
    figure = error_cdf_figure([fake_result(scans), fake_result(scans, model="pca", split="identity")])
    x, y = figure.axes[0].lines[0].get_data()
    assert np.interp([0.49, 0.52, 1.49, 1.52, 10], x, y) == pytest.approx([0, 75, 75, 95, 95])
    closed_form = fake_result(scans, model="pca")
    closed_form.arrays["loss"] = np.array([])
    assert run_label(closed_form) == "pca, d = 16"
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["neural3dmm (paper), d = 16, l1, percentage", "pca (paper), d = 16, l1, identity"]
    assert "percentage, identity split · profile smoke · seed 0" in texts(figure)
    with pytest.raises(Bench3dmmError, match="at least one result"):
        error_cdf_figure([])


def test_many_curves_stay_distinct():
    strokes = set(zip(*_strokes(20), strict=True))
    assert len(strokes) == 20


def test_error_table_is_sorted_and_rounded(scans):
    results = [fake_result(scans), fake_result(scans, model="pca")]
    for result, mean in zip(results, (1.23456, 0.9), strict=True):
        result.metrics = {"mean_mm": mean, "std_mm": 1.0, "median_mm": 0.5, "p95_mm": 2.0}
    frame = error_table(results)
    assert [label.split()[0] for label in frame["run"]] == ["pca", "neural3dmm"]
    assert list(frame["mean"]) == [0.9, 1.235]


def test_pixel_spiral_visits_each_pixel_once_outwards():
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    _draw_pixels(axes, hops=2)
    path = np.array(axes.collections[0].get_offsets())
    assert len({tuple(point) for point in path}) == 25
    assert np.array_equal(np.abs(path).max(axis=1), np.repeat([0, 1, 2], [1, 8, 16]))
    assert (np.abs(np.diff(path, axis=0)).sum(axis=1) == 1).all(), "from neighbour to neighbour"
    for ring in (path[1:9], path[9:]):
        turn = np.unwrap(np.arctan2(ring[:, 1], ring[:, 0]))
        assert (np.diff(turn) > 0).all(), "counter-clockwise"


def test_spiral_figure_draws_the_models_own_ordering(template):
    from bench3dmm.mesh.spirals import spirals

    table = spirals(template.vertices, template.faces, hops=2, dilation=1)
    hierarchy = SimpleNamespace(spirals=lambda level, hops, dilation: table)
    figure = spiral_figure(template, hierarchy, name="mh-scan")
    centre = even_vertex(template.vertices, template.faces, table)
    expected = int((table[centre] >= 0).sum())
    numbers = [text.get_text() for text in figure.axes[1].texts if text.get_text()]
    assert numbers == [str(number) for number in range(expected)]
    assert f"vertex {centre} of mh-scan" in texts(figure)
    assert template.vertices[centre, 2] > 0, "on the side that faces the viewer"


def test_saved_figures_are_the_same_bytes_each_time(scans, tmp_path):
    first = save_figure(error_cdf_figure([fake_result(scans)]), tmp_path / "a", "cdf")
    second = save_figure(error_cdf_figure([fake_result(scans)]), tmp_path / "b", "cdf")
    assert [path.suffix for path in first] == [".png", ".pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert matplotlib.image.imread(first[0]).shape[:2] == (760, 1120)
