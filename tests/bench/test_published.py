"""The yardstick of the bench command: it computes what the published formulation says."""

from __future__ import annotations

import pytest
import torch
from fake_hierarchies import padded_hierarchy
from oracle_checks import LATENT, assert_near, built, engine, meshes, of_model, of_oracle

from bench3dmm.bench.published import PublishedNeural3DMM
from bench3dmm.models.neural3dmm import PRESETS


@pytest.fixture(scope="module")
def padded():
    return padded_hierarchy()


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_published_yardstick_equals_the_oracle(padded, preset, count):
    model = built(lambda: PublishedNeural3DMM(padded, LATENT, preset), torch.float64)
    x = meshes(padded, count)
    assert_near(of_model(model, x), of_oracle(model, padded, preset, x), 1e-10)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_published_yardstick_equals_the_oracle_on_a_mesh_with_a_boundary(sphere_hierarchy, preset):
    model = built(lambda: PublishedNeural3DMM(sphere_hierarchy, LATENT, preset), torch.float64)
    x = meshes(sphere_hierarchy, 2)
    assert_near(of_model(model, x), of_oracle(model, sphere_hierarchy, preset, x), 1e-10)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_engine_and_yardstick_exchange_weights(padded, preset):
    fast = engine(padded, preset)
    published = built(lambda: PublishedNeural3DMM(padded, LATENT, preset), torch.float64)
    shapes = [{name: tensor.shape for name, tensor in model.state_dict().items()} for model in (fast, published)]
    assert shapes[0] == shapes[1]
    x = meshes(padded, 2)
    for source, target in ((fast, published), (published, fast)):
        with torch.no_grad():
            for parameter in target.parameters():
                parameter.add_(1)
        target.load_state_dict(source.state_dict())
        torch.testing.assert_close(target(x), source(x), rtol=1e-10, atol=1e-10)
