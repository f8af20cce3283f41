"""The one trainer: equal to a plain loop, resumed to the bit, and what it says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from bench3dmm.errors import TrainingError
from bench3dmm.tasks.parts.targets import Targets
from bench3dmm.training.fit import fit
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.objective import epoch_order
from bench3dmm.training.schedule import Schedule

SCHEDULE = Schedule(epochs=4, batch_size=4, learning_rate=1e-3, decay=0.99, weight_decay=5e-5)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(15, 3), nn.Linear(3, 15)

    def forward(self, x):
        return self.up(self.down(x.flatten(1))).view(x.shape)


def tiny():
    torch.manual_seed(0)
    return Tiny()


def meshes(n=10):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(n, 5, 3)).astype(np.float32))


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_equals_a_plain_loop_over_adam():
    """The published optimisation written out: L2 in the gradient, rate × 0.99 an epoch, last short batch kept."""
    x = meshes()
    model, plain = tiny(), tiny()
    losses, _ = fit(model, x, mean_absolute, SCHEDULE, 7, progress=False)

    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in plain.named_parameters()}
    step = 0
    expected = []
    for epoch in range(4):
        total = 0.0
        for rows in epoch_order(10, 7, epoch).split(4):
            step += 1
            loss = (plain(x[rows]) - x[rows]).abs().mean()
            total += loss.item() * len(rows)
            gradients = torch.autograd.grad(loss, list(plain.parameters()))
            with torch.no_grad():
                for (name, p), gradient in zip(plain.named_parameters(), gradients, strict=True):
                    gradient = gradient + 5e-5 * p
                    first, second = moments[name]
                    first.mul_(0.9).add_(0.1 * gradient)
                    second.mul_(0.999).add_(0.001 * gradient**2)
                    corrected = second.div(1 - 0.999**step).sqrt() + 1e-8
                    p -= 1e-3 * 0.99**epoch * (first / (1 - 0.9**step)) / corrected
        expected.append(total / 10)
    assert losses == pytest.approx(expected, rel=1e-5)
    for name, p in plain.named_parameters():
        torch.testing.assert_close(dict(model.named_parameters())[name], p, rtol=1e-4, atol=1e-6)


def test_order_is_a_permutation_that_depends_on_seed_and_epoch():
    orders = [tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] == tuple(epoch_order(50, 0, 0).tolist())


def test_loss_that_is_not_finite_names_epoch_and_rate():
    def breaks(prediction, target, calls=[]):  # noqa: B006 (counts the calls)
        calls.append(1)
        return (prediction - target).abs().mean() * (math.nan if len(calls) > 4 else 1)

    with pytest.raises(TrainingError, match=r"nan after epoch 2 of 4 at learning rate 9.90e-04"):
        fit(tiny(), meshes(), breaks, SCHEDULE, 0, progress=False)


@pytest.mark.parametrize("stop", [1, 3])
def test_resumes_to_the_same_weights(tmp_path, stop):
    whole, interrupted = tiny(), tiny()
    losses, _ = fit(whole, meshes(), mean_absolute, SCHEDULE, 0, progress=False)

    def dies(prediction, target, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) > 3 * stop + 1:  # within the epoch after the last checkpoint
            raise KeyboardInterrupt
        return mean_absolute(prediction, target)

    path = tmp_path / "x" / "checkpoint.safetensors"
    options = {"checkpoint": path, "fingerprint": "a", "progress": False}
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, meshes(), dies, SCHEDULE, 0, **options)
    seen = []

    def counts(prediction, target):
        seen.append(1)
        return mean_absolute(prediction, target)

    fresh = Tiny()  # other weights: all must come from the checkpoint
    resumed, _ = fit(fresh, meshes(), counts, SCHEDULE, 0, **options)
    assert len(seen) == 3 * (4 - stop)
    assert resumed == losses
    assert_equal(state(fresh), state(whole))


def test_checkpoint_of_another_training_is_not_used(tmp_path, capsys):
    path = tmp_path / "checkpoint.safetensors"
    fit(tiny(), meshes(), mean_absolute, SCHEDULE, 0, checkpoint=path, fingerprint="a", progress=False)
    model, plain = tiny(), tiny()
    fit(model, meshes(), mean_absolute, SCHEDULE, 1, checkpoint=path, fingerprint="b", progress=False)
    fit(plain, meshes(), mean_absolute, SCHEDULE, 1, progress=False)
    assert "starts over" in capsys.readouterr().err
    assert_equal(state(model), state(plain))


def test_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors.*delete it"):
        fit(tiny(), meshes(), mean_absolute, SCHEDULE, 0, checkpoint=path, progress=False)


def test_a_few_plain_lines_outside_a_terminal(capsys):
    schedule = Schedule(epochs=95, batch_size=10, learning_rate=1e-3, decay=0.99, weight_decay=0)
    fit(tiny(), meshes(), mean_absolute, schedule, 0, label="some run")
    lines = capsys.readouterr().err.splitlines()
    assert 5 <= len(lines) <= 11
    assert lines[-1].startswith("some run: epoch 95/95, loss 0.")


def test_products_are_float32_whatever_the_caller_has_set():
    seen = []

    def notes(prediction, target):
        seen.append(torch.get_float32_matmul_precision())
        return (prediction - target).abs().mean()

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        fit(tiny(), meshes(), notes, SCHEDULE, 0, progress=False)
        assert set(seen) == {"highest"}
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_adamw_takes_decay_from_the_weights_and_not_into_the_gradient():
    """Without a gradient, Adam's L2 moves every weight by the rate, AdamW's shrinks it by rate times decay."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    schedule = Schedule(1, 1, 1e-2, 1.0, 0.1, optimizer="adamw")
    fit(model, torch.zeros(1, 1, 1), lambda prediction, target: (prediction * 0).sum(), schedule, 0, progress=False)
    assert model.weight.item() == pytest.approx(2.0 * (1 - 1e-2 * 0.1))


class Forced(nn.Module):
    """Says itself what is compared, and how one mesh becomes another."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))

    def training_loss(self, x, loss):
        return loss(self.scale * torch.ones_like(x), torch.full_like(x, 3.0))

    def manipulation_loss(self, source, target, alpha, loss):
        return loss(source + self.scale * alpha[:, None, None], target)


def test_a_models_own_training_loss_is_what_is_made_small():
    model = Forced()
    schedule = Schedule(200, 10, 0.1, 0.98, 0)
    losses, _ = fit(model, meshes(), mean_absolute, schedule, 0, progress=False)
    assert model.scale.item() == pytest.approx(3.0, abs=0.05) and losses[0] == pytest.approx(3.0)


def test_manipulation_resumes_bit_for_bit(tmp_path):
    """What is drawn depends on seed and epoch alone."""
    x = meshes()
    whole, interrupted = Forced(), Forced()
    objective = Targets(mean_absolute, SCHEDULE.epochs)
    losses, _ = fit(whole, x, objective, SCHEDULE, 5, progress=False)
    path = tmp_path / "checkpoint.safetensors"
    half = dataclasses.replace(SCHEDULE, epochs=2)
    fit(interrupted, x, objective, half, 5, checkpoint=path, progress=False)
    resumed, _ = fit(Forced(), x, objective, SCHEDULE, 5, checkpoint=path, progress=False)
    assert resumed == losses
