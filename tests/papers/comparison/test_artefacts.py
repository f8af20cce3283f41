"""The peers' tables and pictures: that they show the results given, claim no more, and say what is missing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from bench3dmm.artefacts import peers, setup
from mesh_shapes import icosphere
from peer_results import foreign_results, peer_result, peer_results
from test_artefacts import assert_texts_inside, footer, texts

from bench3dmm import artefacts
from bench3dmm.data import registry as data
from bench3dmm.data.dataset import Dataset
from bench3dmm.errors import DataError
from bench3dmm.mesh.template import Template
from bench3dmm.pages import report, workbook
from bench3dmm.papers.comparison.experiments import PEERS
from bench3dmm.papers.setup import Setup
from bench3dmm.record.run import Run
from bench3dmm.runs.results import save_result
from bench3dmm.statistics.ranking import rankings
from bench3dmm.view import render
from bench3dmm.view.tables import latex

SETUP = Setup(coma="mh-seq", bu3dfe="mh-scan")
PERSONS = np.repeat([f"F{number:04d}" for number in range(40)], 8)


def people(_dataset):
    return PERSONS


@pytest.fixture(autouse=True)
def twins(monkeypatch):
    """Forty people in both sets, whose meshes nobody has to make."""
    monkeypatch.setattr(setup, "persons", people)
    monkeypatch.setattr(render, "renderer", lambda: "matplotlib")


@pytest.fixture(scope="module")
def results():
    return peer_results(SETUP, people)


def rows(frame, **where):
    flat = frame.reset_index()
    for column, value in where.items():
        flat = flat[flat[column] == value]
    return flat


# --- tables -------------------------------------------------------------------------------------------------------


def test_the_ranking_shows_every_model_at_every_latent_size(results):
    frame = peers.ranking_table(results, SETUP)
    assert len(frame) == 16 and rows(frame, d="d = 64")["model"].iloc[0] == "pca"
    found = {ranking.latent: ranking for ranking in rankings(results) if ranking.place == "mh-scan, percentage split"}
    for row in frame.reset_index().itertuples():
        standing = found[int(row.d.removeprefix("d = "))].standing(row.model)
        assert row.rank == standing.place and row[4].startswith(f"{standing.mean.point:.3f}")
        assert row.seeds == (1 if row.model == "pca" else 3)
    assert rows(frame, d="d = 8", model="pca")["parameters"].item() == "18,000"
    said = frame.attrs["footer"]
    for part in ("mh-scan", "profile quick", "seeds 0, 1, 2", "40 test persons", "a machine", "95 % bootstrap"):
        assert part in said
    assert "missing" not in said and "not ranked" not in said
    assert latex(frame.reset_index(), said).count(r"\\") == 17


def test_datasets_and_splits_have_tables_of_their_own(results):
    errors = [
        peers.ranking_table(results, SETUP, *which)["error (mm)"].iloc[0]
        for which in (("bu3dfe",), ("coma",), ("bu3dfe", "identity"))
    ]
    assert len(set(errors)) == 3


def test_what_is_missing_is_said_and_not_ranked(results):
    some = [r for r in results if not (r.run.model == "coma" and r.run.seed == 2) and r.run.model != "spiralnet"]
    said = peers.ranking_table(some, SETUP).attrs["footer"]
    assert "not ranked at d = 8, 16, 64 and 256: coma (2 seeds, fewer than 3)" in said
    assert "missing: coma d = 8, 16, 64, 256 (seed 2); spiralnet d = 8, 16, 64, 256" in said
    scattered = [r for place, r in enumerate(results[:40]) if place % 3 == 0]
    assert (
        "26 of 40 runs missing: `bench3dmm sweep peers --profile quick`"
        in peers.pairs_table(scattered, SETUP).attrs["footer"]
    ), "a list of them would be long"


@pytest.mark.parametrize(
    "make",
    [
        peers.ranking_table,
        peers.pairs_table,
        peers.measures_table,
        peers.breakdown_table,
        peers.published_table,
        peers.peers_headline,
        peers.error_over_latent_figure,
        peers.error_over_time_figure,
        peers.region_figure,
    ],
)
def test_without_results_the_command_is_named(make):
    with pytest.raises(DataError, match="`bench3dmm sweep peers --profile quick`"):
        make([], SETUP)


def test_pairs_say_who_is_better_or_that_it_is_a_tie(results):
    frame = peers.pairs_table(results, SETUP)
    assert len(frame) == 4 * 6 and "tie" in set(frame["verdict"])
    for row in frame.itertuples():
        low, high = (float(end) for end in row[4].strip("[]").split(","))
        expected = "tie" if low <= 0 <= high else f"{row.first if high < 0 else row.second} is better"
        assert row.verdict == expected
        assert low <= float(row[3]) <= high


def test_only_the_mean_error_is_marked_and_only_where_intervals_say_so(results):
    frame = peers.measures_table(results, SETUP)
    marked = set(frame.index[frame["generalization (mm)"].str.endswith("*")])
    (ranking,) = [r for r in rankings(results) if r.latent == 16 and r.place == "mh-scan, percentage split"]
    assert marked == {s.model for s in ranking.standings if s.rank == 1} and 0 < len(marked) < 4
    assert not frame.drop(columns="generalization (mm)").astype(str).apply(lambda c: c.str.contains(r"\*")).any().any()
    assert {"normals (°)", "eyes (mm)", "specificity (mm)", "compactness (%)"} <= set(frame.columns)
    assert set(frame["compactness (%)"]) == {"93.0"}
    first = [
        r
        for r in results
        if (r.run.model, r.run.latent, r.run.dataset, r.run.split) == ("coma", 16, "mh-scan", "percentage")
    ]
    assert frame.loc["coma", "mouth (mm)"] == f"{np.mean([r.metrics['by_region']['mouth'] for r in first]):.3f}"


def test_results_from_before_a_measure_lack_it_and_the_table_says_so():
    old = peer_results(SETUP, people, measured=False)
    frame = peers.measures_table(old, SETUP)
    assert list(frame.columns) == ["parameters", "generalization (mm)", "median (mm)", "95th percentile (mm)"]
    assert (
        "not measured in these results: normals (°), specificity (mm), compactness (%), error by region"
        in frame.attrs["footer"]
    )
    for make, arguments in ((peers.region_figure, ()), (peers.breakdown_table, ("level",))):
        with pytest.raises(DataError, match=r"before .* measured; run `bench3dmm sweep peers .*--force`"):
            make(old, SETUP, *arguments)


def test_errors_by_expression_and_intensity(results):
    by = peers.breakdown_table(results, SETUP)
    levels = peers.breakdown_table(results, SETUP, "level")
    assert list(by.index) == ["angry", "happy"] and list(levels.index) == ["0.25", "1"]
    assert float(by.loc["happy", "pca"]) == pytest.approx(1.2 * float(by.loc["angry", "pca"]), abs=2e-3)
    assert set(PEERS) <= set(by.columns) and levels.index.name == "intensity"


def test_extrapolation_leaves_each_expression_out_once():
    runs = SETUP.runs("extrapolation")
    given = [peer_result(run, PERSONS) for run in runs]
    frame = peers.extrapolation_table(given, SETUP)
    assert frame.shape == (13, 4) and list(frame.columns) == list(PEERS)
    errors = frame["pca"].astype(float)
    assert errors.iloc[-1] == pytest.approx(errors.iloc[:-1].mean(), abs=1e-3)
    assert "no ranking is claimed" in frame.attrs["footer"] and "d = 8" in frame.attrs["footer"]
    gap = peers.extrapolation_table(given[1:], SETUP)
    assert gap.iloc[0]["pca"] == "–" and gap.iloc[-1]["pca"] == "–" and gap.iloc[-1]["coma"] != "–"
    assert "1 of 48 runs missing: `bench3dmm sweep extrapolation" in gap.attrs["footer"]
    with pytest.raises(DataError, match="sweep extrapolation"):
        peers.extrapolation_table([], SETUP)


def test_trainings_are_ranked_together(results):
    given = [*results, *peer_results(SETUP, people, "common-training")]
    frame = peers.common_training_table(given, SETUP)
    assert sorted(zip(frame["model"], frame["training"], strict=True)) == [
        ("coma", "Neural3DMM's"),
        ("coma", "its own"),
        ("neural3dmm", "Neural3DMM's"),
        ("spiralnet", "Neural3DMM's"),
        ("spiralnet", "its own"),
    ]
    assert list(frame["seeds"]) == [3] * 5 and "d = 16" in frame.attrs["footer"]
    with pytest.raises(DataError, match="sweep common-training"):
        peers.common_training_table(results, SETUP)


def test_published_numbers_stand_beside_ours_and_are_not_compared(results):
    frame = peers.published_table(results, SETUP)
    assert "0.845 ± 0.994" in list(rows(frame, model="coma")["error (mm)"])
    assert list(rows(frame, model="neural3dmm", dataset="COMA")["error (mm)"]) == ["0.880", "0.750", "0.620"]
    assert set(frame["dataset"]) == {"COMA", "mh-seq"}
    said = frame.attrs["footer"]
    assert "not to be compared" in said and "mh-seq is not COMA" in said and "30 epochs here, 300 in the papers" in said


def test_published_numbers_have_sources():
    stated = peers.published_peers()
    assert stated["source"].str.len().min() > 20 and set(stated["model"]) <= set(PEERS)
    assert (stated["mean_mm"] > 0).all() and len(stated) == len(stated.drop_duplicates())


def test_models_of_others_stand_in_every_table(results):
    given = [*results, *foreign_results(SETUP, people, latent=16)]
    assert "theirs:mlp" in list(rows(peers.ranking_table(given, SETUP), d="d = 16")["model"])
    assert "theirs:mlp" not in list(rows(peers.ranking_table(given, SETUP), d="d = 8")["model"])
    assert "theirs:mlp" in peers.measures_table(given, SETUP).index
    assert "theirs:mlp" in peers.breakdown_table(given, SETUP).columns
    assert "theirs:mlp" in legend(peers.error_over_latent_figure(given, SETUP))
    longer = foreign_results(SETUP, people, latent=16, epochs=60)
    assert "theirs:mlp" not in set(peers.ranking_table([*results, *longer], SETUP)["model"]), "another protocol"


def test_results_of_two_versions_are_refused(results):
    run = results[0].run
    with pytest.raises(DataError, match="measured on 2 versions"):
        peers.ranking_table([peer_result(run, PERSONS, split_sha256="older"), *results[1:]], SETUP)


# --- figures ------------------------------------------------------------------------------------------------------


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_errors_over_the_latent_size(results):
    figure = peers.error_over_latent_figure(results, SETUP)
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


def test_models_differ_in_shape_as_well_as_in_colour(results):
    given = [*results, *foreign_results(SETUP, people, latent=16), *foreign_results(SETUP, people, "b:c", latent=16)]
    axes = peers.error_over_latent_figure(given, SETUP).axes[0]
    drawn = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert len({line.get_marker() for line in drawn}) == len({line.get_color() for line in drawn}) == 6


def test_too_few_seeds_are_drawn_hollow(results):
    one = [r for r in results if r.run.seed == 0 and r.run.split == "percentage" and r.run.dataset == "mh-scan"]
    figure = peers.error_over_latent_figure(one, SETUP)
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
    figure = peers.error_over_time_figure(results, SETUP, bench=bench)
    steps, once = figure.axes
    assert list(lines(steps)["coma"][:, 0]) == [20.0] * 4 and list(lines(once)["pca"][:, 0]) == [1.0] * 4
    assert "pca" not in lines(steps) and "pca, 8: no steps" in texts(figure)
    assert "bench3dmm bench peers" in footer(figure) and "rough" not in footer(figure)
    assert_texts_inside(figure)


def test_latent_sizes_that_were_not_timed_are_not_drawn(results, tmp_path):
    figure = peers.error_over_time_figure(results, SETUP, bench=write_bench(tmp_path / "bench.json", (16,)))
    assert all(len(lines(axes)["coma"]) == 1 for axes in figure.axes)
    assert "at d = 16" in footer(figure) and "pca, 64: no steps" not in texts(figure)
    none = peers.error_over_time_figure([r for r in results if r.run.latent == 8], SETUP, bench=tmp_path / "bench.json")
    assert not none.axes[0].lines, "nothing of what is there was timed"


@pytest.mark.parametrize("content", [None, {"schema": 1}, {"peers": [{"preset": "paper", "mesh": "other"}]}])
def test_without_a_bench_the_times_are_the_sweeps_and_it_says_so(results, tmp_path, content):
    path = tmp_path / "bench.json"
    if content is not None:
        path.write_text(json.dumps(content))
    figure = peers.error_over_time_figure(results, SETUP, bench=path)
    (steps,) = figure.axes
    # 120 s over 30 epochs of 1,584 meshes, 16 at a time, whatever the model's own batch is
    for model in ("coma", "spiralnet"):
        np.testing.assert_allclose(lines(steps)[model][:, 0], 120e3 / (30 * 99))
    assert "measured while others ran" in footer(figure).replace(" · ", " ")


def test_errors_by_region(results):
    figure = peers.region_figure(results, SETUP)
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
    figure = peers.peers_faces_figure(given, dataset, SETUP)
    shown = texts(figure)
    assert all(model in shown for model in ("reference", "pca", "spiralnet", "neural3dmm")) and "missing: coma" in shown
    offset = given[0].arrays["reconstruction_offset"][0].astype(float)
    assert f"{np.linalg.norm(offset, axis=1).mean():.2f} mm" in shown
    assert_texts_inside(figure)


# --- where they are shown -----------------------------------------------------------------------------------------


def test_every_artefact_of_the_peers_is_in_the_report(results):
    named = {name: one for name, one in artefacts.ARTEFACTS.items() if set(one.needs) & set(peers.PEER_EXPERIMENTS)}
    assert len(named) == 14
    others = peer_results(SETUP, people, "common-training", "extrapolation")
    material = artefacts.Material([*results, *others], {}, SETUP)
    for name, artefact in named.items():
        if name != "peers-faces":
            assert artefact.make(material) is not None, name
        artefact.caption.format(coma="a", bu3dfe="b")


def test_the_report_says_first_where_pca_wins(results):
    evidence = report._Evidence(SETUP, "results", [], [], list(results))
    material = artefacts.Material(evidence.everything, {}, SETUP)
    blocks = list(report._compared(material, evidence))
    assert isinstance(blocks[0], report.Text) and "PCA, a linear model fitted in 2 s, is first" in blocks[0].text
    nothing = report._Evidence(SETUP, "results", [], [])
    (notice,) = report._compared(artefacts.Material([], {}, SETUP), nothing)
    assert isinstance(notice, report.Notice) and "sweep peers" in notice.text


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "recipe_sha256", lambda name: "recipe")
    monkeypatch.setattr(setup, "stored_results", unchecked)
    given = peer_results(SETUP, people)
    given = [
        r for r in given if r.run.latent in (16, 64) and r.run.split == "percentage" and r.run.dataset == "mh-scan"
    ]
    given += foreign_results(SETUP, people, "pkg:build", latent=16)
    given += [peer_result(Run("mh-scan", latent=16, profile="quick", epochs=5, seed=s), PERSONS) for s in range(3)]
    for result in given:
        save(result, tmp_path)
    return tmp_path


def save(result, folder):
    result.provenance.update(hierarchy_sha256="h", dataset_sha256="d", versions={}, created="today")
    result.arrays.update(histogram=np.ones(2), histogram_edges=np.arange(3.0))
    save_result(result, folder)


def unchecked(runs, results_dir):
    from bench3dmm.runs.results import load_result, result_path

    return [load_result(result_path(run, results_dir)) for run in runs]


def test_rank_prints_the_headline_and_then_the_table(stored, command):
    code, out, err = command("rank", "--results-dir", stored)
    assert code == 0, err
    assert out.startswith("PCA, a linear model fitted in 2 s, is first, ahead of")
    assert "pkg:build" in out and "mh-scan, percentage split, profile quick" in out
    assert "epochs" not in out, "a run off the protocol does not take part"
    code, out, _ = command("rank", "--results-dir", stored, "--latent", 64, "--model", "pca", "--model", "coma")
    assert code == 0 and "spiralnet" not in out and "d = 16" not in out and "d = 64" in out


def test_rank_says_what_to_do_where_nothing_is_stored(stored, tmp_path, command):
    code, _, err = command("rank", "--results-dir", tmp_path / "none")
    assert code == 1 and "`bench3dmm sweep peers --profile quick` trains them" in err
    code, _, err = command("rank", "--results-dir", stored, "--split", "identity")
    assert code == 1 and "with split identity" in err
    code, _, err = command("rank", "--profile", "quik")
    assert code == 2 and "Did you mean 'quick'" in err


def test_a_workbook_shows_what_is_stored_and_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(workbook, "sweep", lambda *_, **__: pytest.fail("it trained"))
    book = workbook.Workbook("mh-seq", "mh-scan", "quick", 3, tmp_path)
    assert book.stored("peers") == []
    assert capsys.readouterr().out == "0 of 100 runs are stored; the rest: bench3dmm sweep peers --profile quick\n"
    assert book.show(peers.ranking_table, "ranking") is None
    book.say(peers.peers_headline)
    assert capsys.readouterr().out.count("run `bench3dmm sweep peers --profile quick`") == 2


def test_a_workbook_shows_tables_and_figures(results, tmp_path):
    book = workbook.Workbook("mh-seq", "mh-scan", "quick", 3, tmp_path, tmp_path / "figures")
    book.results = list(results)
    book.show(peers.ranking_table, "ranking", place="coma")
    book.show(peers.error_over_latent_figure, "latent")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "ranking.csv",
        "ranking.tex",
        "latent.png",
        "latent.pdf",
    }
