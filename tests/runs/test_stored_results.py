"""The results in the repository: what the code of today would make them from, each once, complete and small."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from bench3dmm.apply.exported import load_run
from bench3dmm.data import load_dataset, recipe_sha256
from bench3dmm.data.rows import rows_of_profile
from bench3dmm.data.splits import SPLITS, make_split
from bench3dmm.data.synthetic.makehuman import Registration, recipe, sample_table, sequence, stream
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.models import closed_form
from bench3dmm.models.registry import needs_hierarchy
from bench3dmm.papers.registry import papers
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import check_names
from bench3dmm.runs.results import load_result, load_results, result_path
from bench3dmm.system.checkout import ROOT

RESULTS = ROOT / "results"
STORED = sorted(RESULTS.glob("*/*.json"))
LARGEST_MB = 48
SHIPPED = [result_path(run, RESULTS) for paper in papers().values() for run in paper.shipped()]
"""Results that come with their weights, for what notebooks make with trained models; some at half precision."""


@cache
def samples(name):
    """The table of a set, without its meshes; a sequence's levels come with its motion."""
    made = recipe(name)
    table = sample_table(made)
    if made.base == "mh-seq":
        for key, rows in table.groupby(["subject", "expression"], sort=False).groups.items():
            _, level, _ = sequence(key[1], len(rows), stream(made, "motion", *key))
            table.loc[rows, "level"] = np.round(level, 4)
    return table


@cache
def hierarchy_sha256(name):
    return build_hierarchy(Registration.of(recipe(name)).template).sha256


@cache
def template_sha256(name):
    """Of the hierarchy of one level, which models that need no more are given; once they were given the whole."""
    return build_hierarchy(Registration.of(recipe(name)).template, ()).sha256


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_result_is_what_this_code_would_measure(path):
    result = load_result(path)
    run, made = result.run, result.provenance
    check_names(run)
    assert path.parent.name == run.profile
    assert made["dataset_recipe_sha256"] == recipe_sha256(run.dataset)
    hierarchies = [hierarchy_sha256(run.dataset)]
    if not needs_hierarchy(run.model):
        hierarchies.append(template_sha256(run.dataset))
    assert made["hierarchy_sha256"] in hierarchies
    split = make_split(run.split, samples(run.dataset), run.split_seed, run.test_share)
    assert made["split_sha256"] == split.sha256
    train, test = rows_of_profile(split.train, split.test, PROFILES[run.profile])
    np.testing.assert_array_equal(result.arrays["sample_index"], test)
    assert made["train_meshes"] == len(train) - run.validation
    assert made["epochs"] == len(result.arrays["loss"]) == (0 if closed_form(run.model) else run.n_epochs)
    assert made["git"] and not made["git"]["dirty"], "measured by code that no commit holds"


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_metrics_are_those_of_the_arrays(path):
    result = load_result(path)
    errors = result.arrays["sample_error"]
    assert result.metrics["mean_mm"] == pytest.approx(errors.mean(dtype=np.float64), rel=1e-5)
    assert result.metrics["mean_mm"] == pytest.approx(result.arrays["vertex_error"].mean(dtype=np.float64), rel=1e-5)
    counts, edges = result.arrays["histogram"], result.arrays["histogram_edges"]
    assert counts.sum() == len(errors) * len(result.arrays["vertex_error"])
    below = np.searchsorted(np.cumsum(counts), counts.sum() / 2)
    assert edges[below] - 1e-6 <= result.metrics["median_mm"] <= edges[below + 1] + 1e-6


def spelt_out(run):
    """The same training with its defaults written as numbers."""
    _, share = SPLITS.get(run.split, (None, 0.0))  # one that leaves out an expression has no share
    return dataclasses.replace(run, epochs=run.n_epochs, test_share=run.test_share or share)


def stored_twice(runs):
    """Ids of runs that are one training."""
    found = {}
    for run in runs:
        found.setdefault(spelt_out(run), set()).add(run.run_id)
    return [sorted(ids) for ids in found.values() if len(ids) > 1]


def test_one_training_under_two_ids_is_seen():
    run = Run("mh-scan", profile="quick")
    same = [dataclasses.replace(run, epochs=30), dataclasses.replace(run, test_share=0.1)]
    other = [dataclasses.replace(run, epochs=60), dataclasses.replace(run, test_share=0.08)]
    assert stored_twice([run, *other]) == []
    assert stored_twice([run, *same, *other]) == [sorted(one.run_id for one in (run, *same))]


def test_no_training_is_stored_twice_and_no_array_without_its_result():
    frame = load_results(RESULTS)
    assert not frame["run_id"].duplicated().any()
    assert stored_twice(Run(**row) for row in frame[Run.field_names()].to_dict("records")) == []
    stems = {path.with_suffix("") for path in STORED}
    orphans = [path for path in RESULTS.glob("*/*.npz") if path.with_suffix("") not in stems]
    assert not orphans


def test_results_are_small_enough_for_a_repository():
    kept = [path for path in RESULTS.rglob("*") if path.is_file() and path.suffix != ".safetensors"]
    kept += [path.with_suffix(".safetensors") for path in SHIPPED]
    assert sum(path.stat().st_size for path in kept) <= LARGEST_MB * 1e6


def test_shipped_weights_reconstruct_as_they_did_when_they_were_measured():
    meshes = load_dataset("mh-scan", progress=False).vertices
    for path in SHIPPED:
        model, result = load_run(path), load_result(path)
        rows = result.arrays["sample_index"][::40]
        error = np.linalg.norm(model.reconstruct(meshes[rows]) - meshes[rows], axis=2).mean(axis=1)
        np.testing.assert_allclose(error, result.arrays["sample_error"][::40], rtol=1e-3)


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_measured_again_was_measured_by_committed_code(path):
    result = load_result(path)
    measured = result.provenance.get("measured", result.provenance)
    assert measured["git"] and not measured["git"]["dirty"]
    if "compactness" in result.metrics:
        assert result.metrics["specificity_mm"] == pytest.approx(result.arrays["specificity"].mean(), rel=1e-6)
        assert result.metrics["normal_deg"] == pytest.approx(result.arrays["sample_normal_error"].mean(), rel=1e-5)
        assert list(result.metrics["by_region"].values()) == pytest.approx(
            result.arrays["sample_region_error"].mean(axis=0, dtype=np.float64), rel=1e-5
        )
