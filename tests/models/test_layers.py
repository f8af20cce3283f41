"""The engine (fused sparse maps, several orders of operations) against the published formulation, written out."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from fake_hierarchies import fake_hierarchy
from oracle import oracle
from torch import nn

from bench3dmm.bench.published import PublishedNeural3DMM
from bench3dmm.models import build_model, layers
from bench3dmm.models.interface import arrange
from bench3dmm.models.layers import SpiralConv, elu_
from bench3dmm.models.neural3dmm import PRESETS
from bench3dmm.system.parallel import Workers
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import ThreadedStep, make_optimizer

LATENT = 5
PRECISIONS = [torch.float64, torch.float32]
NEAR = {torch.float64: 1e-10, torch.float32: 1e-5}


@pytest.fixture(scope="module")
def padded():
    """Heavy padding at every level, and maps on both sides of the size from which ELU is computed otherwise."""
    return fake_hierarchy([160, 41, 12, 5, 3], [6, 5, 7, 4, 3], seed=3)


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


# --- values and gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_equals_the_oracle_in_outputs_and_every_gradient(padded, preset, count, dtype):
    model, x = engine(padded, preset, dtype), meshes(padded, count, dtype)
    assert all((padded.spirals(level) == -1).any() for level in range(4))
    actual = of_model(model, x)
    assert {tensor.dtype for tensor in actual.values()} == {dtype}
    assert_near(actual, of_oracle(model, padded, preset, x), NEAR[dtype])


@pytest.mark.parametrize(
    ("preset", "count", "dtype"),
    [
        ("paper", 1, torch.float64),
        ("paper", 16, torch.float32),
        ("paper", 17, torch.float64),
        ("release", 3, torch.float64),
        ("release", 5, torch.float32),
    ],
)
def test_equals_the_oracle_on_a_mesh_with_a_boundary(sphere_hierarchy, preset, count, dtype):
    assert (sphere_hierarchy.spirals(0) == -1).any()
    model, x = engine(sphere_hierarchy, preset, dtype), meshes(sphere_hierarchy, count, dtype)
    assert_near(of_model(model, x), of_oracle(model, sphere_hierarchy, preset, x), NEAR[dtype])


@pytest.mark.parametrize("count", [1, 2, 5, 16])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_without_gradient_the_same(padded, sphere_hierarchy, preset, count):
    for hierarchy in (padded, sphere_hierarchy):
        model, x = engine(hierarchy, preset), meshes(hierarchy, count)
        z = model.encode(x)
        expected = {"z": z, "y": model.decode(z)}
        for without_gradient in (torch.inference_mode, torch.no_grad):
            with without_gradient():
                z = model.encode(x)
                assert_near({"z": z, "y": model.decode(z)}, expected, 1e-12)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_memory_layout_of_the_input_does_not_matter(padded, preset, count):
    model, x = engine(padded, preset), meshes(padded, count)
    arranged = arrange(model, x)
    assert torch.equal(arranged, x)
    if count > 1:
        assert arranged.stride() != x.stride()
    expected = of_model(model, x)
    assert_near(of_model(model, arranged), expected, 1e-14)
    every_other = torch.stack([x, x + 1], dim=1).flatten(0, 1)[::2]
    assert_near(of_model(model, every_other), expected, 1e-14)


# --- training ---------------------------------------------------------------------------------------------------


class OracleModel(nn.Module):
    """The oracle with trained weights of its own, in the engine's order."""

    def __init__(self, engine, hierarchy, preset):
        super().__init__()
        self.engine, self.hierarchy, self.preset = copy.deepcopy(engine), hierarchy, PRESETS[preset]

    def forward(self, x):
        return oracle(dict(self.engine.named_parameters()), self.hierarchy, self.preset, x)[1]


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("preset", list(PRESETS))
def test_trains_as_the_oracle_does(preset, dtype):
    """Twenty steps of Adam, with a batch size that changes.

    Adam's early steps are about sign(gradient) * rate, so in float32, where rounding may turn the sign of a gradient
    that is nearly zero, single weights may end a few rates apart. Here none does (the largest error seen was 1e-6);
    the tolerance leaves room for one on other hardware.
    """
    hierarchy = fake_hierarchy([90, 23, 9, 5, 3], [6, 5, 7, 4, 3], seed=3)
    schedule = Schedule(epochs=1, batch_size=4, learning_rate=1e-3, decay=1, weight_decay=5e-5)
    fast = engine(hierarchy, preset, dtype)
    slow = OracleModel(fast, hierarchy, preset)
    x, loss = meshes(hierarchy, 20, dtype), mean_absolute
    batches = torch.randperm(20, generator=torch.Generator().manual_seed(0)).split([4, 4, 4, 5, 3]) * 4

    with Workers(1) as workers:
        step = ThreadedStep(fast, x, loss, make_optimizer(fast, schedule, x.device), workers)
        step.total = torch.zeros((), dtype=torch.float64)
        losses = []
        for rows in batches:
            step.total.zero_()
            step(rows)
            losses.append(step.total.item() / len(rows))
    optimizer = make_optimizer(slow, schedule, x.device)
    expected = []
    for rows in batches:
        optimizer.zero_grad()
        value = loss(slow(x[rows]), x[rows])
        value.backward()
        optimizer.step()
        expected.append(value.item())

    assert all(late < early for late, early in zip(expected[-5:], expected[:5], strict=True)), "nothing was learned"
    assert losses == pytest.approx(expected, rel={torch.float64: 1e-11, torch.float32: 1e-5}[dtype])
    weights = [dict(model.named_parameters()) for model in (fast, slow.engine)]
    assert_near(*weights, {torch.float64: 1e-9, torch.float32: 1e-4}[dtype])


# --- the yardstick of the bench command -------------------------------------------------------------------------


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


# --- the orders of operations -----------------------------------------------------------------------------------


def selections(length, v_out, v_in, seed=0):
    """One vertex or none for each row, as spirals select them."""
    rng = np.random.default_rng(seed)
    matrices = rng.integers(0, v_in, (length, v_out))[..., None] == np.arange(v_in)
    matrices &= rng.random((length, v_out, 1)) < 0.7
    return [sp.csr_matrix(matrix.astype(float)) for matrix in matrices]


def interpolations(length, v_out, v_in, seed=0):
    """Any weights in a row, and some rows empty."""
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=(length, v_out, v_in)) * (rng.random((length, v_out, v_in)) < 0.4)
    matrices[rng.random((length, v_out)) < 0.3] = 0
    return [sp.csr_matrix(matrix) for matrix in matrices]


def literal(x, weight, bias, matrices):
    """bias + sum_l A_l x W_l, mesh by mesh and step by step."""
    c_in = x.shape[2]
    out = []
    for mesh in x.unbind(1):
        y = bias
        for step, matrix in enumerate(matrices):
            y = y + torch.from_numpy(matrix.toarray()) @ mesh @ weight[:, step * c_in : (step + 1) * c_in].t()
        out.append(y)
    return torch.stack(out, dim=1)


LENGTH = 4
GATHER_FIRST = [layers.GatherThenMix, layers.GatherThenMixNarrow]
MIX_FIRST = [layers.MixThenGather, layers.MixThenGatherNarrow]
CASES = [
    *((order, selections) for order in (*GATHER_FIRST, layers.GatherThenMixSingle)),
    *((order, interpolations) for order in (*GATHER_FIRST, *MIX_FIRST, layers.MixThenGatherSingle)),
    *((order, selections) for order in (*MIX_FIRST, layers.MixThenGatherSingle)),
]


def convolution_inputs(matrices, count, c_in, c_out, *, batch_innermost=False):
    """Random x [V_in, B, C_in], weight, bias, and a gradient of the result; in either memory layout."""
    v_out, v_in = matrices[0].shape
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def features(vertices, channels):
        if batch_innermost:
            return random(vertices, channels, count).transpose(1, 2)
        return random(vertices, count, channels)

    return features(v_in, c_in), random(c_out, len(matrices) * c_in), random(c_out), features(v_out, c_out)


@pytest.mark.parametrize("shape", [(11, 7), (7, 11), (9, 9)], ids=str)
@pytest.mark.parametrize(("order", "kind"), CASES, ids=lambda value: value.__name__)
def test_every_order_is_the_sum_over_steps(order, kind, shape):
    matrices = kind(LENGTH, *shape)
    rows = sp.vstack(matrices)
    assert (np.diff(rows.tocsr().indptr) == 0).any(), "no empty row is tested"
    assert kind is selections or (rows.data != 1).all()
    for count in (1,) if "Single" in order.__name__ else (1, 2, 5):
        for c_in, c_out in ((3, 5), (5, 3), (1, 1), (9, 10)):
            for batch_innermost in (False, True):
                inputs = convolution_inputs(matrices, count, c_in, c_out, batch_innermost=batch_innermost)
                check_order(order, matrices, *inputs)


def check_order(order, matrices, x, weight, bias, grad):
    gather = built(lambda: order.plan(matrices, x.shape[2], len(weight)), torch.float64)
    given = [tensor.clone() for tensor in (x, weight, bias, grad)]
    out, kept = order.forward(x, weight, bias, gather)
    x_slow, weight_slow = x.clone().requires_grad_(), weight.clone().requires_grad_()
    expected = literal(x_slow, weight_slow, bias, matrices)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(out, expected, **close)
    if "Single" not in order.__name__:
        expected_x, expected_weight = torch.autograd.grad(expected, [x_slow, weight_slow], grad)
        grad_x, grad_weight = order.backward(grad, kept, weight, gather, x.shape, True)
        torch.testing.assert_close(grad_x, expected_x, **close)
        torch.testing.assert_close(grad_weight, expected_weight, **close)
        nothing, grad_weight = order.backward(grad, kept, weight, gather, x.shape, False)
        assert nothing is None
        torch.testing.assert_close(grad_weight, expected_weight, **close)
    for tensor, before in zip((x, weight, bias, grad), given, strict=True):
        assert torch.equal(tensor, before), "an input was overwritten"


# Order, V_out, V_in, C_in, C_out: what makes a SpiralConv choose it.
CHOICES = [
    (layers.GatherThenMix, 4, 6, 8, 2),
    (layers.GatherThenMix, 5, 5, 8, 8),
    (layers.GatherThenMixNarrow, 4, 6, 3, 8),
    (layers.MixThenGather, 6, 4, 2, 8),
    (layers.MixThenGather, 5, 5, 9, 8),
    (layers.MixThenGatherNarrow, 6, 4, 8, 3),
]


@pytest.mark.parametrize("elu", [True, False], ids=["elu", "linear"])
@pytest.mark.parametrize(("order", "v_out", "v_in", "c_in", "c_out"), CHOICES)
def test_gradients_are_those_of_finite_differences(order, v_out, v_in, c_in, c_out, elu):
    kind = interpolations if v_in < v_out else selections
    matrices = kind(3, v_out, v_in)
    conv = built(lambda: SpiralConv(c_in, c_out, matrices, elu=elu), torch.float64)
    assert conv.order is order

    def convolve(x, weight, bias):
        return torch.func.functional_call(conv, {"linear.weight": weight, "linear.bias": bias}, (x,))

    for batch_innermost in (False, True):
        x, weight, bias, _ = convolution_inputs(matrices, 2, c_in, c_out, batch_innermost=batch_innermost)
        expected = literal(x, weight, bias, matrices)
        assert (expected < 0).any() and (expected > 0).any()
        torch.testing.assert_close(
            convolve(x, weight, bias), F.elu(expected) if elu else expected, rtol=1e-12, atol=1e-12
        )
        assert torch.autograd.gradcheck(convolve, [tensor.requires_grad_() for tensor in (x, weight, bias)])


def test_frozen_input_gets_no_gradient_and_frozen_weights_none_either():
    matrices = selections(3, 4, 6)
    conv = SpiralConv(3, 8, matrices)
    x = torch.randn(6, 2, 3)
    conv(x).sum().backward()
    assert x.grad is None and conv.linear.weight.grad.abs().max() > 0
    conv.requires_grad_(False)
    x.requires_grad_()
    conv.zero_grad()
    conv(x).sum().backward()
    assert x.grad.abs().max() > 0 and conv.linear.weight.grad is None and conv.linear.bias.grad is None


# --- ELU, precision, state --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [64, 8191, 8192, 32768, 100_003])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-7), (torch.float64, 5e-16)], ids=str)
def test_elu_in_place(count, dtype, tolerance):
    special = [0.0, -0.0, -1e-30, -1e-12, -1e-9, -1e-4, 1e-30, 1e-9, -80, -1e4, -1e30, 1e4, 1e30, -torch.inf, torch.inf]
    x = torch.cat([torch.tensor(special, dtype=dtype), torch.linspace(-12, 12, count - len(special), dtype=dtype)])
    expected = F.elu(x)
    out = elu_(x)
    assert out.data_ptr() == x.data_ptr()
    torch.testing.assert_close(x, expected, rtol=0, atol=tolerance)
    assert torch.equal(x[expected > 0], expected[expected > 0])
    assert (x >= -1).all()


def test_elu_in_place_keeps_the_memory_layout():
    x = torch.randn(50, 3, 400).transpose(1, 2)
    expected, strides = F.elu(x), x.stride()
    torch.testing.assert_close(elu_(x), expected, rtol=0, atol=1e-7)
    assert x.stride() == strides


def test_elu_shows_what_is_not_a_number():
    assert elu_(torch.full((40_000,), torch.nan)).isnan().all()


@pytest.mark.parametrize("preset", list(PRESETS))
def test_another_precision_and_device(padded, preset):
    """The interpolation weights of a float32 model stay rounded to float32, so `double` does not undo that."""
    model, x = engine(padded, preset, torch.float32), meshes(padded, 3)
    model = model.double().to("cpu")
    actual = of_model(model, x)
    assert {tensor.dtype for tensor in actual.values()} == {torch.float64}
    assert_near(actual, of_oracle(model, padded, preset, x), 1e-6)
    with torch.inference_mode():
        assert model(x[:1]).dtype == torch.float64
    back = model.float()
    assert back(x.float()).dtype == torch.float32


@pytest.mark.parametrize("preset", list(PRESETS))
def test_state_holds_the_parameters_and_no_index_tables(padded, preset):
    model = engine(padded, preset)
    assert list(model.buffers())
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
