"""Verdicts on LAMM's claims, from results and a bench record without training."""

from __future__ import annotations

import numpy as np
import pytest
from edited_results import edited_result
from peer_results import peer_result

from bench3dmm.data.tables import persons
from bench3dmm.papers.lamm.claims import CLAIMS, SPIRAL, lamm_verdicts
from bench3dmm.papers.setup import Setup
from bench3dmm.statistics.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, verdict_table
from bench3dmm.tasks.parts.edits import MEASURES

SETUP = Setup()


def record(memory=0.5, seconds=0.01):
    generated = [
        {
            "what": "generation",
            "model": "lamm",
            "preset": preset,
            "batch": batch,
            "mesh_s": dict.fromkeys(("median", "min", "max"), s / batch),
        }
        for preset, s in (("paper", seconds), ("paper-mixer", 0.9 * seconds), ("small", 1.0))
        for batch in (1, 16)
    ]
    trained = [
        {"what": "training", "model": model, "preset": preset, "vertices": n, "peak_mb": n * share}
        for n in (5000, 50_000)
        for model, preset, share in [
            ("lamm", "paper", memory),
            ("lamm", "paper-mixer", 0.9 * memory),
            *((model, preset, 1.0 + place) for place, (model, preset) in enumerate(SPIRAL)),
        ]
    ]
    return {"lamm": generated + trained}


@pytest.fixture(scope="module")
def results():
    runs = [run for run in SETUP.runs("peers", "lamm", latent=256, split="percentage") if "full" not in run.preset]
    reconstructions = [peer_result(run, persons(run.dataset)) for run in runs]
    return [*reconstructions, *(edited_result(run) for run in SETUP.runs("manipulation"))]


def verdicts(results, bench=None):
    return {one.claim.id: one for one in lamm_verdicts(results, SETUP, bench)}


def test_every_claim_gets_a_verdict_from_what_is_stored(results):
    found = verdicts(results, record())
    assert list(found) == [claim.id for claim in CLAIMS]
    assert found["lamm-reconstruction"].verdict == NOT_REPRODUCED  # it errs 1.1 times as much
    assert found["lamm-reconstruction"].effect.point == pytest.approx(1.1, abs=0.04)
    assert found["lamm-local"].verdict == NOT_REPRODUCED and found["lamm-local"].effect.point == pytest.approx(8)
    assert found["lamm-more-local-than-a-linear-model"].effect.point == pytest.approx(1)
    told = found["lamm-needs-no-telling"]
    assert told.verdict == REPRODUCED and told.effect.point == pytest.approx(1)
    adheres = found["lamm-adheres"]
    assert adheres.verdict == REPRODUCED and adheres.effect.point == pytest.approx(0.5, abs=0.06)
    assert adheres.seeds == (0, 1, 2) and adheres.datasets == ("mh-scan", "mh-seq")
    assert found["lamm-60-meshes-a-second"].effect.point == pytest.approx(100)
    assert found["lamm-trains-in-less-memory"].effect.point == pytest.approx(0.5)
    assert {found[name].verdict for name in ("lamm-60-meshes-a-second", "lamm-trains-in-less-memory")} == {REPRODUCED}
    assert len(verdict_table(found.values())) == len(CLAIMS)


def test_what_training_by_regions_adds_is_the_larger_of_both_sets():
    """Half of the movement outside on one set, a quarter less on the other."""
    runs = SETUP.runs("manipulation")
    results = [edited_result(run) for run in runs]
    leaked = MEASURES.index("leaked_mm")
    for one in results:
        if one.run.task == "manipulation-by-regions":
            one.arrays["edit_values"][0, ..., leaked] *= {"mh-seq": 0.5, "mh-scan": 0.75}[one.run.dataset]
    told = verdicts(results)["lamm-needs-no-telling"]
    assert told.verdict == NOT_REPRODUCED and told.effect.point == pytest.approx(2)
    assert told.seeds == (0, 1, 2)
    without = [one for one in results if one.run.task != "manipulation-by-regions"]
    assert "lamm (small), by regions are not stored" in verdicts(without)["lamm-needs-no-telling"].reason


def test_the_worst_backbone_and_size_count():
    found = verdicts([], record(memory=1.2, seconds=0.02))
    assert found["lamm-60-meshes-a-second"].effect.point == pytest.approx(50)
    assert found["lamm-60-meshes-a-second"].verdict == NOT_REPRODUCED
    assert found["lamm-trains-in-less-memory"].verdict == NOT_REPRODUCED


def test_what_is_missing_is_named(results):
    found = verdicts([])
    assert {one.verdict for one in found.values()} == {INCONCLUSIVE}
    assert (
        "sweep manipulation" in found["lamm-local"].reason and "bench lamm" in found["lamm-60-meshes-a-second"].reason
    )
    assert "not both ranked" in found["lamm-reconstruction"].reason
    one_seed = [one for one in results if one.run.seed == 0]
    assert "at least 3" in verdicts(one_seed)["lamm-adheres"].reason


def test_quotes_are_short():
    assert all(len(claim.quote.split()) <= 8 for claim in CLAIMS)
    assert np.unique([claim.id for claim in CLAIMS]).size == len(CLAIMS)
