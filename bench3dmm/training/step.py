"""One training step (forward, backward, optimiser), done the way the device likes it.

Both kinds take the examples of a batch (see `bench3dmm.training.objective`) and add the batch's loss, times its
examples, to ``total``, a tensor on the device: nothing is read back before the epoch ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench3dmm.errors import UnknownNameError
from bench3dmm.system.card import Capture, capture_graph
from bench3dmm.system.memory import is_out_of_memory
from bench3dmm.system.parallel import Workers
from bench3dmm.training.objective import Loss, Objective, as_objective, reconstruction_loss

if TYPE_CHECKING:
    from bench3dmm.training.schedule import Schedule

SHARE = 8  # meshes; a thread with fewer spends its time on overheads
WARM_UP = 3  # steps before a CUDA graph is captured: libraries and the optimiser's state set themselves up

MOMENTUM = 0.9  # of stochastic gradient descent
OPTIMIZERS = ("adam", "adamw", "sgd")


def check_optimizer(name: str) -> None:
    """Raises UnknownNameError, with the nearest name."""
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)


def make_optimizer(model: nn.Module, schedule: Schedule, device: torch.device) -> torch.optim.Optimizer:
    """The schedule's optimiser; on a GPU with a learning rate that lives there, so that a captured step reads it.

    Weight decay is L2, added to the gradient, of ``adamw`` subtracted from the weights; parameters whose names start
    with one of ``model.undecayed`` have none.
    """
    rate: float | torch.Tensor = schedule.learning_rate
    graphed = device.type == "cuda"
    if graphed:
        rate = torch.tensor(rate, device=device)
    spared = tuple(getattr(model, "undecayed", ()))
    decayed: list[nn.Parameter] = []
    undecayed: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (undecayed if name.startswith(spared) else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}]
    if undecayed:
        groups.append({"params": undecayed, "weight_decay": 0.0})
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, fused=True)
    kind = torch.optim.AdamW if schedule.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, fused=True, capturable=graphed)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def gradients(
    model: nn.Module, batch: torch.Tensor, loss: Loss, weight: float = 1.0
) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
    """Loss of a batch's reconstruction and gradients of all parameters, both times ``weight``; see `gradients_of`."""
    value = reconstruction_loss(model, batch, loss) * weight
    return value.detach(), gradients_of(model, value)


def gradients_of(model: nn.Module, value: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """Of a scalar, for each parameter; None for one that takes no part."""
    parts = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    # The fused optimiser reads memory in order, whatever the strides.
    return tuple(None if part is None else part.contiguous() for part in parts)


class ThreadedStep:
    """On CPU: a batch is dealt out to threads, and their gradients are added up in a fixed order."""

    def __init__(
        self,
        model: nn.Module,
        meshes: torch.Tensor,
        objective: Objective | Loss,
        optimizer: torch.optim.Optimizer,
        workers: Workers,
    ) -> None:
        self.model, self.meshes, self.optimizer, self.workers = model, meshes, optimizer, workers
        self.objective = as_objective(objective)
        self.total = torch.zeros(())

    def __call__(self, *examples: torch.Tensor) -> None:
        count = len(examples[0])

        def share_of(share: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
            value = self.objective.value(self.model, self.meshes, *share) * (len(share[0]) / count)
            return value.detach(), gradients_of(self.model, value)

        shares = zip(*(one.chunk(self.workers.count) for one in examples), strict=True)
        values, found = zip(*self.workers.map(share_of, shares), strict=True)
        for parameter, *parts in zip(self.model.parameters(), *found, strict=True):
            parameter.grad = None if parts[0] is None else sum(parts[1:], parts[0])
        self.optimizer.step()
        self.total += sum(values) * count


class GraphedStep:
    """On CUDA: after a few steps, a full batch's step is captured, and one launch replays all its kernels.

    At the published batch of 16 a step is some two hundred small kernels; launched one by one they would leave the
    card idle most of the time. A short last batch, and a model that cannot be captured, run kernel by kernel.

    Args:
        capture: turns a function that launches kernels into one that replays them.
    """

    def __init__(
        self,
        model: nn.Module,
        meshes: torch.Tensor,
        objective: Objective | Loss,
        optimizer: torch.optim.Optimizer,
        batch_size: int,
        capture: Capture | None = None,
        label: str = "",
    ) -> None:
        self.model, self.meshes, self.objective, self.optimizer = model, meshes, as_objective(objective), optimizer
        self.total = torch.zeros((), device=meshes.device)
        self.batch_size = batch_size
        self.examples: tuple[torch.Tensor, ...] = ()  # where a captured step reads them
        self.capture, self.label = capture or capture_graph, label
        self.replay: Callable[[], None] | None = None
        self.until_capture = WARM_UP

    def __call__(self, *examples: torch.Tensor) -> None:
        if len(examples[0]) != self.batch_size:
            self._step(*examples)
            return
        if not self.examples:
            self.examples = tuple(torch.empty_like(one) for one in examples)
        for kept, one in zip(self.examples, examples, strict=True):
            kept.copy_(one)
        if self.until_capture == 0:
            self._capture()
        self.until_capture -= 1
        if self.replay:
            self.replay()
        else:
            self._step(*self.examples)

    def never_capture(self) -> None:
        """Launch the kernels one by one, of every step that is to come."""
        self.until_capture, self.replay = -1, None

    def _step(self, *examples: torch.Tensor) -> None:
        value = self.objective.value(self.model, self.meshes, *examples)
        for parameter, part in zip(self.model.parameters(), gradients_of(self.model, value), strict=True):
            parameter.grad = part
        self.optimizer.step()
        self.total += value.detach() * len(examples[0])

    def _capture(self) -> None:
        try:
            self.replay = self.capture(lambda: self._step(*self.examples))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
            whose = f"{self.label}: " if self.label else ""
            print(
                f"{whose}no CUDA graph of this model ({reason}); its kernels are launched one by one", file=sys.stderr
            )
