"""What is asked of every peer of Neural3DMM, and the meshes it is asked on."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import torch
from mesh_shapes import wavy_with_hole

from bench3dmm.bench.cases import Case
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.mesh.template import Template
from bench3dmm.models import build_model, model_names, preset_names
from bench3dmm.models.interface import arrange, for_one_mesh
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.system.parallel import Workers
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import ThreadedStep, make_optimizer
from bench3dmm.training.weights import load_model


@functools.cache
def embedded(mesh):
    """The hierarchy of an embedded dataset."""
    return Case(mesh).hierarchy()


@functools.cache
def small_hierarchy():
    """Some 280 vertices with two boundary loops, halved four times."""
    return build_hierarchy(Template(*wavy_with_hole(), name="wavy"), (2, 2, 2, 2))


def in_float64(build):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        return build()
    finally:
        torch.set_default_dtype(torch.float32)


def meshes(hierarchy, count, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, hierarchy.sizes[0], 3, generator=generator, dtype=torch.float64).to(dtype)


def outputs_and_gradients(encode_decode, parameters, x):
    """z, the reconstruction, and the gradients of one number that depends on both, by name."""
    x = x.detach().clone().requires_grad_()
    z, y = encode_decode(x)
    gradients = torch.autograd.grad(y.square().mean() + z.square().sum(), [x, *parameters.values()])
    return {"z": z, "y": y, **dict(zip(("x", *parameters), gradients, strict=True))}


def check_same_as(oracle, model, hierarchy, count, tolerance):
    """Outputs and every gradient, norm-wise and tensor by tensor; ``oracle(weights, x)`` gives z and y in float64."""
    dtype = next(model.parameters()).dtype
    x = meshes(hierarchy, count, dtype)
    slow = {name: p.detach().double().requires_grad_() for name, p in model.named_parameters()}
    expected = outputs_and_gradients(lambda x: oracle(slow, x), slow, x.double())

    def encode_decode(x):
        z = model.encode(x)
        return z, model.decode(z)

    parameters = dict(model.named_parameters())
    compared = [(outputs_and_gradients(encode_decode, parameters, given), True) for given in (x, arrange(model, x))]
    with torch.no_grad():
        compared.append((dict(zip("zy", encode_decode(x), strict=True)), False))
    for actual, with_gradients in compared:
        assert not with_gradients or actual.keys() == expected.keys()
        for name, value in actual.items():
            size = expected[name].norm()
            assert value.dtype == dtype and size > 0, f"{name}: nothing is compared"
            error = ((value - expected[name]).norm() / size).item()
            assert error <= tolerance, f"{name}: relative error {error:.1e} > {tolerance:.0e}"


def check_codes_and_meshes(name, hierarchy, latent):
    assert name in model_names() and preset_names(name)[0] == "paper"
    torch.manual_seed(0)
    model = build_model(name, hierarchy, latent)
    x = meshes(hierarchy, 2)
    z = model.encode(x)
    assert z.shape == (2, latent)
    assert model.decode(z).shape == x.shape
    torch.testing.assert_close(model(x), model.decode(z))
    # Every number of the code counts.
    inner = torch.autograd.functional.jacobian(lambda z: model.decode(z).abs().sum(), torch.ones(1, latent))
    assert (inner != 0).all()


def check_batches_do_not_mix(name):
    model = in_float64(lambda: build_model(name, small_hierarchy(), 5))
    x = meshes(small_hierarchy(), 3, torch.float64)
    for context in (torch.enable_grad, torch.inference_mode):
        with context():
            alone = torch.cat([model(mesh[None]) for mesh in x])
            torch.testing.assert_close(model(x), alone, rtol=1e-10, atol=1e-10)
    one = for_one_mesh(model.eval(), small_hierarchy().sizes[0])
    torch.testing.assert_close(torch.cat([one(mesh[None]) for mesh in x]), alone, rtol=1e-10, atol=1e-10)


def trained(name, seed, steps=30):
    """A model after some steps on eight meshes, smooth and along one direction, and its losses."""
    torch.manual_seed(seed)
    model = build_model(name, small_hierarchy(), 8)
    wave = np.sin(small_hierarchy().levels[0].vertices / 3 + [0, 1, 2]).astype(np.float32)
    x = torch.from_numpy(wave) * torch.linspace(-1, 1, 8).view(-1, 1, 1)
    optimizer = make_optimizer(model, Schedule(1, 8, 1e-3, 1.0, 5e-5), x.device)
    losses = []
    with Workers(1) as workers:
        step = ThreadedStep(model, x, mean_absolute, optimizer, workers)
        for _ in range(steps):
            step.total.zero_()
            step(torch.arange(8))
            losses.append(step.total.item() / 8)
    return model, losses


def check_repeats(name):
    (first, losses), (second, again), (_, other) = trained(name, 0, 3), trained(name, 0, 3), trained(name, 1, 3)
    assert losses == again != other
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def check_learns(name):
    for seed in range(3):
        _, losses = trained(name, seed)
        assert losses[-1] < 0.9 * losses[0], f"seed {seed}: {losses[0]:.3f} to {losses[-1]:.3f}"


def check_state(name):
    """The state is the trained parameters, and another model takes it over exactly."""
    model, other = (build_model(name, small_hierarchy(), 5) for _ in range(2))
    assert set(model.state_dict()) == {key for key, _ in model.named_parameters()}
    x = meshes(small_hierarchy(), 2)
    assert not torch.equal(model(x), other(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(x), other(x))


def check_run(name, folder, dataset):
    """A run of two epochs is stored, and its weights reconstruct as the trained model did."""
    run = Run(dataset=dataset.name, model=name, latent=4, epochs=2, batch_size=8)
    result = execute(run, folder, "cpu", progress=False, dataset=dataset)
    assert len(result.arrays["loss"]) == 2 and result.arrays["loss"][1] < result.arrays["loss"][0]
    path = next(folder.rglob(f"{run.run_id}.safetensors"))
    models = [load_model(path, dataset=dataset)[0] for _ in range(2)]
    x = torch.randn(1, dataset.vertices.shape[1], 3)
    for a, b in itertools.pairwise(models):
        assert torch.equal(a(x), b(x))
    assert result.provenance["parameters"] == sum(p.numel() for p in models[0].parameters())
