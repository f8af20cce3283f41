"""The one trainer: normalisation, the published schedules, and checkpoints that resume bit for bit."""

from __future__ import annotations

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from bench3dmm.device import full_precision
from bench3dmm.errors import TrainingError, UnknownNameError
from bench3dmm.objective import Loss, Objective, as_objective
from bench3dmm.parallel import Workers, keep_freed_memory
from bench3dmm.step import SHARE, GraphedStep, ThreadedStep, make_optimizer, set_learning_rate
from bench3dmm.storage import write_atomically

if TYPE_CHECKING:
    from bench3dmm.run import Run

CHUNK = 256  # meshes handled at a time


SHAPES = ("exponential", "cosine")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        decay: of the learning rate, each epoch, if ``shape`` is ``exponential`` (the paper, section 4.2).
        shape: ``cosine``, step by step from the learning rate to the final one (Loshchilov and Hutter, ICLR 2017).
        warm_up: share of the training in which the learning rate first grows evenly from 0.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    decay: float
    weight_decay: float
    optimizer: str = "adam"
    shape: str = "exponential"
    final_learning_rate: float = 0.0
    warm_up: float = 0.0

    @classmethod
    def of(cls, run: Run) -> Schedule:
        return cls(
            run.n_epochs,
            run.batch_size,
            run.learning_rate,
            run.learning_rate_decay,
            run.weight_decay,
            run.optimizer,
            run.schedule,
            run.final_learning_rate,
            run.warm_up,
        )

    def rate(self, epoch: int, done: float) -> float:
        """The learning rate of a step that ends when so much of an epoch, in (0, 1], is done."""
        share = (epoch + done) / self.epochs
        if share < self.warm_up:
            return self.learning_rate * share / self.warm_up
        if self.shape == "exponential":
            return self.learning_rate * self.decay**epoch
        left = (1 - share) / (1 - self.warm_up)
        fall = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + fall * (1 - math.cos(math.pi * left)) / 2


def check_schedule(shape: str) -> None:
    """Raises UnknownNameError, with the nearest name."""
    if shape not in SHAPES:
        raise UnknownNameError("schedule", shape, SHAPES)


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Per-coordinate mean and deviation of the training meshes, (V, 3) float32; deviation 0 stands for "never moves".

    `apply` divides by the deviation with 0/0 = 0, as published; with ``scale`` off it only centres.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @staticmethod
    def fit(vertices: np.ndarray, rows: np.ndarray, *, scale: bool = True) -> Normaliser:
        """Over the rows of a (N, V, 3) array, in one pass of float64 sums about the first mesh (ddof = 0)."""
        origin = np.asarray(vertices[rows[0]], dtype=np.float64)
        total, squares = np.zeros_like(origin), np.zeros_like(origin)
        for start in range(0, len(rows), CHUNK):
            moved = np.asarray(vertices[rows[start : start + CHUNK]], dtype=np.float64) - origin
            total += moved.sum(axis=0)
            squares += (moved**2).sum(axis=0)
        mean = total / len(rows)
        deviation = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0)) if scale else np.ones_like(mean)
        return Normaliser((origin + mean).astype(np.float32), deviation.astype(np.float32))

    def apply(self, meshes: np.ndarray) -> np.ndarray:
        """Millimetres (B, V, 3) → normalised float32."""
        divisor = np.where(self.deviation > 0, self.deviation, np.inf)
        return ((meshes - self.mean) / divisor).astype(np.float32, copy=False)

    def invert(self, meshes: np.ndarray) -> np.ndarray:
        """Normalised (B, V, 3) → millimetres."""
        return meshes * self.deviation + self.mean


def load_normalised(
    vertices: np.ndarray, rows: np.ndarray, normaliser: Normaliser, device: torch.device
) -> torch.Tensor:
    """The rows as one normalised (n, V, 3) float32 tensor on the device."""
    meshes = torch.empty((len(rows), *vertices.shape[1:]), dtype=torch.float32, device=device)
    for start in range(0, len(rows), CHUNK):
        piece = normaliser.apply(vertices[rows[start : start + CHUNK]])
        meshes[start : start + len(piece)] = torch.from_numpy(piece)
    return meshes


def fit(
    model: nn.Module,
    meshes: torch.Tensor,
    objective: Objective | Loss,
    schedule: Schedule,
    seed: int,
    *,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    label: str = "training",
    progress: bool = True,
) -> tuple[list[float], float]:
    """Train a model; the weights of the last epoch stay in it. There is no early stopping.

    What an epoch sees depends on seed and epoch alone, so a run that resumes from its checkpoint ends with the weights
    of an uninterrupted one.

    Args:
        model: on the device of ``meshes``; one with ``fit_closed_form`` is fitted by that instead.
        meshes: (N, V, 3) normalised.
        objective: see `bench3dmm.objective`; a plain loss is to reconstruct.
        checkpoint: written after each epoch and resumed from; its folder is made.
        fingerprint: what the training depends on; a checkpoint with another one is not resumed from.

    Returns:
        The mean training loss of each epoch, and the seconds spent.

    Raises:
        TrainingError: when the loss is no longer finite, naming epoch and learning rate.
    """
    started = time.perf_counter()
    if hasattr(model, "fit_closed_form"):
        model.fit_closed_form(meshes)
        return [], time.perf_counter() - started

    keep_freed_memory()
    objective = as_objective(objective)
    optimizer = make_optimizer(model, schedule, meshes.device)
    losses, before = _resume(checkpoint, fingerprint, model, optimizer, schedule) if checkpoint else ([], 0.0)
    shown = _Progress(label, schedule.epochs, len(losses), progress)
    model.train()
    with full_precision(), Workers(schedule.batch_size // SHARE) as workers:
        if meshes.is_cuda:
            step = GraphedStep(model, meshes, objective, optimizer, schedule.batch_size)
        else:
            step = ThreadedStep(model, meshes, objective, optimizer, workers)
        for epoch in range(len(losses), schedule.epochs):
            examples = [one.to(meshes.device) for one in objective.examples(len(meshes), seed, epoch)]
            mean = _epoch(step, examples, schedule.batch_size, functools.partial(schedule.rate, epoch))
            if not math.isfinite(mean):
                raise TrainingError(
                    f"the loss is {mean} after epoch {epoch + 1} of {schedule.epochs} at learning rate "
                    f"{schedule.rate(epoch, 1.0):.2e}; try a smaller --learning-rate"
                )
            losses.append(mean)
            if checkpoint:
                seconds = before + time.perf_counter() - started
                _save_checkpoint(checkpoint, fingerprint, model, optimizer, losses, seconds)
            shown.update(epoch + 1, mean)
    shown.close()
    return losses, before + time.perf_counter() - started


def _epoch(
    step: ThreadedStep | GraphedStep,
    examples: Sequence[torch.Tensor],
    batch_size: int,
    rate: Callable[[float], float],
) -> float:
    """One pass; the loss is read back once, at the end.

    Args:
        rate: the learning rate of the step after which so much of the epoch is done.
    """
    step.total.zero_()
    batches = list(zip(*(one.split(batch_size) for one in examples), strict=True))
    before = None
    for number, batch in enumerate(batches, 1):
        now = rate(number / len(batches))
        if now != before:
            set_learning_rate(step.optimizer, now)
        step(*batch)
        before = now
    return step.total.item() / len(examples[0])


# --- checkpoints ------------------------------------------------------------------------------------------------


def _save_checkpoint(
    path: Path,
    fingerprint: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: list[float],
    seconds: float,
) -> None:
    """One file, replaced atomically: the tensors, and the scalars in its header."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(tensors, {"losses": json.dumps(losses), "seconds": repr(seconds), "fingerprint": fingerprint})
    write_atomically(path, lambda file: file.write(content))


def _resume(
    path: Path, fingerprint: str, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule
) -> tuple[list[float], float]:
    """Losses and seconds so far, with model and optimizer as they were; nothing if there is no checkpoint."""
    if not path.exists():
        return [], 0.0
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata()
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        losses, seconds = json.loads(metadata["losses"]), float(metadata["seconds"])
        same = metadata["fingerprint"] == fingerprint
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path}: not a checkpoint ({error}); delete it to start the run over") from None
    if not same:
        print(f"{path}: of other data, settings or versions; the training starts over", file=sys.stderr)
        return [], 0.0
    if len(losses) > schedule.epochs:
        return [], 0.0
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return losses, seconds


class _Progress:
    """A bar in a terminal, about ten lines elsewhere."""

    def __init__(self, label: str, epochs: int, done: int, shown: bool) -> None:
        from tqdm import tqdm

        self.epochs, self.label = epochs, label
        self.every = max(1, epochs // 10) if shown and not sys.stderr.isatty() else 0
        self.bar = tqdm(
            total=epochs, initial=done, desc=label, unit="epoch", disable=not shown or not sys.stderr.isatty()
        )

    def update(self, epoch: int, loss: float) -> None:
        self.bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self.bar.update()
        if self.every and (epoch % self.every == 0 or epoch == self.epochs):
            print(f"{self.label}: epoch {epoch}/{self.epochs}, loss {loss:.4f}", file=sys.stderr, flush=True)

    def close(self) -> None:
        self.bar.close()
