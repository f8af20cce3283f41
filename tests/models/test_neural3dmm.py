"""Neural3DMM against published parameter counts and a slow, literal oracle."""

from __future__ import annotations

import pytest
import torch
from fake_hierarchies import fake_hierarchy
from oracle import oracle

from bench3dmm.errors import UnknownNameError
from bench3dmm.models import build_model
from bench3dmm.models.neural3dmm import PRESETS

COMA = ([5023, 1256, 314, 79, 20], [9, 9, 9, 9, 8])
BU3DFE = ([6704, 1676, 419, 105, 27], [7, 9, 9, 9, 8])
LATENTS = (8, 16, 64, 256, 512)


@pytest.mark.parametrize(
    ("mesh", "published"),
    [
        (COMA, (37_787, 48_547, 113_107, 371_347, 715_667)),
        (BU3DFE, (41_403, 55_747, 141_811, 486_067, 945_075)),
    ],
    ids=["coma", "bu3dfe"],
)
def test_parameter_counts_are_the_published_ones(mesh, published):
    hierarchy = fake_hierarchy(*mesh)
    counts = [sum(p.numel() for p in build_model("neural3dmm", hierarchy, d).parameters()) for d in LATENTS]
    assert tuple(counts) == published


def test_release_preset_has_the_notebooks_layers():
    model = build_model("neural3dmm", fake_hierarchy(*COMA), 16, preset="release")
    shapes = [tuple(conv.linear.weight.shape) for conv in (*model.encoder_convs, *model.decoder_convs)]
    assert shapes == [
        *((16, 9 * 3), (32, 9 * 16), (64, 9 * 32), (128, 9 * 64)),
        *((64, 9 * 128), (32, 9 * 64), (32, 9 * 32), (16, 9 * 32), (3, 9 * 16)),
    ]
    assert tuple(model.encoder_fc.weight.shape) == (16, 21 * 128)
    assert tuple(model.decoder_fc.weight.shape) == (21 * 128, 16)


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_equals_the_published_formulation_in_values_and_gradients(preset, double_precision):
    hierarchy = fake_hierarchy([90, 23, 9, 5, 3], [6, 5, 7, 4, 3], seed=3)
    torch.manual_seed(0)
    model = build_model("neural3dmm", hierarchy, 5, preset=preset)
    x = torch.randn(4, 90, 3, requires_grad=True)
    target = torch.randn(4, 90, 3)

    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    x_slow = x.detach().clone().requires_grad_()
    z_slow, y_slow = oracle(weights, hierarchy, PRESETS[preset], x_slow)
    (y_slow - target).square().sum().backward()

    z = model.encode(x)
    y = model.decode(z)
    (y - target).square().sum().backward()

    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(z, z_slow, **close)
    torch.testing.assert_close(y, y_slow, **close)
    torch.testing.assert_close(x.grad, x_slow.grad, **close)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad, **close, msg=name)


def test_padding_of_the_first_decoder_convolution_reads_the_decoders_dummy():
    """What the published formulation does there; anywhere else padding reads zero."""
    hierarchy = fake_hierarchy([90, 23, 9, 5, 3], [6, 5, 7, 4, 3], seed=3)
    assert (hierarchy.spirals(3) == -1).any()
    torch.manual_seed(0)
    model = build_model("neural3dmm", hierarchy, 5)
    z = torch.randn(2, 5)
    before = model.decode(z)
    with torch.no_grad():
        model.decoder_fc.bias[-model.channels :] += 1  # of the dummy vertex alone
    assert (model.decode(z) - before).abs().max() > 1e-3


def test_weights_of_the_encoders_dummy_never_matter():
    hierarchy = fake_hierarchy([90, 23, 9, 5, 3], [6, 5, 7, 4, 3])
    torch.manual_seed(0)
    model = build_model("neural3dmm", hierarchy, 5)
    x = torch.randn(2, 90, 3)
    before = model.encode(x)
    with torch.no_grad():
        model.encoder_fc.weight[:, -32:] += 1
    assert torch.equal(model.encode(x), before)
    model(x).sum().backward()
    assert (model.encoder_fc.weight.grad[:, -32:] == 0).all()
    assert (model.encoder_fc.weight.grad[:, :-32] != 0).any()


def test_on_a_real_hierarchy_equals_the_oracle_too(sphere_hierarchy):
    """float32, with the boundary's padding and real barycentric weights."""
    assert (sphere_hierarchy.spirals(0) == -1).any()
    torch.manual_seed(0)
    model = build_model("neural3dmm", sphere_hierarchy, 5)
    x = torch.randn(2, len(sphere_hierarchy.levels[0].vertices), 3)
    with torch.no_grad():
        _, slow = oracle(dict(model.named_parameters()), sphere_hierarchy, PRESETS["paper"], x)
        fast = model(x)
    assert slow.abs().max() > 0.1
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)


def test_meshes_of_a_batch_do_not_mix(sphere_hierarchy):
    torch.manual_seed(0)
    model = build_model("neural3dmm", sphere_hierarchy, 5).double()
    x = torch.randn(3, len(sphere_hierarchy.levels[0].vertices), 3, dtype=torch.float64)
    together = model(x)
    alone = torch.cat([model(mesh[None]) for mesh in x])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


def test_unknown_names_suggest_the_nearest(sphere_hierarchy):
    with pytest.raises(UnknownNameError, match="Did you mean 'neural3dmm'"):
        build_model("neural3dm", sphere_hierarchy, 5)
    with pytest.raises(UnknownNameError, match="Did you mean 'release'"):
        build_model("neural3dmm", sphere_hierarchy, 5, preset="released")
