"""Neural3DMM in any precision, its outputs and gradients, and those of the oracle with the same weights."""

from __future__ import annotations

import torch
from oracle import oracle

from bench3dmm.models import build_model
from bench3dmm.models.neural3dmm import PRESETS

LATENT = 5


PRECISIONS = [torch.float64, torch.float32]


NEAR = {torch.float64: 1e-10, torch.float32: 1e-5}


def built(build, dtype):
    """In that precision from the start: its interpolation weights are never rounded to another."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return build()
    finally:
        torch.set_default_dtype(before)


def engine(hierarchy, preset, dtype=torch.float64):
    return built(lambda: build_model("neural3dmm", hierarchy, LATENT, preset=preset), dtype)


def meshes(hierarchy, count, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, hierarchy.sizes[0], 3, generator=generator, dtype=torch.float64).to(dtype)


def outputs_and_gradients(encode_decode, parameters, x):
    """z, the reconstruction, and the gradients of one number that depends on both, by name."""
    x = x.detach().clone().requires_grad_()
    z, y = encode_decode(x)
    gradients = torch.autograd.grad(y.square().sum() + z.square().sum(), [x, *parameters.values()])
    named = dict(zip(("x", *parameters), gradients, strict=True))
    return {"z": z, "y": y} | {f"gradient of {name}": gradient for name, gradient in named.items()}


def of_model(model, x):
    def encode_decode(x):
        z = model.encode(x)
        return z, model.decode(z)

    return outputs_and_gradients(encode_decode, dict(model.named_parameters()), x)


def of_oracle(model, hierarchy, preset, x):
    """The oracle with the model's weights, in float64 whatever the model has."""
    weights = {name: p.detach().double().requires_grad_() for name, p in model.named_parameters()}
    return outputs_and_gradients(lambda x: oracle(weights, hierarchy, PRESETS[preset], x), weights, x.double())


def assert_near(actual, expected, tolerance):
    """Norm-wise, tensor by tensor."""
    assert actual.keys() == expected.keys()
    for name in expected:
        assert actual[name].shape == expected[name].shape, name
        size = expected[name].norm()
        assert size > 0, f"{name} is zero: nothing is compared"
        error = ((actual[name] - expected[name]).norm() / size).item()
        assert error <= tolerance, f"{name}: relative error {error:.1e} > {tolerance:.0e}"
