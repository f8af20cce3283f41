"""The one trainer: epochs over normalised meshes, which resume bit for bit."""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench3dmm.data.normaliser import CHUNK, Normaliser
from bench3dmm.errors import TrainingError
from bench3dmm.models.interface import has_closed_form
from bench3dmm.system.device import full_precision, seeded
from bench3dmm.system.parallel import Workers, keep_freed_memory
from bench3dmm.training.checkpoint import resume, save_checkpoint
from bench3dmm.training.objective import Loss, Objective, as_objective, seed_of
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import SHARE, GraphedStep, ThreadedStep, make_optimizer, set_learning_rate
from bench3dmm.training.whole import normalises_batches, takes_whole_batches

DRAWN = 99  # what a model draws has a stream of its own, beside those of the objectives


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

    What an epoch sees, and what a model draws in it, depends on seed and epoch alone, so a run that resumes from its
    checkpoint ends with the weights of an uninterrupted one, whatever else the process has done.

    Args:
        model: on the device of ``meshes``; one with ``fit_closed_form`` is fitted by that instead.
        meshes: (N, V, 3) normalised.
        objective: see `bench3dmm.training.objective`; a plain loss is to reconstruct.
        checkpoint: written after each epoch and resumed from; its folder is made.
        fingerprint: what the training depends on; a checkpoint with another one is not resumed from.

    Returns:
        The mean training loss of each epoch, and the seconds spent.

    Raises:
        TrainingError: when the loss is no longer finite, naming epoch and learning rate.
    """
    started = time.perf_counter()
    if has_closed_form(model):
        model.fit_closed_form(meshes)
        return [], time.perf_counter() - started

    keep_freed_memory()
    objective = as_objective(objective)
    optimizer = make_optimizer(model, schedule, meshes.device)
    losses, before = resume(checkpoint, fingerprint, model, optimizer, schedule) if checkpoint else ([], 0.0)
    shown = _Progress(label, schedule.epochs, len(losses), progress)
    model.train()
    threads = Workers(schedule.batch_size // SHARE)
    if threads.count > 1 and not meshes.is_cuda and takes_whole_batches(model, meshes, objective):
        threads = Workers(1)
    with full_precision(), threads as workers:
        step: ThreadedStep | GraphedStep
        if meshes.is_cuda:
            step = GraphedStep(model, meshes, objective, optimizer, schedule.batch_size)
        else:
            step = ThreadedStep(model, meshes, objective, optimizer, workers)
        for epoch in range(len(losses), schedule.epochs):
            examples = [one.to(meshes.device) for one in objective.examples(len(meshes), seed, epoch)]
            with seeded(seed_of(seed, epoch, DRAWN), meshes.device):
                mean = _epoch(step, examples, schedule.batch_size, functools.partial(schedule.rate, epoch))
            if not math.isfinite(mean):
                raise TrainingError(
                    f"the loss is {mean} after epoch {epoch + 1} of {schedule.epochs} at learning rate "
                    f"{schedule.rate(epoch, 1.0):.2e}; try a smaller --learning-rate"
                )
            losses.append(mean)
            if checkpoint:
                seconds = before + time.perf_counter() - started
                save_checkpoint(checkpoint, fingerprint, model, optimizer, losses, seconds)
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
    sizes = _batch_sizes(len(examples[0]), batch_size, normalises_batches(step.model))
    batches = list(zip(*(one.split(sizes) for one in examples), strict=True))
    before = None
    for number, batch in enumerate(batches, 1):
        now = rate(number / len(batches))
        if now != before:
            set_learning_rate(step.optimizer, now)
        step(*batch)
        before = now
    return step.total.item() / len(examples[0])


def _batch_sizes(count: int, batch_size: int, pairs: bool) -> list[int]:
    """Of the batches of an epoch, the last one with what is left over.

    Args:
        pairs: whether a batch needs two meshes: a single one that is left over joins the batch before it.
    """
    whole, rest = divmod(count, batch_size)
    sizes = [batch_size] * whole + [rest] * (rest > 0)
    if pairs and rest == 1 and whole:
        sizes[-2:] = [batch_size + 1]
    return sizes


class _Progress:
    """A bar in a terminal, about ten lines elsewhere."""

    def __init__(self, label: str, epochs: int, done: int, shown: bool) -> None:
        from tqdm import tqdm

        self.epochs, self.label = epochs, label
        if shown and 0 < done < epochs:
            print(f"{label}: goes on after epoch {done} of {epochs}", file=sys.stderr, flush=True)
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
