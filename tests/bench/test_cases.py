"""What is measured: that both sides compute the same, and models train as published."""

from __future__ import annotations

import pytest
import torch
from bench_cases import CPU, SMALL

from bench3dmm.bench.cases import (
    SIDES,
    SPIRALNET_WIDTHS,
    Case,
    build_side,
    schedule_of,
    synthetic_meshes,
    training_step,
)


def test_both_sides_take_the_same_steps():
    """From the same weights on the same batches: what is compared is one computation."""
    hierarchy = SMALL.hierarchy()
    meshes = synthetic_meshes(SMALL, 1200, CPU)
    models = {}
    for side in SIDES:
        built = []
        with pytest.MonkeyPatch.context() as patch:
            from bench3dmm.bench import cases

            original = cases.build_side
            patch.setattr(cases, "build_side", lambda *a, keep=built, make=original: keep.append(make(*a)) or keep[-1])
            training_step(side, SMALL, hierarchy, meshes)(3)
        models[side] = built[0].state_dict()
    for name, fast in models["engine"].items():
        torch.testing.assert_close(fast, models["published"][name], rtol=1e-4, atol=1e-5, msg=name)


def test_neural3dmm_at_spiralnets_widths_has_its_channels():
    hierarchy = SMALL.hierarchy()
    wide = build_side("engine", Case("face-1200", SPIRALNET_WIDTHS), hierarchy, CPU)
    spiralnet = build_side("engine", Case("face-1200", model="spiralnet"), hierarchy, CPU)
    for part in ("encoder_convs", "decoder_convs"):
        one, other = ([conv.linear.out_features for conv in getattr(model, part)] for model in (wide, spiralnet))
        assert one == other


def test_models_take_the_steps_of_their_published_training():
    assert schedule_of(Case("mh-scan")).optimizer == "adam"
    coma = schedule_of(Case("mh-scan", batch=4, model="coma"))
    assert (coma.optimizer, coma.learning_rate, coma.batch_size) == ("sgd", 8e-3, 4)
