"""One training step (forward, backward, optimiser), done the way the device likes it.

Both kinds take the rows of a batch and add the batch's loss, times its meshes, to ``total``, a tensor on the device:
nothing is read back before the epoch ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench3dmm.errors import UnknownNameError
from bench3dmm.parallel import Workers

if TYPE_CHECKING:
    from bench3dmm.train import Schedule

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SHARE = 8  # meshes; a thread with fewer spends its time on overheads
WARM_UP = 3  # steps before a CUDA graph is captured: libraries and the optimiser's state set themselves up

MOMENTUM = 0.9  # of stochastic gradient descent
OPTIMIZERS = ("adam", "sgd")


def check_optimizer(name: str) -> None:
    """Raises UnknownNameError, with the nearest name."""
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)


def make_optimizer(model: nn.Module, schedule: Schedule, device: torch.device) -> torch.optim.Optimizer:
    """The schedule's optimiser; on a GPU with a learning rate that lives there, so that a captured step reads it.

    Weight decay is L2, added to the gradient; parameters whose names start with one of ``model.undecayed`` have none.
    """
    rate: float | torch.Tensor = schedule.learning_rate
    graphed = device.type == "cuda"
    if graphed:
        rate = torch.tensor(rate, device=device)
    spared = tuple(getattr(model, "undecayed", ()))
    decayed, undecayed = [], []
    for name, parameter in model.named_parameters():
        (undecayed if name.startswith(spared) else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}]
    if undecayed:
        groups.append({"params": undecayed, "weight_decay": 0.0})
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, fused=True)
    return torch.optim.Adam(groups, lr=rate, fused=True, capturable=graphed)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def take(model: nn.Module, meshes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The rows of (N, V, 3) as a batch (B, V, 3), in memory as the model likes it."""
    return arrange(model, meshes.index_select(0, rows))


def arrange(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """The same (B, V, 3), with the mesh innermost in memory for a model with ``batch_innermost = True``."""
    if not getattr(model, "batch_innermost", False):
        return batch
    return batch.flatten(1).t().contiguous().t().view(batch.shape)


def gradients(
    model: nn.Module, batch: torch.Tensor, loss: Loss, weight: float = 1.0
) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
    """Loss and gradients of all parameters, both times ``weight``; None for a parameter that takes no part."""
    value = loss(model(batch), batch) * weight
    parts = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    # The fused optimiser reads memory in order, whatever the strides.
    return value.detach(), tuple(None if part is None else part.contiguous() for part in parts)


class ThreadedStep:
    """On CPU: a batch is dealt out to threads, and their gradients are added up in a fixed order."""

    def __init__(
        self, model: nn.Module, meshes: torch.Tensor, loss: Loss, optimizer: torch.optim.Optimizer, workers: Workers
    ) -> None:
        self.model, self.meshes, self.loss, self.optimizer, self.workers = model, meshes, loss, optimizer, workers
        self.total = torch.zeros(())

    def __call__(self, rows: torch.Tensor) -> None:
        def share_of(share: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
            batch = take(self.model, self.meshes, share)
            return gradients(self.model, batch, self.loss, len(share) / len(rows))

        values, shares = zip(*self.workers.map(share_of, rows.chunk(self.workers.count)), strict=True)
        for parameter, *parts in zip(self.model.parameters(), *shares, strict=True):
            parameter.grad = None if parts[0] is None else sum(parts[1:], parts[0])
        self.optimizer.step()
        self.total += sum(values) * len(rows)


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
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        batch_size: int,
        capture: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
    ) -> None:
        self.model, self.meshes, self.loss, self.optimizer = model, meshes, loss, optimizer
        self.total = torch.zeros((), device=meshes.device)
        self.rows = torch.zeros(batch_size, dtype=torch.int64, device=meshes.device)
        self.capture = capture or capture_graph
        self.replay: Callable[[], None] | None = None
        self.until_capture = WARM_UP

    def __call__(self, rows: torch.Tensor) -> None:
        if len(rows) != len(self.rows):
            self._step(rows)
            return
        self.rows.copy_(rows)
        if self.until_capture == 0:
            self._capture()
        self.until_capture -= 1
        if self.replay:
            self.replay()
        else:
            self._step(self.rows)

    def _step(self, rows: torch.Tensor) -> None:
        value, parts = gradients(self.model, take(self.model, self.meshes, rows), self.loss)
        for parameter, part in zip(self.model.parameters(), parts, strict=True):
            parameter.grad = part
        self.optimizer.step()
        self.total += value * len(rows)

    def _capture(self) -> None:
        try:
            self.replay = self.capture(lambda: self._step(self.rows))
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            print(f"no CUDA graph of this model ({reason}); its kernels are launched one by one", file=sys.stderr)


def capture_graph(launch: Callable[[], None]) -> Callable[[], None]:
    """Record what ``launch`` puts on the current GPU, without running it; returns the replay."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch()
    return graph.replay
