"""One mesh by its recorded operations: the same numbers, the model's own weights."""

from __future__ import annotations

import pytest
import torch

from bench3dmm.models import build_model
from bench3dmm.models.interface import for_one_mesh, ready_to_infer


@pytest.fixture(params=["paper", "release"])
def model(request, sphere_hierarchy):
    torch.manual_seed(0)
    return build_model("neural3dmm", sphere_hierarchy, 5, preset=request.param).eval()


def test_equals_the_model_on_meshes_it_was_not_recorded_on(model, sphere_hierarchy):
    single = for_one_mesh(model, sphere_hierarchy.sizes[0])
    for seed in range(3):
        mesh = torch.randn(1, sphere_hierarchy.sizes[0], 3, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(single(mesh), model(mesh).detach(), rtol=1e-6, atol=1e-6)
    assert not single(mesh).requires_grad


def test_follows_later_changes_of_the_weights(model, sphere_hierarchy):
    single = for_one_mesh(model, sphere_hierarchy.sizes[0])
    mesh = torch.randn(1, sphere_hierarchy.sizes[0], 3)
    before = single(mesh).clone()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    assert (single(mesh) - before).abs().max() > 0.01
    torch.testing.assert_close(single(mesh), model(mesh).detach(), rtol=1e-6, atol=1e-5)


def test_other_batches_go_through_the_model(model, sphere_hierarchy):
    single = for_one_mesh(model, sphere_hierarchy.sizes[0])
    meshes = torch.randn(3, sphere_hierarchy.sizes[0], 3)
    with torch.inference_mode():
        expected = model(meshes)
    assert torch.equal(single(meshes), expected)


def test_made_ready_values_stay_and_products_agree(sphere_hierarchy):
    torch.manual_seed(0)
    lamm = build_model("lamm", sphere_hierarchy, 5, preset="small").eval()
    mesh = torch.randn(1, sphere_hierarchy.sizes[0], 3)
    before, weights = lamm(mesh).detach(), {name: one.clone() for name, one in lamm.state_dict().items()}
    laid = ready_to_infer(lamm)
    assert laid is lamm and all(torch.equal(one, weights[name]) for name, one in laid.state_dict().items())
    linear = [layer for layer in lamm.modules() if isinstance(layer, torch.nn.Linear)]
    assert linear and all(layer.weight.t().is_contiguous() for layer in linear)
    torch.testing.assert_close(laid(mesh).detach(), before, rtol=1e-5, atol=1e-5)


def test_made_ready_a_model_of_many_rows_stays_as_it_is(model):
    strides = [parameter.stride() for parameter in model.parameters()]
    assert [parameter.stride() for parameter in ready_to_infer(model).parameters()] == strides
