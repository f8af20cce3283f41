"""The comparison's tables: that they show the results given, claim no more, and say what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from figure_checks import legend
from peer_results import PERSONS, SETUP, foreign_results, peer_result, peer_results, people

from bench3dmm.errors import DataError
from bench3dmm.papers.comparison.experiments import PEERS
from bench3dmm.papers.comparison.figures import error_over_latent_figure, region_figure
from bench3dmm.papers.comparison.tables import (
    breakdown_table,
    common_training_table,
    extrapolation_table,
    measures_table,
    pairs_table,
    published_peers,
    published_table,
    ranking_table,
)
from bench3dmm.statistics.ranking import rankings
from bench3dmm.view.tables import latex


def rows(frame, **where):
    flat = frame.reset_index()
    for column, value in where.items():
        flat = flat[flat[column] == value]
    return flat


def test_the_ranking_shows_every_model_at_every_latent_size(results):
    frame = ranking_table(results, SETUP)
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
        ranking_table(results, SETUP, *which)["error (mm)"].iloc[0]
        for which in (("bu3dfe",), ("coma",), ("bu3dfe", "identity"))
    ]
    assert len(set(errors)) == 3


def test_what_is_missing_is_said_and_not_ranked(results):
    some = [r for r in results if not (r.run.model == "coma" and r.run.seed == 2) and r.run.model != "spiralnet"]
    said = ranking_table(some, SETUP).attrs["footer"]
    assert "not ranked at d = 8, 16, 64 and 256: coma (2 seeds, fewer than 3)" in said
    assert "missing: coma d = 8, 16, 64, 256 (seed 2); spiralnet d = 8, 16, 64, 256" in said
    scattered = [r for place, r in enumerate(results[:40]) if place % 3 == 0]
    assert (
        "26 of 40 runs missing: `bench3dmm sweep peers --profile quick`"
        in pairs_table(scattered, SETUP).attrs["footer"]
    ), "a list of them would be long"


def test_pairs_say_who_is_better_or_that_it_is_a_tie(results):
    frame = pairs_table(results, SETUP)
    assert len(frame) == 4 * 6 and "tie" in set(frame["verdict"])
    for row in frame.itertuples():
        low, high = (float(end) for end in row[4].strip("[]").split(","))
        expected = "tie" if low <= 0 <= high else f"{row.first if high < 0 else row.second} is better"
        assert row.verdict == expected
        assert low <= float(row[3]) <= high


def test_only_the_mean_error_is_marked_and_only_where_intervals_say_so(results):
    frame = measures_table(results, SETUP)
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
    frame = measures_table(old, SETUP)
    assert list(frame.columns) == ["parameters", "generalization (mm)", "median (mm)", "95th percentile (mm)"]
    assert (
        "not measured in these results: normals (°), specificity (mm), compactness (%), error by region"
        in frame.attrs["footer"]
    )
    for make, arguments in ((region_figure, ()), (breakdown_table, ("level",))):
        with pytest.raises(DataError, match=r"before .* measured; run `bench3dmm sweep peers .*--force`"):
            make(old, SETUP, *arguments)


def test_errors_by_expression_and_intensity(results):
    by = breakdown_table(results, SETUP)
    levels = breakdown_table(results, SETUP, "level")
    assert list(by.index) == ["angry", "happy"] and list(levels.index) == ["0.25", "1"]
    assert float(by.loc["happy", "pca"]) == pytest.approx(1.2 * float(by.loc["angry", "pca"]), abs=2e-3)
    assert set(PEERS) <= set(by.columns) and levels.index.name == "intensity"


def test_extrapolation_leaves_each_expression_out_once():
    runs = SETUP.runs("extrapolation")
    given = [peer_result(run, PERSONS) for run in runs]
    frame = extrapolation_table(given, SETUP)
    assert frame.shape == (13, 4) and list(frame.columns) == list(PEERS)
    errors = frame["pca"].astype(float)
    assert errors.iloc[-1] == pytest.approx(errors.iloc[:-1].mean(), abs=1e-3)
    assert "no ranking is claimed" in frame.attrs["footer"] and "d = 8" in frame.attrs["footer"]
    gap = extrapolation_table(given[1:], SETUP)
    assert gap.iloc[0]["pca"] == "–" and gap.iloc[-1]["pca"] == "–" and gap.iloc[-1]["coma"] != "–"
    assert "1 of 48 runs missing: `bench3dmm sweep extrapolation" in gap.attrs["footer"]
    with pytest.raises(DataError, match="sweep extrapolation"):
        extrapolation_table([], SETUP)


def test_trainings_are_ranked_together(results):
    given = [*results, *peer_results(SETUP, people, "common-training")]
    frame = common_training_table(given, SETUP)
    assert sorted(zip(frame["model"], frame["training"], strict=True)) == [
        ("coma", "Neural3DMM's"),
        ("coma", "its own"),
        ("neural3dmm", "Neural3DMM's"),
        ("spiralnet", "Neural3DMM's"),
        ("spiralnet", "its own"),
    ]
    assert list(frame["seeds"]) == [3] * 5 and "d = 16" in frame.attrs["footer"]
    with pytest.raises(DataError, match="sweep common-training"):
        common_training_table(results, SETUP)


def test_published_numbers_stand_beside_ours_and_are_not_compared(results):
    frame = published_table(results, SETUP)
    assert "0.845 ± 0.994" in list(rows(frame, model="coma")["error (mm)"])
    assert list(rows(frame, model="neural3dmm", dataset="COMA")["error (mm)"]) == ["0.880", "0.750", "0.620"]
    assert set(frame["dataset"]) == {"COMA", "mh-seq"}
    said = frame.attrs["footer"]
    assert "not to be compared" in said and "mh-seq is not COMA" in said and "30 epochs here, 300 in the papers" in said


def test_published_numbers_have_sources():
    stated = published_peers()
    assert stated["source"].str.len().min() > 20 and set(stated["model"]) <= set(PEERS)
    assert (stated["mean_mm"] > 0).all() and len(stated) == len(stated.drop_duplicates())


def test_models_of_others_stand_in_every_table(results):
    given = [*results, *foreign_results(SETUP, people, latent=16)]
    assert "theirs:mlp" in list(rows(ranking_table(given, SETUP), d="d = 16")["model"])
    assert "theirs:mlp" not in list(rows(ranking_table(given, SETUP), d="d = 8")["model"])
    assert "theirs:mlp" in measures_table(given, SETUP).index
    assert "theirs:mlp" in breakdown_table(given, SETUP).columns
    assert "theirs:mlp" in legend(error_over_latent_figure(given, SETUP))
    longer = foreign_results(SETUP, people, latent=16, epochs=60)
    assert "theirs:mlp" not in set(ranking_table([*results, *longer], SETUP)["model"]), "another protocol"
