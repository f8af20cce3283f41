"""From stored results to effects: what is missing, what cannot be compared, and what is drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from claim_results import MESHES, PERSONS, make_result, make_results, verdict_on

from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.claims import CLAIMS, evaluate_claims
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result
from bench3dmm.statistics.claims import INCONCLUSIVE, REPRODUCED, verdict_table


def test_a_missing_run_is_named(results):
    without = [r for r in results if (r.run.split, r.run.latent) != ("identity", 256)]
    v = verdict_on("percentage-below-identity", without)
    assert v.verdict == INCONCLUSIVE and v.effect is None and v.seed_effects == ()
    assert v.reason == "run mh-scan, identity, l1, d = 256 is not stored"
    assert verdict_on("coma-easier", without).verdict == REPRODUCED, "it does not need that run"


def test_no_results_at_all():
    verdicts = evaluate_claims([])
    assert {v.verdict for v in verdicts} == {INCONCLUSIVE}
    assert all(v.data == "no results" and "not stored" in v.reason for v in verdicts)
    assert len(verdict_table(verdicts)) == len(CLAIMS)


def test_two_seeds_are_too_few(results):
    v = verdict_on("coma-easier", [r for r in results if r.run.seed < 2])
    assert v.verdict == INCONCLUSIVE and v.reason == "2 seeds, at least 3 are needed"
    assert v.effect.high < 1, "what they say is reported all the same"


def test_a_seed_that_one_run_lacks(results):
    without = [r for r in results if (r.run.dataset, r.run.latent, r.run.seed) != ("mh-seq", 16, 2)]
    v = verdict_on("coma-easier", without)
    assert v.verdict == INCONCLUSIVE and v.seeds == (0, 1)
    assert v.reason.endswith("run mh-seq, percentage, l1, d = 16, seed 2 is not stored")
    more = make_results(seeds=(0, 1, 2, 3))
    v = verdict_on("coma-easier", [r for r in more if (r.run.latent, r.run.seed) != (16, 2)])
    assert v.verdict == REPRODUCED and v.seeds == (0, 1, 3)


def test_a_few_meshes_are_not_resampled(results):
    few = [
        Result(r.run, r.metrics, r.provenance, {name: array[:4] for name, array in r.arrays.items()}) for r in results
    ]
    v = verdict_on("coma-easier", few)
    assert v.verdict == INCONCLUSIVE and "4 test meshes, at least 5 are needed" in v.reason


def test_no_landmarks_no_verdict_on_them(results):
    bare = [
        Result(r.run, r.metrics, r.provenance, {k: a for k, a in r.arrays.items() if "near" not in k}) for r in results
    ]
    v = verdict_on("weighted-better-near-landmarks", bare)
    assert v.verdict == INCONCLUSIVE and "has no errors near landmarks" in v.reason
    assert "template are not given" in verdict_on("identity-noisier", results).reason


def test_other_datasets_are_ignored(results):
    other = make_result(Run("mh-scan@linear", profile="smoke"), 1.0, 0.1, 0.1)
    assert verdict_on("coma-easier", [*results, other]).verdict == REPRODUCED


@pytest.mark.parametrize(("field", "value"), [("profile", "smoke"), ("model", "pca"), ("epochs", 3)])
def test_results_of_two_kinds_are_refused(results, field, value):
    other = make_result(Run("mh-scan", **{"profile": "quick", field: value}), 1.0, 0.1, 0.1)
    with pytest.raises(DataError, match=f"differ in {field}"):
        evaluate_claims([*results, other])


def test_a_result_given_twice_is_refused(results):
    with pytest.raises(DataError, match="twice"):
        evaluate_claims([*results, results[3]])


def test_other_data_or_meshes_are_refused(results, datasets):
    r = results[-1]
    for changed, message in (
        (Result(r.run, r.metrics, {**r.provenance, "dataset_sha256": "old"}, r.arrays), "another version"),
        (Result(r.run, r.metrics, r.provenance, {**r.arrays, "sample_index": np.arange(1, 61)}), "other meshes"),
    ):
        with pytest.raises(DataError, match=message):
            evaluate_claims([*results[:-1], changed])
    with pytest.raises(DataError, match="another version"):
        evaluate_claims(results, datasets={"mh-scan": dataclasses.replace(datasets["mh-scan"], sha256="new")})


def test_neither_the_order_nor_the_company_of_results_matters(results, datasets):
    shuffled = [results[i] for i in np.random.default_rng(0).permutation(len(results))]
    first, second = (
        [v.as_dict() for v in evaluate_claims(r, datasets=datasets, resamples=200)] for r in (results, shuffled)
    )
    assert first == second
    alone = verdict_on("coma-easier", [r for r in results if r.run.latent in (8, 16, 64)])
    assert alone.as_dict() == verdict_on("coma-easier", results).as_dict()


def test_persons_are_drawn_where_they_are_known(datasets):
    results = make_results(mesh_sd=0.0)
    whose = datasets["mh-scan"].samples["subject"].to_numpy()
    for r in results:  # who is hard differs between the splits
        order = np.unique(whose) if r.run.split == "percentage" else np.unique(whose)[::-1]
        hard = np.array([np.flatnonzero(order == person)[0] for person in whose])
        r.arrays["sample_error"] = r.arrays["sample_error"] * (1 + 0.05 * hard).astype(np.float32)
    by_mesh = verdict_on("percentage-below-identity", results)
    by_person = verdict_on("percentage-below-identity", results, datasets=datasets)
    assert by_person.persons == {"mh-scan identity": PERSONS, "mh-scan percentage": PERSONS} and not by_mesh.persons
    assert f"{MESHES} test meshes of {PERSONS} persons" in by_person.data
    width = {id(v): v.effect.high - v.effect.low for v in (by_mesh, by_person)}
    assert width[id(by_person)] > 1.5 * width[id(by_mesh)], "five meshes of a person are not five people"
