"""The engine (fused sparse maps, several orders of operations) against the published formulation, written out."""

from __future__ import annotations

import copy

import pytest
import torch
from fake_hierarchies import fake_hierarchy, padded_hierarchy
from oracle import oracle
from oracle_checks import NEAR, PRECISIONS, assert_near, engine, meshes, of_model, of_oracle
from torch import nn

from bench3dmm.models.interface import arrange
from bench3dmm.models.neural3dmm import PRESETS
from bench3dmm.system.parallel import Workers
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import ThreadedStep, make_optimizer


@pytest.fixture(scope="module")
def padded():
    return padded_hierarchy()


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
