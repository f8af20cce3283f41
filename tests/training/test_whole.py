"""Models that draw, or normalise over a batch: the same numbers whatever the threads, the process and the resume."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench3dmm.training.fit import _batch_sizes, fit
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.objective import as_objective
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.whole import normalises_batches, takes_whole_batches

SCHEDULE = Schedule(epochs=3, batch_size=16, learning_rate=1e-2, decay=0.99, weight_decay=0)


class Net(nn.Module):
    def __init__(self, *between):
        super().__init__()
        self.down, self.between, self.up = nn.Linear(15, 8), nn.Sequential(*between), nn.Linear(8, 15)
        self.register_buffer("kept", torch.eye(4).to_sparse(), persistent=False)

    def forward(self, x):
        return self.up(self.between(self.down(x.flatten(1)))).view(x.shape)


class Noise(nn.Module):
    def forward(self, z):
        return z + torch.randn_like(z) if self.training else z


MAKERS = {"plain": nn.Tanh, "dropout": nn.Dropout, "noise": Noise, "batch norm": lambda: nn.BatchNorm1d(8)}
WHOLE = [name for name in MAKERS if name != "plain"]


def net(name):
    torch.manual_seed(0)
    return Net(MAKERS[name]())


def meshes(count=40):
    return torch.randn(count, 5, 3, generator=torch.Generator().manual_seed(0))


def trained(name, count=40, **options):
    model = net(name)
    losses, _ = fit(model, meshes(count), mean_absolute, SCHEDULE, 0, progress=False, **options)
    return losses, {key: value.clone() for key, value in model.state_dict().items()}


def same(one, other):
    return one[0] == other[0] and all(torch.equal(one[1][key], other[1][key]) for key in one[1])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", MAKERS)
def test_what_takes_whole_batches_is_seen_and_left_as_it_was(name):
    model = net(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    generator = torch.default_generator.get_state()
    assert takes_whole_batches(model, meshes(), as_objective(mean_absolute)) == (name in WHOLE)
    assert torch.equal(generator, torch.default_generator.get_state())
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert normalises_batches(model) == (name == "batch norm")


@pytest.mark.parametrize("name", WHOLE)
def test_the_same_run_is_the_same_whatever_ran_before_it_and_how_many_threads_there_are(name, threads):
    threads(1)
    first = trained(name)
    torch.rand(7)
    assert same(trained(name), first)
    threads(2)
    assert same(trained(name), first)


@pytest.mark.parametrize("name", WHOLE)
def test_a_resumed_training_draws_what_an_uninterrupted_one_does(name, tmp_path):
    whole = trained(name)
    calls = []

    def dies(prediction, target):
        calls.append(1)
        if len(calls) > 5:  # in the second epoch
            raise KeyboardInterrupt
        return mean_absolute(prediction, target)

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(net(name), meshes(), dies, SCHEDULE, 0, checkpoint=path, progress=False)
    torch.rand(3)
    assert same(trained(name, checkpoint=path), whole)


def test_another_seed_draws_other_numbers_and_each_epoch_its_own():
    seen = []

    class Watched(Noise):
        def forward(self, z):
            noisy = super().forward(z)
            seen.append((noisy - z).detach().sum().item())
            return noisy

    for seed in (0, 1):
        fit(Net(Watched()), meshes(16), mean_absolute, SCHEDULE, seed, progress=False)
    assert len({round(value, 4) for value in seen[-6:]}) == 6


def test_the_generator_of_whoever_trains_is_left_alone():
    model = net("noise")
    state = torch.default_generator.get_state()
    fit(model, meshes(), mean_absolute, SCHEDULE, 0, progress=False)
    assert torch.equal(torch.default_generator.get_state(), state)


# --- a mesh that is left over -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "pairs", "sizes"),
    [
        (33, False, [16, 16, 1]),
        (33, True, [16, 17]),
        (32, True, [16, 16]),
        (34, True, [16, 16, 2]),
        (17, True, [17]),
        (1, True, [1]),
        (5, False, [5]),
    ],
)
def test_one_that_is_left_over_joins_the_batch_before(count, pairs, sizes):
    assert _batch_sizes(count, 16, pairs) == sizes


@pytest.mark.parametrize("count", [17, 33, 34])
def test_batch_normalisation_trains_whatever_is_left_over(count):
    losses, state = trained("batch norm", count)
    assert len(losses) == 3 and losses[-1] < losses[0]
    assert state["between.0.num_batches_tracked"] == 3 * len(_batch_sizes(count, 16, True))
