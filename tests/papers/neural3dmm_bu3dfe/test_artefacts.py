"""The paper's tables and figures: that they show the data given, say what it is, and what of it is missing."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import itertools
import json
import re
import socket
import zipfile

import numpy as np
import pandas as pd
import pytest
from bench3dmm.artefacts import setup, tables
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mesh_shapes import icosphere
from sphere_sets import sphere_dataset

from bench3dmm import artefacts, figures
from bench3dmm.data import recipe_sha256
from bench3dmm.data import registry as data
from bench3dmm.data.dataset import Dataset
from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.errors import Bench3dmmError, DataError, MeshError, UnknownNameError
from bench3dmm.mesh.geodesic import landmark_distance
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.mesh.template import Template
from bench3dmm.papers.neural3dmm_bu3dfe import published
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import LATENTS
from bench3dmm.papers.registry import EXPERIMENTS
from bench3dmm.papers.setup import Setup
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import Result
from bench3dmm.view import render, show

PAPER_5 = {"percentage": [3.11, 2.40, 1.28, 0.61, 0.55], "identity": [4.33, 3.35, 1.73, 0.77, 0.71]}
LICENSED = Setup(coma="coma", bu3dfe="bu3dfe")


@pytest.fixture(autouse=True)
def software_renderer(monkeypatch):
    monkeypatch.setattr(render, "renderer", lambda: "matplotlib")


@pytest.fixture(scope="module")
def template():
    vertices, faces = icosphere(2, radius=50.0)
    half = Template(vertices, faces, np.empty(0, np.int32), "sphere").keep(np.flatnonzero(vertices[:, 2] > -1))
    front = np.argsort(half.vertices[:, 2])[-5:]
    return Template(half.vertices, half.faces, np.sort(front), "sphere")


@pytest.fixture(scope="module")
def scans(template):
    rows = [(f"F{person:04d}", name, 1.0, 0) for person in range(3) for name in TABLE2 for _ in range(2)]
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    vertices = (template.vertices * (1 + 0.01 * np.arange(len(rows)))[:, None, None]).astype(np.float32)
    return Dataset("mh-scan", template, vertices, samples, "0123456789abcdef" * 4, {"recipe_sha256": "recipe"})


def mean_of(run) -> float:
    """A number that differs between all runs of an experiment."""
    of = {"identity": 0.3, "percentage": 0.0, "weighted-l1": 0.2, "l1": 0.0}
    return 8 / run.latent**0.5 + of[run.split] + of[run.loss] + 0.01 * run.seed - 0.5 * run.dataset.startswith("mh-seq")


def fake_result(run, n_vertices=1, **provenance) -> Result:
    """Errors of `mean_of` everywhere, in two bins of the histogram; reconstructions are off by 2 mm along z."""
    mean = mean_of(run)
    histogram = np.zeros(1001, dtype=np.int64)
    histogram[[100, 300]] = 300 - run.seed * 100, 100
    arrays = {
        "histogram": histogram,
        "histogram_edges": np.append(np.linspace(0, 10, 1001), np.inf),
        "sample_error": np.linspace(mean - 0.1, mean + 0.1, 30).astype(np.float32),
        "sample_index": np.arange(0, 1770, 59),
        "vertex_error": np.full(n_vertices, mean, np.float32),
        "reconstruction_index": np.arange(6) + (10 if run.split == "identity" else 0),
        "reconstruction_offset": np.zeros((6, n_vertices, 3), np.float16) + np.float16([0, 0, 2]),
        "loss": np.array([0.5, 0.4]),
    }
    metrics = {"mean_mm": mean, "median_mm": 0.8 * mean, "near_mm": 0.5 * mean, "far_mm": 1.25 * mean}
    return Result(run, metrics, {"dataset_recipe_sha256": "recipe", "split_sha256": run.split, **provenance}, arrays)


def everything(of=None, n_vertices=1, **where) -> list[Result]:
    runs = (of or Setup()).runs("datasets", "splits", "weighted-loss", **where)
    return [fake_result(run, n_vertices) for run in runs]


def texts(figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
    return " | ".join(found)


def footer(figure) -> str:
    return figure.texts[-1].get_text().replace("\n", " · ")


def curves(axes) -> dict[str, tuple[list, list]]:
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def assert_texts_inside(figure):
    """No label is cut off at the figure's border."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    every = [
        *figure.texts,
        *(text for axes in figure.axes for text in [*axes.texts, axes.xaxis.label, axes.yaxis.label]),
    ]
    for text in every:
        if text.get_text():
            box = text.get_window_extent()
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
            assert inside, (text.get_text(), box, (width, height))


# --- which runs -------------------------------------------------------------------------------------------------


def test_the_command_says_what_differs_from_the_default():
    assert Setup().command("splits") == "bench3dmm sweep splits --profile quick"
    other = Setup(bu3dfe="mh-scan@clean", profile="paper", seeds=range(5))
    assert other.command("datasets") == "bench3dmm sweep datasets --bu3dfe mh-scan@clean --profile paper --seeds 5"


@pytest.mark.parametrize(
    ("draw", "commands"),
    [
        (artefacts.figure4, ["datasets"]),
        (artefacts.figure5, ["splits"]),
        (artefacts.figure6, ["splits", "weighted-loss"]),
        (artefacts.generalization_table, ["splits", "weighted-loss"]),
        (artefacts.landmark_table, ["weighted-loss"]),
    ],
)
def test_without_any_run_the_command_is_named(draw, commands):
    others = everything(Setup(profile="paper"))
    for results in ([], others):
        with pytest.raises(DataError) as error:
            draw(results)
        for command in commands:
            assert f"`bench3dmm sweep {command} --profile quick`" in str(error.value)
        assert "\n" not in str(error.value)


def test_missing_runs_are_listed_in_one_breath():
    results = [
        result
        for result in everything(split="percentage")
        if result.run.latent < 256 and not (result.run.latent < 64 and result.run.seed == 2)
    ]
    shown = setup.choose("it", results, Setup(), "splits").footer
    assert "missing: percentage d = 8, 16 (seed 2); percentage d = 256, 512; identity d = 8, 16, 64, 256, 512" in shown
    assert "missing" not in setup.choose("it", everything(), Setup(), "splits").footer


def test_runs_on_two_versions_of_a_dataset_are_not_mixed():
    results = everything()
    results[-1] = fake_result(results[-1].run, dataset_recipe_sha256="older")
    with pytest.raises(DataError, match="mh-scan, identity split, were measured on 2 versions"):
        artefacts.figure6(results)


def test_summary_over_seeds():
    cell = setup.summarise([fake_result(run) for run in Setup().runs("splits", split="identity", latent=16)])
    row = cell.iloc[0]
    assert len(cell) == 1 and row["seeds"] == 3
    assert row["mean"] == pytest.approx(2.31) and row["sd"] == pytest.approx(0.01)
    assert (row["lowest"], row["highest"]) == pytest.approx((2.30, 2.32))
    assert row["low"] < row["mean"] < row["high"] and row["high"] - row["low"] < 0.1
    assert row["near"] == pytest.approx(0.5 * row["mean"]) and row["far_sd"] == pytest.approx(0.0125)
    assert np.isnan(setup.summarise([fake_result(Setup().runs("splits")[0])]).iloc[0]["sd"])


def test_stored_results_are_those_there_are(tmp_path):
    from bench3dmm.runs.results import save_result

    first, second = Setup().runs("splits")[:2]
    result = fake_result(first)
    metrics = {**result.metrics, "std_mm": 1.0, "p95_mm": 2.0, "by_expression": {}}
    arrays = {**result.arrays, "sample_index": np.arange(30), "vertex_error": np.ones(1)}
    provenance = {**result.provenance, "dataset_sha256": "", "hierarchy_sha256": ""}
    provenance |= {"device": "cpu", "versions": {}, "created": "", "dataset_recipe_sha256": recipe_sha256("mh-scan")}
    save_result(Result(first, metrics, provenance, arrays), tmp_path)
    assert [stored.run for stored in artefacts.stored_results([second, first], tmp_path)] == [first]
    save_result(Result(second, metrics, provenance | {"dataset_recipe_sha256": "another"}, arrays), tmp_path)
    with pytest.raises(DataError, match=rf"{second.run_id}.*another version of mh-scan.*--force"):
        artefacts.stored_results([second, first], tmp_path)


def test_persons_are_known_without_the_meshes(monkeypatch):
    monkeypatch.setattr(data.cache, "load_generated", lambda *_, **__: pytest.fail("the meshes were loaded"))
    setup._persons.cache_clear()
    known = setup.persons("mh-scan")
    assert len(known) == 1779 and len(set(known)) == 100


def test_a_dataset_that_comes_later_is_asked_for_again(monkeypatch):
    assert setup.persons("comes-later") is None
    monkeypatch.setitem(data._registered, "comes-later", lambda: sphere_dataset("comes-later"))
    assert len(setup.persons("comes-later")) == 48


# --- curves -----------------------------------------------------------------------------------------------------


def test_figure4_shows_both_datasets_beside_the_papers():
    figure = artefacts.figure4(everything())
    (axes,) = figure.axes
    drawn = curves(axes)
    assert drawn["mh-seq"][0] == [8, 16, 64]
    assert drawn["mh-seq"][1] == pytest.approx([8 / d**0.5 - 0.5 + 0.01 for d in (8, 16, 64)])
    assert drawn["mh-scan"][0] == list(LATENTS), "the larger ones, which Fig. 5 needs, are shown where they are there"
    assert drawn["paper, COMA (digitised)"] == ([8, 16, 64], [0.88, 0.75, 0.62])
    assert drawn["paper, BU3DFE (digitised)"] == (list(LATENTS), PAPER_5["percentage"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "mh-seq",
        "paper, COMA (digitised)",
        "mh-scan",
        "paper, BU3DFE (digitised)",
    ]
    assert axes.get_xscale() == "log" and axes.get_ylim()[0] == 0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latent size d", "generalization error (mm)")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "16", "64", "256", "512"]
    assert_texts_inside(figure)


def test_figure4_does_not_miss_what_only_figure5_needs():
    figure = artefacts.figure4([result for result in everything() if result.run.latent <= 64])
    assert "missing" not in footer(figure)
    assert "mh-seq, mh-scan · percentage split · profile quick · seeds 0, 1, 2 · preset paper" in footer(figure)
    alone = artefacts.figure4(everything(dataset="mh-scan"))
    assert "missing: mh-seq d = 8, 16, 64" in footer(alone) and "mh-seq" not in curves(alone.axes[0])


def test_figure5_shows_both_splits_with_the_range_of_seeds():
    figure = artefacts.figure5(everything())
    (axes,) = figure.axes
    drawn = curves(axes)
    for split, shift in (("percentage", 0.0), ("identity", 0.3)):
        means = [8 / d**0.5 + shift + 0.01 for d in LATENTS]
        assert drawn[f"mh-scan, {split}"][1] == pytest.approx(means)
        assert drawn[f"paper, BU3DFE (digitised), {split}"] == (list(LATENTS), PAPER_5[split])
    bars = [container.lines[2][0].get_segments() for container in axes.containers]
    assert [list(bar[:, 1]) for bar in bars[0]] == [
        pytest.approx([8 / d**0.5, 8 / d**0.5 + 0.02]) for d in LATENTS
    ]  # fmt: skip
    assert len(axes.collections) >= 2, "a bootstrap band a split"
    assert "bars: lowest and highest seed" in footer(figure)
    assert "bootstrap interval over test persons and seeds" in footer(figure)
    assert_texts_inside(figure)


def test_one_seed_has_no_bars():
    figure = artefacts.figure5(everything(seed=0), Setup(seeds=(0,)))
    assert "bars" not in footer(figure) and "missing" not in footer(figure)
    assert all(not len(container.lines[2][0].get_segments()) for container in figure.axes[0].containers)


def test_figure6_shows_cumulative_errors_and_the_papers_medians():
    figure = artefacts.figure6(everything())
    assert [axes.get_title() for axes in figure.axes] == ["percentage split", "identity split"]
    medians = {"percentage": [2.63, 2.07, 0.96, 0.40, 0.36], "identity": [3.70, 2.93, 1.49, 0.53, 0.48]}
    for axes, split in zip(figure.axes, ("percentage", "identity"), strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        ours = [f"d = {d}" for d in LATENTS] + ["d = 512, weighted L1"]
        assert set(ours) <= set(lines)
        x, y = lines["d = 64"].get_data()
        expected = 100 * np.mean([300 / 400, 200 / 300, 100 / 200])
        assert np.interp([0.99, 1.02, 2.99, 3.02, 10], x, y) == pytest.approx([0, expected, expected, 100, 100])
        assert lines["d = 512"].get_linestyle() == "-" != lines["d = 512, weighted L1"].get_linestyle()
        assert lines["d = 512"].get_color() == lines["d = 512, weighted L1"].get_color()
        assert len({lines[f"d = {d}"].get_color() for d in LATENTS}) == len(LATENTS)
        marked = [line for line in axes.lines if line.get_label() == "paper, BU3DFE (digitised): median"]
        assert [line.get_xdata()[0] for line in marked] == medians[split]
        assert all(line.get_ydata()[0] == 50 for line in marked)
        assert axes.get_xlim() == (0, 10) and axes.get_ylim() == (0, 100)
    weighted = "paper, BU3DFE (digitised): median, weighted L1"
    assert [curves(axes)[weighted][0] for axes in figure.axes] == [[0.62], [0.78]]
    assert figure.axes[0].get_legend().get_title().get_text() == "paper, BU3DFE (digitised)"
    assert "mean over seeds" in footer(figure)
    assert_texts_inside(figure)


def test_colours_over_latent_size_darken():
    from matplotlib.colors import to_rgb

    from bench3dmm.papers.neural3dmm_bu3dfe.figures.curves import _latent_colour

    luminance = [np.dot(to_rgb(_latent_colour(d)), (0.21, 0.72, 0.07)) for d in LATENTS]
    assert all(first > second + 0.02 for first, second in itertools.pairwise(luminance))


@pytest.fixture
def complete(monkeypatch):
    """As if COMA and BU3DFE were imported here, all of them."""
    monkeypatch.setattr(data, "departures", lambda name: [] if name in ("coma", "bu3dfe") else [f"{name} is another"])


@pytest.mark.parametrize("draw", [artefacts.figure4, artefacts.figure5, artefacts.figure6])
def test_the_licensed_sets_stand_alone(draw, complete):
    figure = draw(everything(LICENSED), LICENSED)
    labels = [line.get_label() for axes in figure.axes for line in axes.lines]
    assert labels and not any("digitised" in label for label in labels)
    assert "bu3dfe" in footer(figure)


@pytest.mark.parametrize("found", [["people: 2 (COMA: 12)"], None])
def test_what_is_imported_in_part_is_shown_beside_the_papers_numbers(found, monkeypatch):
    monkeypatch.setattr(data, "departures", lambda name: found)
    figure = artefacts.figure4(everything(LICENSED), LICENSED)
    labels = [line.get_label() for axes in figure.axes for line in axes.lines]
    assert {"coma", "paper, COMA (digitised)", "bu3dfe", "paper, BU3DFE (digitised)"} <= set(labels)


def test_the_embedded_sets_are_never_called_by_the_licensed_names():
    for draw in (artefacts.figure4, artefacts.figure5, artefacts.figure6):
        figure = draw(everything())
        labels = [line.get_label() for axes in figure.axes for line in axes.lines]
        for text in [*labels, texts(figure)]:
            assert not re.search("COMA|BU3DFE", text) or "paper" in text


# --- faces ------------------------------------------------------------------------------------------------------


def test_figure1_names_the_real_levels(sphere_hierarchy):
    figure = artefacts.figure1(sphere_hierarchy, latent=32, name="half a sphere")
    shown = texts(figure)
    for level, size in enumerate(sphere_hierarchy.sizes):
        assert f"{size:,} vertices" in shown
        if level < 4:
            assert f"L = {sphere_hierarchy.spirals(level).shape[1]}" in shown
    steps = [text.get_text() for text in figure.axes[0].texts if "DS" in text.get_text() or "US" in text.get_text()]
    assert steps == [
        *("SC(1, 16)\nDS(4)", "US(4)\nSC(1, 3)"),
        *("SC(1, 16)\nDS(4)", "US(4)\nSC(1, 16)"),
        *("SC(1, 16)\nDS(4)", "US(4)\nSC(1, 16)"),
        *("SC(1, 32)\nDS(4)", "US(4)\nSC(1, 32)"),
    ]
    coarsest = sphere_hierarchy.sizes[-1]
    assert "d = 32" in shown and "FC(32)" in shown and f"FC({coarsest + 1} · 32)" in shown
    assert "half a sphere" in footer(figure) and "preset paper" in footer(figure)
    assert len(figure.axes[0].images) == 10, "each level in the encoder and in the decoder"
    assert_texts_inside(figure)


def test_figure1_of_the_released_architecture(sphere_hierarchy):
    shown = texts(artefacts.figure1(sphere_hierarchy, "release"))
    for expected in ("SC(2, 16)\nDS(4)", "SC(1, 128)\nDS(4)", "US(4)\nSC(2, 16)\nSC(2, 3)", "dilation 2", "· 128)"):
        assert expected in shown
    with pytest.raises(UnknownNameError, match="papr"):
        artefacts.figure1(sphere_hierarchy, "papr")


def test_figure1_features_are_those_of_the_model(sphere_hierarchy):
    """The numbers below the meshes are what the model's layers put out."""
    import torch

    from bench3dmm.models import build_model

    for preset in ("paper", "release"):
        model = build_model("neural3dmm", sphere_hierarchy, 8, preset=preset)
        sizes = []
        for layer in [*model.encoder_convs, *model.decoder_convs]:
            layer.register_forward_hook(
                lambda module, args, out, sizes=sizes: sizes.append((out.shape[0], out.shape[2]))
            )
        model(torch.zeros(2, sphere_hierarchy.sizes[0], 3))
        shown = texts(artefacts.figure1(sphere_hierarchy, preset))
        for vertices, channels in set(sizes) - {(sphere_hierarchy.sizes[0], 16)}:  # before the release's final layer
            assert f"{vertices:,} × {channels}" in shown


def test_figure2_is_the_spiral_figure(template, sphere_hierarchy, spheres):
    assert "spiral ordering of vertex" in footer(artefacts.figure2(spheres.template, sphere_hierarchy, "sphere"))


def test_figure3_shows_both_weights_on_one_scale(template):
    figure = artefacts.figure3(template)
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
        artefacts.figure3(Template(template.vertices, template.faces))


@pytest.mark.parametrize(
    ("draw", "splits", "loss", "rows"),
    [
        (artefacts.figure7, ["percentage"], "l1", [0, 2, 3, 5]),
        (artefacts.figure8, ["identity"], "l1", [10, 12, 13, 15]),
        (artefacts.figure9, ["percentage", "identity"], "weighted-l1", [0, 2, 10, 12]),
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
    shown = footer(artefacts.figure9(later, scans))
    assert "seed 1" in shown and "missing: percentage" in shown
    assert "missing" not in footer(artefacts.figure8(later, scans))
    with pytest.raises(DataError, match="bench3dmm sweep splits --profile quick"):
        artefacts.figure7(later, scans)


def test_heatmaps_refuse_another_version_of_the_dataset(scans):
    other = dataclasses.replace(scans, card={"recipe_sha256": "newer"})
    with pytest.raises(DataError, match="another version of mh-scan"):
        artefacts.figure7(everything(n_vertices=scans.template.n_vertices), other)


# --- tables -----------------------------------------------------------------------------------------------------


def test_tables_1_and_2(scans, template):
    frame = artefacts.table2(scans)
    assert frame.loc["total", "meshes"] == len(scans) and frame.loc["fear", "paper"] == 349
    with pytest.raises(DataError, match="Table 2, not of Table 1"):
        artefacts.table1(scans)
    rows = [("S01", expression, 1.0, 0) for expression in TABLE1]
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    sequences = Dataset("mh-seq", template, np.zeros((12, 1, 3)), samples, "f" * 64, {})
    assert list(artefacts.table1(sequences).index) == [*TABLE1, "total"]
    assert "mh-seq" in artefacts.table1(sequences).attrs["footer"]


def test_generalization_table(complete):
    frame = artefacts.generalization_table(everything(dataset="mh-scan"))
    assert frame.index.names == ["split", "loss", "source"]
    assert list(frame.columns) == [f"d = {d}" for d in LATENTS]
    ours, paper = "mh-scan (quick)", "paper, BU3DFE (digitised)"
    assert list(frame.index) == [
        (split, loss, source)
        for split in ("percentage", "identity")
        for loss in ("L1", "weighted L1")
        for source in (ours, paper)
    ]
    assert frame.loc[("identity", "L1", ours), "d = 16"] == "2.310 ± 0.010"
    assert frame.loc[("identity", "L1", paper), "d = 16"] == "3.35"
    assert list(frame.loc[("percentage", "weighted L1", paper)]) == ["–"] * 4 + ["0.82"]
    assert "mh-scan" in frame.attrs["footer"] and "seeds 0, 1, 2" in frame.attrs["footer"]
    licensed = artefacts.generalization_table(everything(LICENSED), LICENSED)
    assert set(licensed.index.get_level_values("source")) == {"bu3dfe (quick)", "coma (quick)"}
    both = artefacts.generalization_table(everything())
    sources = [source for split, loss, source in both.index if (split, loss) == ("percentage", "L1")]
    assert sources == [ours, paper, "mh-seq (quick)", "paper, COMA (digitised)"]
    assert list(both.loc[("percentage", "L1", "paper, COMA (digitised)")]) == ["0.88", "0.75", "0.62", "–", "–"]
    one = artefacts.generalization_table(everything(seed=0), Setup(seeds=(0,)))
    assert one.loc[("identity", "L1", ours), "d = 16"] == "2.300"
    assert "deviation" not in one.attrs["footer"]


def test_landmark_table():
    frame = artefacts.landmark_table(everything())
    row = frame.loc[("percentage", "weighted L1", "mh-scan (quick)")]
    mean = 8 / 512**0.5 + 0.2 + 0.01
    assert row["near landmarks"] == f"{0.5 * mean:.3f} ± 0.005"
    assert row["elsewhere"] == f"{1.25 * mean:.3f} ± 0.013" or row["elsewhere"] == f"{1.25 * mean:.3f} ± 0.012"
    assert row["ratio"] == "0.400" and row["all vertices"] == f"{mean:.3f} ± 0.010"
    paper = frame.loc[("identity", "weighted L1", "paper, BU3DFE (digitised)")]
    assert list(paper) == ["–", "–", "–", "1.03"]
    without = [dataclasses.replace(r, metrics={"mean_mm": 1.0, "median_mm": 1.0}) for r in everything()]
    assert artefacts.landmark_table(without).iloc[0]["near landmarks"] == "–"


def assert_well_formed(text: str, columns: int) -> list[list[str]]:
    """A booktabs tabular whose rows have as many cells as it has columns; returns the rows' cells."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    begin = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[0])
    assert begin and len(begin[1]) == columns and lines[-1] == r"\end{tabular}"
    assert text.count(r"\begin{") == text.count(r"\end{") == 1
    assert lines[1] == r"\toprule" and lines[-2] == r"\bottomrule" and lines[3] == r"\midrule"
    rows = []
    for line in lines[2:-2]:
        if line == r"\midrule":
            continue
        assert line.endswith(r" \\")
        cells = re.split(r"(?<!\\)&", line.removesuffix(r" \\"))
        assert len(cells) == columns
        for cell in cells:
            stripped = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}|\$\\\w+\$|\$-\$", "", cell)
            assert not re.search(r"[&%$#_{}~^\\]", stripped), f"unescaped: {cell}"
            assert stripped.isascii()
        rows.append([cell.strip() for cell in cells])
    return rows


def test_saved_tables_are_well_formed(scans, tmp_path):
    made = {
        "table2": artefacts.table2(scans),
        "errors": artefacts.generalization_table(everything()),
        "landmarks": artefacts.landmark_table(everything()),
    }
    for name, frame in made.items():
        csv, tex = artefacts.save_table(frame, tmp_path / "new", name)
        read = pd.read_csv(csv)
        flat = frame.reset_index()
        assert list(read.columns) == list(flat.columns) and len(read) == len(flat)
        rows = assert_well_formed(tex.read_text(), len(flat.columns))
        assert len(rows) == len(flat) + 1
        assert tex.read_text().startswith(f"% {frame.attrs['footer']}")
    assert pd.read_csv(tmp_path / "new" / "table2.csv")["meshes"].iloc[-1] == len(scans)
    tex = (tmp_path / "new" / "table2.tex").read_text()
    assert tex.count(r"\midrule") == 2, "the total is set off"


def test_latex_escapes_and_leaves_out_repeated_labels():
    frame = pd.DataFrame(
        {"name": ["a_b", "a_b", "50% & more"], "kind": ["~x^2", "{y}", "C:\\z#$"], "value": ["1.0 ± 0.1", "–", "2"]}
    )
    rows = assert_well_formed(tables.latex(frame), 3)
    assert [row[0] for row in rows] == ["name", r"a\_b", "", r"50\% \& more"]
    assert rows[1][2] == r"1.0 $\pm$ 0.1" and rows[2][2] == "--"
    assert tables.latex(frame).splitlines()[1] == r"\begin{tabular}{llr}"


# --- near the landmarks -----------------------------------------------------------------------------------------


def test_error_over_the_distance_to_landmarks(template, scans):
    results = everything(n_vertices=template.n_vertices)
    distance = landmark_distance(template)
    near = distance <= 2
    for result in results:
        if result.run.loss == "weighted-l1":
            result.arrays["vertex_error"][near] = 0.01
    figure = artefacts.landmark_distance_figure(results, template)
    drawn = curves(figure.axes[0])
    assert drawn["weighted L1"][0] == drawn["L1"][0] == sorted(drawn["L1"][0])
    first = distance < 1
    assert drawn["weighted L1"][0][0] == pytest.approx(distance[first].mean())
    assert drawn["weighted L1"][1][0] == pytest.approx(0.01)
    assert drawn["L1"][1][0] == pytest.approx(drawn["L1"][1][-1])
    assert f"{100 * np.mean(distance <= 10):.0f} % of the vertices" in footer(figure)
    assert_texts_inside(figure)
    with pytest.raises(MeshError, match="no landmarks"):
        artefacts.landmark_distance_figure(results, Template(template.vertices, template.faces))


# --- how far from converged -------------------------------------------------------------------------------------


def trained_for(epochs: dict[int, dict[int, float]]) -> list[Result]:
    runs = Setup().runs("convergence")
    chosen = [(run, epochs[run.latent][run.n_epochs]) for run in runs if run.n_epochs in epochs.get(run.latent, {})]
    return [dataclasses.replace(fake_result(run), metrics={"mean_mm": error}) for run, error in chosen]


def test_convergence_is_drawn_over_epochs_and_told_beside_the_longest_training():
    results = trained_for({16: {5: 2.0, 30: 1.2, 120: 1.0}, 256: {30: 0.75, 120: 0.5}})
    figure = artefacts.convergence_figure(results)
    drawn = curves(figure.axes[0])
    assert drawn["d = 16"] == ([5, 30, 120], [2.0, 1.2, 1.0]) and drawn["d = 256"] == ([30, 120], [0.75, 0.5])
    assert "profile quick" in texts(figure) and "missing" in footer(figure)
    assert_texts_inside(figure)
    table = artefacts.convergence_table(results)
    assert list(table.index) == [5, 30, 120]
    assert list(table["d = 16"]) == ["2.000", "1.200", "1.000"] and list(table["d = 256"]) == ["–", "0.750", "0.500"]
    assert list(table["above the longest, d = 16"]) == ["+100 %", "+20 %", "+0 %"]
    assert list(table["above the longest, d = 256"]) == ["–", "+50 %", "+0 %"]


# --- the registry -----------------------------------------------------------------------------------------------


def test_registry_has_every_artefact_of_the_paper():
    assert set(artefacts.ARTEFACTS) >= {"table1", "table2", *(f"figure{number}" for number in range(1, 10))}
    for artefact in artefacts.ARTEFACTS.values():
        assert set(artefact.needs) <= set(EXPERIMENTS)
        assert "{" not in artefact.caption.format(coma="mh-seq", bu3dfe="mh-scan")


def test_artefacts_take_what_a_run_stores(spheres, tmp_path):
    """The keys and shapes above are those of real results."""
    real = Setup(coma="sphere", bu3dfe="sphere", profile="smoke", seeds=(0,))
    (run,) = real.runs("splits", latent=8, split="percentage")
    result = execute(run, tmp_path, "cpu", progress=False, dataset=spheres)
    assert f"{result.metrics['mean_mm']:.3f}" in artefacts.generalization_table([result], real)["d = 8"].iloc[0]
    (large,) = real.runs("splits", latent=512, split="percentage")
    stand_in = dataclasses.replace(result, run=large)
    figure = artefacts.figure7([stand_in], spheres, real, cmap="paper")
    assert "sphere · percentage split · profile smoke · seed 0" in footer(figure)
    error = np.linalg.norm(result.arrays["reconstruction_offset"][0].astype(float), axis=1).mean()
    assert f"{error:.2f} mm" in texts(figure)
    assert len(artefacts.figure6([result, stand_in], real).axes) == 2


# --- pieces -----------------------------------------------------------------------------------------------------


def test_without_a_checkout_there_are_no_published_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "PAPER_CSV", tmp_path / "none.csv")
    published.published_numbers.cache_clear()
    try:
        assert published.published("bu3dfe", "mh-scan", "identity").empty
    finally:
        published.published_numbers.cache_clear()


def test_long_footers_are_broken_and_given_room():
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel("x")
    figures.add_footer(figure, " · ".join(["a part of a footer"] * 12))
    assert figure.texts[0].get_text().count("\n") >= 3
    assert_texts_inside(figure)
    assert not axes.xaxis.label.get_window_extent().overlaps(figure.texts[0].get_window_extent())


def test_project_agrees_with_the_picture():
    """A bright triangle appears where its corners are projected to."""
    vertices = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0]])
    view = render.fit_view(vertices, "front", (60, 80))
    image = render.render_mesh(vertices, np.array([[0, 1, 2]]), size=(60, 80), view=view)
    rows, columns = np.nonzero(image.mean(axis=2) < 250)
    pixels = render.project(vertices, view, (60, 80))
    assert (columns.min(), columns.max() + 1) == pytest.approx((pixels[:, 0].min(), pixels[:, 0].max()), abs=1.5)
    assert (rows.min(), rows.max() + 1) == pytest.approx((pixels[:, 1].min(), pixels[:, 1].max()), abs=1.5)
    assert pixels[2, 1] < pixels[0, 1], "y points down in a picture"


def test_wireframe_shows_edges_and_the_inside():
    vertices = np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    plain, edged = (render.render_wireframe(vertices, faces, size=80, line_width=width) for width in (0, 2))
    assert plain.shape == (80, 80, 3) and plain.dtype == np.uint8
    assert edged[20, 59].mean() < plain[20, 59].mean() - 40, "the diagonal"
    assert np.abs(edged[60, 59].astype(int) - plain[60, 59]).max() <= 2, "inside a triangle"
    inside = render.render_wireframe(vertices, faces[:, ::-1], size=80, line_width=0)
    assert inside[60, 59].mean() < 90 < plain[60, 59].mean()


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


def packed_scene(view: show.MeshView) -> dict:
    """What a view's page gives to trame's viewer: its objects, and its arrays by hash."""
    page = html.unescape(re.search(r'<iframe srcdoc="([^"]*)"', view.html)[1])
    packed = base64.b64decode(re.search(r'base64Str = "([^"]*)"', page)[1])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return json.loads(archive.read("index.json"))


def objects_of(scene: dict, kind: str) -> list[dict]:
    below = [found for part in scene.get("dependencies", []) for found in objects_of(part, kind)]
    return [scene["properties"]] * (kind in scene["type"]) + below


def array_of(packed: dict, description: dict) -> np.ndarray:
    kind = {"Float32Array": np.float32, "Uint8Array": np.uint8}[description["dataType"]]
    content = base64.b64decode(packed["hashes"][description["hash"]]["content"])
    return np.frombuffer(content, kind).reshape(-1, description["numberOfComponents"])


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


@pytest.mark.parametrize(
    ("chosen", "row"), [({}, 0), ({"split": "identity", "loss": "l1", "place": 3}, 13)], ids=["default", "chosen"]
)
def test_the_error_of_a_heatmap_can_be_turned(scans, chosen, row):
    pytest.importorskip("trame_vtk")
    results = everything(n_vertices=scans.template.n_vertices, latent=512)
    view = artefacts.error_view(results, scans, **chosen)
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
        artefacts.error_view([], scans, **chosen)
