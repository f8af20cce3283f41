"""One training step: dealt out to threads, or captured and replayed, against the plain loop."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from fake_hierarchies import fake_hierarchy
from torch import nn

from bench3dmm.errors import UnknownNameError
from bench3dmm.models import build_model
from bench3dmm.models.interface import arrange
from bench3dmm.models.neural3dmm import PRESETS
from bench3dmm.system.parallel import Workers
from bench3dmm.training.fit import epoch_steps, fit
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.objective import epoch_order, take
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import (
    SHARE,
    WARM_UP,
    GraphedStep,
    ThreadedStep,
    check_optimizer,
    gradients,
    make_optimizer,
    set_learning_rate,
)

SCHEDULE = Schedule(epochs=4, batch_size=4, learning_rate=1e-2, decay=0.9, weight_decay=5e-5)
CPU = torch.device("cpu")
L1 = mean_absolute


class Tiny(nn.Module):
    """Two layers, and a parameter that takes no part in the loss."""

    def __init__(self):
        super().__init__()
        self.down, self.idle, self.up = nn.Linear(15, 4), nn.Parameter(torch.ones(3)), nn.Linear(4, 15)

    def forward(self, x):
        return self.up(F.elu(self.down(x.flatten(1)))).view(x.shape)


def tiny():
    torch.manual_seed(0)
    return Tiny().double()


def tiny_meshes(count=23):
    return torch.randn(count, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


HIERARCHY = ([90, 23, 9, 5, 3], [6, 5, 7, 4, 3])


def autoencoder(preset):
    torch.manual_seed(0)
    return build_model("neural3dmm", fake_hierarchy(*HIERARCHY, seed=3), 5, preset=preset)


def autoencoder_meshes(count=18):
    """Of few degrees of freedom, so that a few steps learn something."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, generator=generator) @ torch.randn(3, 270, generator=generator).view(3, -1) / 2


def state(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def assert_near(actual, expected, tolerance):
    """Norm-wise, tensor by tensor."""
    assert actual.keys() == expected.keys()
    for name in expected:
        error = ((actual[name] - expected[name]).norm() / expected[name].norm()).item()
        assert error <= tolerance, f"{name}: relative error {error:.1e} > {tolerance:.0e}"


def plain_steps(model, meshes, batches, optimizer):
    """The loop that everybody would write; returns the losses times their meshes, added up."""
    total = torch.zeros(())
    for rows in batches:
        optimizer.zero_grad()
        loss = L1(model(meshes[rows]), meshes[rows])
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(rows)
    return total


def threaded_steps(model, meshes, batches, most):
    with Workers(most) as workers:
        assert workers.count == most
        step = ThreadedStep(model, meshes, L1, make_optimizer(model, SCHEDULE, CPU), workers)
        for rows in batches:
            step(rows)
    return step.total


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


UNEVEN = torch.arange(23).split([5, 4, 1, 3, 7, 2, 1])


# --- pieces -----------------------------------------------------------------------------------------------------


def test_take_picks_rows_and_arranges_them_as_the_model_likes():
    meshes, rows = tiny_meshes(), torch.tensor([4, 0, 4, 22])
    plain, liked = take(nn.Identity(), meshes, rows), take(autoencoder("paper"), meshes, rows)
    assert torch.equal(plain, meshes[rows]) and torch.equal(liked, meshes[rows])
    assert plain.is_contiguous()
    assert liked.stride() == (1, 12, 4)
    assert arrange(nn.Identity(), plain) is plain


def test_gradients_are_weighted_and_none_for_what_takes_no_part():
    model, batch = tiny(), tiny_meshes(4)
    value, parts = gradients(model, batch, L1, 0.25)
    assert not value.requires_grad
    loss = L1(model(batch), batch)
    loss.backward()
    assert value.item() == pytest.approx(0.25 * loss.item(), rel=1e-14)
    names = [name for name, _ in model.named_parameters()]
    assert [name for name, part in zip(names, parts, strict=True) if part is None] == ["idle"]
    for parameter, part in zip(model.parameters(), parts, strict=True):
        if part is not None:
            torch.testing.assert_close(part, 0.25 * parameter.grad, rtol=1e-13, atol=1e-15)


def test_learning_rate_is_set_in_place_where_it_is_a_tensor():
    rate = torch.tensor(0.1)
    with_tensor = torch.optim.SGD(tiny().parameters(), lr=rate)
    with_number = torch.optim.SGD(tiny().parameters(), lr=0.1)
    for optimizer in (with_tensor, with_number):
        set_learning_rate(optimizer, 0.5)
    assert with_tensor.param_groups[0]["lr"] is rate and rate.item() == 0.5
    assert with_number.param_groups[0]["lr"] == 0.5


# --- threads ----------------------------------------------------------------------------------------------------


def by_hand(model, meshes, batches, schedule, decayed):
    """Stochastic gradient descent with momentum and L2, as Sutskever et al. (2013) write it without Nesterov's term."""
    velocity = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    for rows in batches:
        value = L1(model(meshes[rows]), meshes[rows])
        value = value + schedule.weight_decay / 2 * sum(
            parameter.square().sum() for name, parameter in model.named_parameters() if decayed(name)
        )
        grads = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
        with torch.no_grad():
            for (name, parameter), grad in zip(model.named_parameters(), grads, strict=True):
                if grad is not None:
                    velocity[name].mul_(0.9).add_(grad)
                    parameter.sub_(schedule.learning_rate * velocity[name])


@pytest.mark.parametrize("spared", [(), ("down.",)], ids=["all decayed", "one layer spared"])
def test_sgd_is_momentum_descent_with_l2(spared):
    schedule = dataclasses.replace(SCHEDULE, optimizer="sgd", weight_decay=0.1)
    one, other = tiny(), tiny()
    one.undecayed = spared
    del one.idle, other.idle  # its decay is its only gradient, and the trainer leaves it alone
    plain_steps(one, tiny_meshes(), UNEVEN, make_optimizer(one, schedule, CPU))
    by_hand(other, tiny_meshes(), UNEVEN, schedule, lambda name: not name.startswith(spared))
    for name, tensor in state(other).items():
        torch.testing.assert_close(state(one)[name], tensor, rtol=1e-12, atol=1e-14)


def test_spared_parameters_do_not_decay_under_adam_either():
    model = tiny()
    model.undecayed = ("down.", "idle")
    groups = make_optimizer(model, SCHEDULE, CPU).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert {decay[id(p)] for p in model.up.parameters()} == {SCHEDULE.weight_decay}
    assert {decay[id(p)] for p in (*model.down.parameters(), model.idle)} == {0.0}


def test_unknown_optimiser_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="adam"):
        check_optimizer("adm")


def test_one_thread_trains_as_the_plain_loop_to_the_bit():
    model, plain = tiny(), tiny()
    total = threaded_steps(model, tiny_meshes(), UNEVEN, 1)
    expected = plain_steps(plain, tiny_meshes(), UNEVEN, make_optimizer(plain, SCHEDULE, CPU))
    assert torch.equal(total, expected)
    assert_equal(state(model), state(plain))


def test_two_threads_train_as_the_plain_loop(two_threads):
    """Also where a batch has an odd number of meshes, or fewer than there are threads."""
    model, plain = tiny(), tiny()
    total = threaded_steps(model, tiny_meshes(), UNEVEN * 3, 2)
    expected = plain_steps(plain, tiny_meshes(), UNEVEN * 3, make_optimizer(plain, SCHEDULE, CPU))
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=0)
    assert_near(state(model), state(plain), 1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_parameter_without_gradient_is_left_alone(two_threads, threads):
    """Weight decay must not reach it either."""
    model = tiny()
    threaded_steps(model, tiny_meshes(), UNEVEN, threads)
    assert model.idle.grad is None
    assert (model.idle == 1).all()


class Transposing(nn.Module):
    """Its gradient lies in memory transposed to its weight, as that of a spiral convolution may."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(x, weight)
            return x @ weight.t()

        @staticmethod
        def backward(ctx, grad):
            x, weight = ctx.saved_tensors
            return grad @ weight, (x.t() @ grad).t()

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(15, 4, bias=False), nn.Linear(4, 15, bias=False)

    def forward(self, x):
        code = self.Product.apply(x.flatten(1), self.down.weight)
        return self.Product.apply(code, self.up.weight).view(x.shape)


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_layout_of_a_gradient_does_not_matter(two_threads, threads):
    """The fused Adam goes through memory, not through indices."""
    torch.manual_seed(0)
    model, plain = Transposing().double(), Transposing().double()
    plain.load_state_dict(model.state_dict())
    parts = torch.autograd.grad(model(tiny_meshes()).sum(), list(model.parameters()))
    assert not any(part.is_contiguous() for part in parts), "nothing is tested"
    threaded_steps(model, tiny_meshes(), UNEVEN, threads)
    plain_steps(plain, tiny_meshes(), UNEVEN, make_optimizer(plain, SCHEDULE, CPU))
    assert_near(state(model), state(plain), 1e-12)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_two_threads_train_the_autoencoder_as_the_plain_loop(two_threads, preset):
    model, plain = autoencoder(preset).double(), autoencoder(preset).double()
    meshes = autoencoder_meshes().view(-1, 90, 3).double()
    batches = torch.arange(18).split(5) * 2
    total = threaded_steps(model, meshes, batches, 2)
    expected = plain_steps(plain, meshes, batches, make_optimizer(plain, SCHEDULE, CPU))
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=0)
    assert_near(state(model), state(plain), 1e-9)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_two_threads_repeat_to_the_bit(two_threads, preset):
    meshes = autoencoder_meshes().view(-1, 90, 3)
    runs = []
    for _ in range(2):
        model = autoencoder(preset)
        total = threaded_steps(model, meshes, torch.arange(18).split(7) * 2, 2)
        runs.append(state(model) | {"total": total})
    assert_equal(*runs)


def test_fit_uses_the_threads_that_a_batch_feeds(two_threads, monkeypatch):
    """And its losses are those of one thread."""
    seen = []
    deal = Workers.map
    monkeypatch.setattr(Workers, "map", lambda self, *args: seen.append(self.count) or deal(self, *args))
    meshes, losses = tiny_meshes(2 * SHARE + 3), []
    for batch_size, expected in ((2 * SHARE, 2), (2 * SHARE - 1, 1)):
        seen.clear()
        schedule = Schedule(2, batch_size, 1e-2, 1.0, 0.0)
        losses.append(fit(tiny(), meshes, L1, schedule, 0, progress=False)[0])
        assert set(seen) == {expected} and len(seen) == 4
    torch.set_num_threads(1)
    alone, _ = fit(tiny(), meshes, L1, Schedule(2, 2 * SHARE, 1e-2, 1.0, 0.0), 0, progress=False)
    assert losses[0] == pytest.approx(alone, rel=1e-6)


# --- captured and replayed --------------------------------------------------------------------------------------


def graphed_optimizer(model):
    """As `make_optimizer` makes it for a GPU, on the CPU: the rate is a tensor."""
    rate = torch.tensor(SCHEDULE.learning_rate)
    return torch.optim.Adam(model.parameters(), lr=rate, weight_decay=SCHEDULE.weight_decay, fused=True)


class Recorder:
    """Stands in for the capture of a CUDA graph: the replay runs the launch again, on the tensors it was captured with.

    A graph reads a learning rate from the memory that held it, so a tensor put in its place later is not seen.
    """

    def __init__(self, optimizer):
        self.optimizer, self.captures, self.replays = optimizer, 0, 0

    def __call__(self, launch):
        self.captures += 1
        rates = [group["lr"] for group in self.optimizer.param_groups]

        def replay():
            self.replays += 1
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
            launch()

        return replay


def graphed(model, meshes, batch_size=4):
    optimizer = graphed_optimizer(model)
    recorder = Recorder(optimizer)
    return GraphedStep(model, meshes, L1, optimizer, batch_size, recorder), recorder


MIXED = torch.arange(23).split([4, 2, 4, 4, 4, 1, 4]) * 3  # four full batches, then a short one, then replays


def test_graphed_step_trains_as_the_plain_loop_to_the_bit():
    model, plain = tiny(), tiny()
    step, recorder = graphed(model, tiny_meshes())
    for rows in MIXED:
        step(rows)
    expected = plain_steps(plain, tiny_meshes(), MIXED, graphed_optimizer(plain))
    assert recorder.replays == sum(len(rows) == 4 for rows in MIXED) - WARM_UP
    assert torch.equal(step.total, expected)
    assert_equal(state(model), state(plain))
    assert (model.idle == 1).all()


def test_graphed_step_trains_as_the_threaded_one_to_the_bit():
    model, other = tiny(), tiny()
    step, _ = graphed(model, tiny_meshes())
    with Workers(1) as workers:
        threaded = ThreadedStep(other, tiny_meshes(), L1, graphed_optimizer(other), workers)
        for rows in MIXED:
            step(rows)
            threaded(rows)
    assert torch.equal(step.total, threaded.total)
    assert_equal(state(model), state(other))


@pytest.mark.parametrize("preset", list(PRESETS))
def test_graphed_step_trains_the_autoencoder_as_the_plain_loop(preset):
    model, plain = autoencoder(preset).double(), autoencoder(preset).double()
    meshes = autoencoder_meshes().view(-1, 90, 3).double()
    batches = torch.arange(18).split(4) * 2
    step, recorder = graphed(model, meshes)
    for rows in batches:
        step(rows)
    assert recorder.replays == 8 - WARM_UP
    expected = plain_steps(plain, meshes, batches, graphed_optimizer(plain))
    torch.testing.assert_close(step.total, expected, rtol=1e-6, atol=0)
    assert_near(state(model), state(plain), 1e-9)


def test_capture_happens_once_after_the_first_full_batches():
    step, recorder = graphed(tiny(), tiny_meshes())
    full = 0
    for rows in MIXED:
        step(rows)
        full += len(rows) == 4
        assert recorder.captures == (full > WARM_UP)
        assert recorder.replays == max(0, full - WARM_UP)


def test_training_shorter_than_the_warm_up_is_not_captured():
    step, recorder = graphed(tiny(), tiny_meshes())
    for rows in torch.arange(4 * WARM_UP).split(4):
        step(rows)
    assert recorder.captures == 0


def test_replay_honours_the_learning_rate_of_the_epoch():
    model, plain = tiny(), tiny()
    step, recorder = graphed(model, tiny_meshes())
    optimizer = graphed_optimizer(plain)
    for epoch in range(4):
        rate = 1e-2 * 0.5**epoch
        set_learning_rate(step.optimizer, rate)
        for rows in MIXED[:7]:
            step(rows)
        optimizer.param_groups[0]["lr"] = torch.tensor(rate)
        plain_steps(plain, tiny_meshes(), MIXED[:7], optimizer)
    assert recorder.replays == 20 - WARM_UP
    assert_equal(state(model), state(plain))


def test_replay_reads_its_rows_from_a_buffer_of_its_own():
    model, plain = tiny(), tiny()
    step, _ = graphed(model, tiny_meshes())
    batches = list(torch.arange(20).split(4))
    step(batches[0])
    (buffer,) = step.examples
    for rows in batches[1:]:
        given = rows.clone()
        step(given)
        given.fill_(-1)  # the caller's again
    step.replay()  # the last batch once more
    buffer.copy_(batches[1])
    step.replay()
    assert step.examples[0] is buffer
    expected = [*batches, batches[-1], batches[1]]
    plain_steps(plain, tiny_meshes(), expected, graphed_optimizer(plain))
    assert_equal(state(model), state(plain))


def test_model_that_cannot_be_captured_trains_all_the_same(capsys):
    model, plain = tiny(), tiny()
    calls = []

    def fails(launch):
        calls.append(launch)
        raise RuntimeError("operation not permitted\nwhen stream is capturing\n")

    step = GraphedStep(model, tiny_meshes(), L1, graphed_optimizer(model), 4, fails)
    for rows in MIXED:
        step(rows)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "operation not permitted" in lines[0]
    assert len(calls) == 1 and step.replay is None
    assert torch.equal(step.total, plain_steps(plain, tiny_meshes(), MIXED, graphed_optimizer(plain)))
    assert_equal(state(model), state(plain))


def test_graphed_step_over_epochs_reports_the_loss_of_each():
    """The total is zeroed in place: the replay adds to the tensor it was captured with."""
    model, plain = tiny(), tiny()
    step, recorder = graphed(model, tiny_meshes())
    total, optimizer = step.total, graphed_optimizer(plain)
    for epoch in range(3):
        order = epoch_order(23, 0, epoch)
        rate = 1e-2 * 0.9**epoch
        set_learning_rate(optimizer, rate)
        expected = plain_steps(plain, tiny_meshes(), order.split(4), optimizer)
        for launch in epoch_steps(step, [order], 4, lambda done, rate=rate: rate):
            launch()
        assert step.total == expected
        assert step.total is total
    assert (recorder.captures, recorder.replays) == (1, 3 * 5 - WARM_UP)
    assert_equal(state(model), state(plain))


# --- on a GPU ---------------------------------------------------------------------------------------------------

ON_GPU = Schedule(epochs=4, batch_size=4, learning_rate=1e-3, decay=0.9, weight_decay=5e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("preset", list(PRESETS))
def test_cuda_trains_as_the_cpu_does(preset, capsys):
    """With a graph captured in the first epoch and a short batch in each.

    Both are float32 and add in other orders. Adam's early steps are about sign(gradient) * rate, so the sign of a
    gradient that is nearly zero may move a weight by up to two rates: hence 1e-3 for the weights, 1e-4 for losses.
    """
    meshes = autoencoder_meshes().view(-1, 90, 3)
    model, on_cpu = autoencoder(preset).cuda(), autoencoder(preset)
    losses, _ = fit(model, meshes.cuda(), L1, ON_GPU, 0, progress=False)
    expected, _ = fit(on_cpu, meshes, L1, ON_GPU, 0, progress=False)
    assert "no CUDA graph" not in capsys.readouterr().err
    assert expected[-1] < expected[0]
    assert losses == pytest.approx(expected, rel=1e-4)
    assert_near({name: tensor.cpu() for name, tensor in state(model).items()}, state(on_cpu), 1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("preset", list(PRESETS))
def test_cuda_resumes_from_a_checkpoint(preset, tmp_path):
    """The steps before a capture are launched one by one, so bits may differ; nothing more."""
    meshes = autoencoder_meshes().view(-1, 90, 3).cuda()
    whole, first = autoencoder(preset).cuda(), autoencoder(preset).cuda()
    losses, _ = fit(whole, meshes, L1, ON_GPU, 0, progress=False)
    options = {"checkpoint": tmp_path / "checkpoint.safetensors", "fingerprint": "a", "progress": False}
    half = Schedule(2, ON_GPU.batch_size, ON_GPU.learning_rate, ON_GPU.decay, ON_GPU.weight_decay)
    fit(first, meshes, L1, half, 0, **options)
    torch.manual_seed(1)  # other weights: all must come from the checkpoint
    resumed = build_model("neural3dmm", fake_hierarchy(*HIERARCHY, seed=3), 5, preset=preset).cuda()
    resumed_losses, _ = fit(resumed, meshes, L1, ON_GPU, 0, **options)
    assert len(resumed_losses) == 4
    assert resumed_losses == pytest.approx(losses, rel=1e-5)
    assert_near(state(resumed), state(whole), 1e-4)
