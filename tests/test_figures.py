"""Figures and tables: what they say about the data, not how pretty they are."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from synthetic_head import synthetic_head

from bench3dmm import figures
from bench3dmm.data.dataset import Dataset
from bench3dmm.data.synthetic.counts import TABLE1, TABLE1_PERCENT, TABLE2, TABLE2_PERCENT
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.mesh.template import Template
from bench3dmm.view import render


@pytest.fixture(autouse=True)
def software_renderer(monkeypatch):
    monkeypatch.setattr(render, "renderer", lambda: "matplotlib")


@pytest.fixture(scope="module")
def template():
    vertices, faces = synthetic_head(20, 24)
    return Template(vertices, faces, np.zeros(0, dtype=np.int32), "synthetic")


def make_dataset(template, rows, name="mh-scan"):
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    scale = 1 + 0.01 * np.arange(len(samples))[:, None, None]
    vertices = (template.vertices * scale).astype(np.float32)
    return Dataset(name, template, vertices, samples, "0123456789abcdef" * 4, {})


@pytest.fixture
def scans(template):
    rows = [
        (f"F{subject:04d}", expression, level, 0)
        for subject in range(4)
        for expression in TABLE2
        for level in (1.0, 0.5)
        if (subject, expression) != (1, "sad")
    ]
    return make_dataset(template, rows)


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


def test_paper_tables_add_up():
    assert sum(TABLE1.values()) == 20_466 and len(TABLE1) == 12
    assert sum(TABLE2.values()) == 1_779 and len(TABLE2) == 7


@pytest.mark.parametrize(
    ("table", "name", "percent"),
    [(TABLE1, "mouth_down", 11.55), (TABLE1, "mouth_open", 3.29), (TABLE2, "surprise", 20.01)],
)
def test_expression_table_of_the_papers_own_counts(template, table, name, percent):
    rows = [("S01", expression, 1.0, 0) for expression, count in table.items() for _ in range(count)]
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    frame = figures.expression_table(SimpleNamespace(name="x", samples=samples))
    assert (frame["meshes"] == frame["paper"]).all()
    assert frame.loc["total", "meshes"] == sum(table.values())
    assert frame.loc[name, "percent"] == pytest.approx(percent, abs=0.005)
    assert list(frame.index[:-1]) == list(table)


def test_the_papers_percentages_are_those_it_prints(template):
    """Those of Table 1 are cut off, not rounded, and stand here as in its text."""
    sequences = make_dataset(template, [("S01", expression, 1.0, 0) for expression in TABLE1])
    shown = figures.expression_table(sequences)["paper percent"]
    assert shown["bareteeth"] == 9.50 and shown["mouth_down"] == 11.54 and shown["mouth_up"] == 10.51
    assert dict(shown[:-1]) == TABLE1_PERCENT
    for counts, printed, most in ((TABLE1, TABLE1_PERCENT, 0.01), (TABLE2, TABLE2_PERCENT, 0.005)):
        assert list(printed) == list(counts)
        for name, count in counts.items():
            assert abs(printed[name] - 100 * count / sum(counts.values())) <= most + 1e-9, name


def test_expression_table_counts_what_is_there(scans):
    frame = figures.expression_table(scans)
    assert frame.attrs["table"] == "Table 2"
    assert frame.loc["sad", "meshes"] == 6 and frame.loc["sad", "paper"] == 161
    assert frame.loc["total", "meshes"] == len(scans)


def test_expressions_of_no_table_are_refused(template):
    with pytest.raises(DataError, match="grumpy"):
        figures.expression_table(make_dataset(template, [("S01", "grumpy", 1.0, 0)]))


def test_expressions_of_no_table_are_counted_where_the_paper_is_not_required(template):
    rows = [("S01", name, level, 0) for name in ("grumpy", "asleep", "grumpy") for level in (0.5, 1.0)]
    own = make_dataset(template, rows, "mine")
    frame = figures.expression_table(own, paper_required=False)
    assert frame["meshes"].to_dict() == {"asleep": 2, "grumpy": 4, "total": 6}
    assert list(frame.columns) == ["meshes", "percent"]
    assert list(figures.contact_sheet_samples(own).columns) == ["neutral", "asleep", "grumpy"]


def test_contact_sheet_takes_each_expression_at_its_strongest(scans):
    chosen = figures.contact_sheet_samples(scans, people=3)
    assert list(chosen.columns) == list(TABLE2)
    assert "F0001" not in chosen.index, "who lacks an expression is not shown"
    for subject, row in chosen.iterrows():
        for expression, index in row.items():
            sample = scans.samples.iloc[index]
            assert (sample.subject, sample.expression, sample.level) == (subject, expression, 1.0)


def test_contact_sheet_of_sequences_starts_with_a_neutral_face(template):
    rows = [
        (subject, expression, level, frame)
        for subject in ("S01", "S02")
        for expression in TABLE1
        for frame, level in enumerate((0.1, 1.0, 0.05))
    ]
    dataset = make_dataset(template, rows, "mh-seq")
    chosen = figures.contact_sheet_samples(dataset)
    assert list(chosen.columns) == ["neutral", *TABLE1]
    assert (dataset.samples["level"].to_numpy()[chosen["neutral"]] == 0.05).all()
    assert "mh-seq" in texts(figures.contact_sheet_figure(dataset, people=1, cell=40))


def test_contact_sheet_names_dataset_people_and_expressions(scans):
    shown = texts(figures.contact_sheet_figure(scans, people=2, cell=40))
    for expected in ("mh-scan", "0123456789ab", "F0000", "F0003", "surprise"):
        assert expected in shown
    assert f"{len(scans)} meshes of 4 people" in shown


def test_heatmap_states_the_error_and_the_run(scans):
    figure = figures.heatmap_figure(fake_result(scans), scans, rows=2)
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
    figure = figures.error_cdf_figure([fake_result(scans), fake_result(scans, model="pca", split="identity")])
    x, y = figure.axes[0].lines[0].get_data()
    assert np.interp([0.49, 0.52, 1.49, 1.52, 10], x, y) == pytest.approx([0, 75, 75, 95, 95])
    closed_form = fake_result(scans, model="pca")
    closed_form.arrays["loss"] = np.array([])
    assert figures._run_label(closed_form) == "pca, d = 16"
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["neural3dmm (paper), d = 16, l1, percentage", "pca (paper), d = 16, l1, identity"]
    assert "percentage, identity split · profile smoke · seed 0" in texts(figure)
    with pytest.raises(Bench3dmmError, match="at least one result"):
        figures.error_cdf_figure([])


def test_many_curves_stay_distinct():
    strokes = set(zip(*figures._strokes(20), strict=True))
    assert len(strokes) == 20


def test_error_table_is_sorted_and_rounded(scans):
    results = [fake_result(scans), fake_result(scans, model="pca")]
    for result, mean in zip(results, (1.23456, 0.9), strict=True):
        result.metrics = {"mean_mm": mean, "std_mm": 1.0, "median_mm": 0.5, "p95_mm": 2.0}
    frame = figures.error_table(results)
    assert [label.split()[0] for label in frame["run"]] == ["pca", "neural3dmm"]
    assert list(frame["mean"]) == [0.9, 1.235]


def test_pixel_spiral_visits_each_pixel_once_outwards():
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    figures._draw_pixels(axes, hops=2)
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
    figure = figures.spiral_figure(template, hierarchy, name="mh-scan")
    centre = figures.even_vertex(template.vertices, template.faces, table)
    expected = int((table[centre] >= 0).sum())
    numbers = [text.get_text() for text in figure.axes[1].texts if text.get_text()]
    assert numbers == [str(number) for number in range(expected)]
    assert f"vertex {centre} of mh-scan" in texts(figure)
    assert template.vertices[centre, 2] > 0, "on the side that faces the viewer"


def test_saved_figures_are_the_same_bytes_each_time(scans, tmp_path):
    first = figures.save_figure(figures.error_cdf_figure([fake_result(scans)]), tmp_path / "a", "cdf")
    second = figures.save_figure(figures.error_cdf_figure([fake_result(scans)]), tmp_path / "b", "cdf")
    assert [path.suffix for path in first] == [".png", ".pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert matplotlib.image.imread(first[0]).shape[:2] == (760, 1120)
