"""The claims: what they read, and verdicts on results with known effects."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from claim_results import BY_ID, MESHES, make_dataset, make_results, published_error, verdict_on

from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.claims import CLAIMS, evaluate_claims, paper_effects, untested_table
from bench3dmm.papers.neural3dmm_bu3dfe.effects import FIG4_COMA, FIG5_BU3DFE
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import FIGURES
from bench3dmm.papers.neural3dmm_bu3dfe.untested import UNTESTED
from bench3dmm.papers.setup import Setup
from bench3dmm.record.run import Run
from bench3dmm.statistics.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, verdict_table
from bench3dmm.system.storage import canonical_json
from bench3dmm.view.verdicts import LIMITS, claims_figure, margin

PAPER_TEXT = "BENCH3DMM_PAPER_TEXT"  # a file with the paper's text, which is not ours to ship
MEASURED_HERE = {"256-has-far-fewer-parameters", "identity-noisier", "plain-spares-parameters"} | {
    claim.id for claim in CLAIMS if "landmark" in claim.statement
}


# --- the claims themselves --------------------------------------------------------------------------------------


def test_claims_are_well_formed():
    entries = [*CLAIMS, *UNTESTED]
    assert len({entry.id for entry in entries}) == len(entries)
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.id)
        assert 1 <= len(entry.quote.split()) <= 8, f"{entry.id}: quoted at length"
        assert all(getattr(entry, field.name) != "" for field in dataclasses.fields(entry) if field.name != "note")
    assert {claim.side for claim in CLAIMS} == {"below", "above"}


def test_the_experiments_of_the_figures_train_all_that_claims_need():
    names = {"coma": "mh-seq", "bu3dfe": "mh-scan"}
    trained = {(run.dataset, run.split, run.loss, run.latent) for run in Setup().runs(*FIGURES)}
    for claim in CLAIMS:
        assert {(names[c.dataset], c.split, c.loss, c.latent) for c in claim.needs} <= trained, claim.id


def test_quotes_are_verbatim():
    if not (path := os.environ.get(PAPER_TEXT)):
        pytest.skip(f"set {PAPER_TEXT} to the paper's text to check quotations")
    text = re.sub(r"\s+", " ", Path(path).read_text().replace("*", ""))
    assert [entry.id for entry in (*CLAIMS, *UNTESTED) if entry.quote not in text] == []


def test_published_numbers_are_those_of_the_table(paper):
    def curve(**where):
        rows = paper[np.logical_and.reduce([paper[key] == value for key, value in where.items()])]
        return dict(zip(rows["latent"], rows["value_mm"], strict=True))

    assert curve(artefact="fig4") == FIG4_COMA
    for split, values in FIG5_BU3DFE.items():
        assert curve(artefact="fig5", split=split) == values


def test_the_papers_own_numbers_bear_its_claims_out(paper):
    """All but one: the relative gap between the splits does not nearly close, as that claim's note says."""
    effects = paper_effects(paper)
    assert set(effects) == set(BY_ID) - MEASURED_HERE
    fails = [name for name, effect in effects.items() if not BY_ID[name].holds(effect)]
    assert fails == ["gap-almost-closes-relative"]
    assert "do not show this" in BY_ID[fails[0]].note
    assert effects["coma-easier"] == pytest.approx(0.62 / 1.28)
    assert effects["gap-almost-closes"] == pytest.approx(0.16 / 0.45)
    assert effects["plain-beats-weighted-512"] == pytest.approx(0.77 / 1.03)


def test_digitising_does_not_decide_about_the_papers_numbers(paper):
    expected = {name: BY_ID[name].holds(effect) for name, effect in paper_effects(paper).items()}
    rng = np.random.default_rng(0)
    for _ in range(40):
        read = paper["value_mm"] + paper["uncertainty_mm"] * rng.uniform(-1, 1, len(paper))
        effects = paper_effects(paper.assign(value_mm=read))
        assert {name: BY_ID[name].holds(effect) for name, effect in effects.items()} == expected


# --- verdicts on known effects ----------------------------------------------------------------------------------


def test_results_like_the_papers_reproduce_it(results, datasets, paper):
    verdicts = evaluate_claims(results, datasets=datasets, paper=paper)
    assert [v.claim for v in verdicts] == list(CLAIMS)
    for v in verdicts:
        expected = REPRODUCED
        if v.claim.original:
            expected = INCONCLUSIVE
        elif v.claim.id == "gap-almost-closes-relative":
            expected = NOT_REPRODUCED
        assert v.verdict == expected, (v.claim.id, v.effect, v.reason)
        assert v.effect.low <= v.effect.point <= v.effect.high
        assert len(v.seed_effects) == 3
        if v.paper_effect is not None:
            assert v.effect.point == pytest.approx(v.paper_effect, rel=0.05), v.claim.id


def test_the_effect_is_the_ratio_of_the_means(results):
    v = verdict_on("coma-flattens", results)
    means = {
        (run.dataset, d): np.mean([r.arrays["sample_error"].mean() for r in results if _is(r.run, run, d)])
        for run in (Run("mh-seq"), Run("mh-scan"))
        for d in (8, 64)
    }
    coma, bu3dfe = (means[name, 8] / means[name, 64] for name in ("mh-seq", "mh-scan"))
    assert v.effect.point == pytest.approx(coma / bu3dfe, rel=1e-5)
    assert v.seeds == (0, 1, 2) and v.profile == "quick" and v.datasets == ("mh-scan", "mh-seq")
    assert v.test_meshes == {"mh-scan percentage": MESHES, "mh-seq percentage": MESHES} and v.persons == {}


def _is(run: Run, like: Run, latent: int) -> bool:
    return (run.dataset, run.split, run.loss, run.latent) == (like.dataset, like.split, like.loss, latent)


def test_a_negative_verdict_stays():
    def swapped(run):
        other = dataclasses.replace(run, split="identity" if run.split == "percentage" else "percentage")
        return published_error(other if run.dataset == "mh-scan" else run)

    v = verdict_on("percentage-below-identity", make_results(swapped))
    assert v.verdict == NOT_REPRODUCED and v.effect.low > 1
    assert v.reason == "nothing of the interval is below 1"


def test_one_d_that_fails_decides_about_all():
    def worse_at_256(run):
        return published_error(run) * (1.5 if (run.split, run.latent) == ("percentage", 256) else 1)

    v = verdict_on("percentage-below-identity", make_results(worse_at_256))
    assert v.verdict == NOT_REPRODUCED and v.effect.point == pytest.approx(1.5 * 0.61 / 0.77, rel=0.05)


def test_an_interval_across_the_threshold_is_inconclusive():
    def barely(run):
        return {8: 1.501, 64: 0.75}.get(run.latent, 1.0)

    v = verdict_on("bu3dfe-falls-steeply", make_results(barely, seed_sd=0.02))
    assert v.verdict == INCONCLUSIVE and v.reason == "the interval contains 2"
    assert v.effect.low < 2 < v.effect.high


def test_without_a_gap_there_is_nothing_to_close():
    v = verdict_on("gap-almost-closes", make_results(lambda run: 1.0, seed_sd=0.02))
    assert v.effect.high == np.inf and v.verdict != REPRODUCED
    assert v.as_dict()["high"] is None
    canonical_json(v.as_dict())


@pytest.mark.parametrize("name", [claim.id for claim in CLAIMS if claim.original])
def test_millimetres_are_compared_on_the_papers_own_data_alone(results, name):
    v = verdict_on(name, results)
    assert v.verdict == INCONCLUSIVE and "is another set" in v.reason and v.effect is not None
    renamed = {"mh-seq": "coma", "mh-scan": "bu3dfe"}

    def own(**run):
        return [
            dataclasses.replace(
                r,
                run=dataclasses.replace(r.run, dataset=renamed[r.run.dataset], **run),
                provenance={**r.provenance, "dataset_sha256": renamed[r.run.dataset]},
            )
            for r in results
        ]

    def on(results, **card):
        sets = {name: dataclasses.replace(make_dataset(name), card=card) for name in renamed.values()}
        return verdict_on(name, results, coma="coma", bu3dfe="bu3dfe", datasets=sets)

    assert on(own(profile="paper"), departures=[]).verdict == REPRODUCED
    part = on(own(profile="paper"), departures=["11 of 12 people"])
    assert part.verdict == INCONCLUSIVE and "departs from it: 11 of 12 people" in part.reason
    short = on(own(), departures=[])
    assert short.verdict == INCONCLUSIVE and "30 of the paper's 300 epochs" in short.reason
    assert "leaves training meshes out" in short.reason
    unseen = verdict_on(name, own(profile="paper"), coma="coma", bu3dfe="bu3dfe")
    assert unseen.verdict == INCONCLUSIVE and "not at hand" in unseen.reason


def test_table_and_record(results, paper):
    verdicts = evaluate_claims(results, paper=paper, resamples=200)
    table = verdict_table(verdicts)
    assert list(table.index) == [claim.id for claim in CLAIMS]
    row = table.loc["percentage-below-identity"]
    assert row["paper"] == pytest.approx(0.61 / 0.77) and row["holds if"] == "below 1"
    assert re.fullmatch(r"\[0\.\d+, 0\.\d+\]", row["95 % interval"]) and row["verdict"] == REPRODUCED
    assert row["data"].endswith("profile quick, 30 epochs; seeds 0, 1, 2") and "60 test meshes" in row["data"]
    assert np.isnan(table.loc["identity-noisier", "paper"])
    record = json.loads(canonical_json([v.as_dict() for v in verdicts]))
    assert len(record) == len(CLAIMS) and record[2]["seeds"] == [0, 1, 2]
    assert len(untested_table()) == len(UNTESTED)


def test_the_picture_has_every_claim_where_its_numbers_are(results, paper):
    verdicts = evaluate_claims(results, paper=paper, resamples=200)
    figure = claims_figure(verdicts)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [claim.id for claim in CLAIMS]
    points = {(float(x), float(y)) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)}
    for row, verdict in enumerate(verdicts):
        if verdict.effect is not None and LIMITS[0] < margin(verdict, verdict.effect.point) < LIMITS[1]:
            assert (margin(verdict, verdict.effect.point), -row) in points
    counted = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    for word in (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE):
        assert f"{sum(verdict.verdict == word for verdict in verdicts)} {word}" in counted
    with pytest.raises(DataError, match="no claim has an effect"):
        claims_figure(evaluate_claims([]))
