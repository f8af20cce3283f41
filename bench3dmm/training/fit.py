"""The one trainer: epochs over normalised meshes, which resume bit for bit."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench3dmm.data.normaliser import CHUNK, Normaliser
from bench3dmm.errors import ShortOfMemoryError, TrainingError
from bench3dmm.models.interface import has_closed_form
from bench3dmm.system.card import Capture, capture_graph
from bench3dmm.system.device import Draws, full_precision
from bench3dmm.system.memory import is_out_of_memory
from bench3dmm.system.parallel import Workers, keep_freed_memory
from bench3dmm.training.checkpoint import Checkpoint
from bench3dmm.training.memory import what_fits
from bench3dmm.training.objective import Loss, Objective, as_objective, seed_of
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import (
    SHARE,
    GraphedStep,
    ThreadedStep,
    make_optimizer,
    set_learning_rate,
)
from bench3dmm.training.whole import normalises_batches, takes_whole_batches

EVERY = 5.0  # seconds from checkpoint to checkpoint on a card
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


class Training:
    """One training, which `steps` goes through; the weights of the last epoch stay in the model.

    What an epoch sees, and what a model draws in it, depends on seed and epoch alone, so a run that resumes from its
    checkpoint ends with the weights of an uninterrupted one, whatever else the process has done, and whatever it does
    between two steps. There is no early stopping.

    Args:
        model: on the device of ``meshes``; one with ``fit_closed_form`` is fitted by that instead.
        meshes: (N, V, 3) normalised.
        objective: see `bench3dmm.training.objective`; a plain loss is to reconstruct.
        checkpoint: written after an epoch and resumed from.
        capture: have a step captured by this and replayed, see `bench3dmm.training.step.GraphedStep`, with other
            trainings beside it; of itself on a GPU, without.
        at_once: how many trainings share the machine now, for the record.
        told: hears how many epochs are done.

    Attributes:
        losses: the mean training loss of each epoch so far.
        sittings: who trained, when the run was begun and each time that it was resumed: what the checkpoint's sitting
            says, with ``first_epoch``, ``last_epoch``, ``seconds`` and ``trained_at_once``.
    """

    def __init__(
        self,
        model: nn.Module,
        meshes: torch.Tensor,
        objective: Objective | Loss,
        schedule: Schedule,
        seed: int,
        *,
        checkpoint: Checkpoint | None = None,
        label: str = "training",
        progress: bool = True,
        capture: Capture | None = None,
        at_once: Callable[[], int] = lambda: 1,
        told: Callable[[int], object] = lambda epoch: None,
    ) -> None:
        self.model, self.meshes, self.objective = model, meshes, as_objective(objective)
        self.schedule, self.seed, self.checkpoint = schedule, seed, checkpoint
        self.label, self.progress, self.at_once, self.told = label, progress, at_once, told
        self.beside = capture is not None
        self.capture = capture or (capture_graph if meshes.is_cuda else None)
        self.losses: list[float] = []
        self.sittings: list[dict[str, Any]] = []

    @property
    def seconds(self) -> float:
        """Spent in all sittings."""
        return sum(sitting["seconds"] for sitting in self.sittings)

    def steps(self) -> Iterator[None]:
        """Train; stops after each step, for whoever has something else to do meanwhile.

        Raises:
            TrainingError: when the loss is no longer finite, naming epoch and learning rate.
            ShortOfMemoryError: with the batch that would fit.
        """
        started = time.perf_counter()
        sitting = dict(self.checkpoint.sitting) if self.checkpoint else {}
        if has_closed_form(self.model):
            self.model.fit_closed_form(self.meshes)
            seconds = time.perf_counter() - started
            self.sittings = [{**sitting, "seconds": round(seconds, 3), "trained_at_once": self.at_once()}]
            return
        keep_freed_memory()
        optimizer = make_optimizer(self.model, self.schedule, self.meshes.device)
        before: list[dict[str, Any]] = []
        if self.checkpoint:
            self.losses, before = self.checkpoint.resume(self.model, optimizer, self.schedule)
        self.sittings = before
        self.model.train()
        sitting["first_epoch"] = len(self.losses) + 1
        try:
            with self._threads() as workers:
                yield from self._epochs(self._step(optimizer, workers), before, sitting, started)
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        del optimizer  # the error, which held the step's memory, is gone too
        raise ShortOfMemoryError(what_fits(self.model, self.meshes, self.objective, self.schedule.batch_size))

    def _threads(self) -> Workers:
        if self.capture:
            return Workers(None)
        shares = self.schedule.batch_size // SHARE
        if shares > 1 and takes_whole_batches(self.model, self.meshes, self.objective):
            shares = 1
        return Workers(shares)

    def _step(self, optimizer: torch.optim.Optimizer, workers: Workers) -> ThreadedStep | GraphedStep:
        if not self.capture:
            return ThreadedStep(self.model, self.meshes, self.objective, optimizer, workers)
        return GraphedStep(
            self.model, self.meshes, self.objective, optimizer, self.schedule.batch_size, self.capture, self.label
        )

    def _epochs(
        self,
        step: ThreadedStep | GraphedStep,
        before: list[dict[str, Any]],
        sitting: dict[str, Any],
        started: float,
    ) -> Iterator[None]:
        epochs, device = self.schedule.epochs, self.meshes.device
        drawn = Draws(device)
        shown = _Progress(self.label, epochs, len(self.losses), self.progress)
        at_once, saved, first = 1, started, True
        self.told(len(self.losses))
        for epoch in range(len(self.losses), epochs):
            examples = [one.to(device) for one in self.objective.examples(len(self.meshes), self.seed, epoch)]
            drawn.seed(seed_of(self.seed, epoch, DRAWN))
            for launch in epoch_steps(step, examples, self.schedule.batch_size, partial(self.schedule.rate, epoch)):
                with full_precision(), drawn:
                    launch()
                if first and self.beside and drawn.drew and isinstance(step, GraphedStep):
                    step.never_capture()  # graphs read their seed from one place, which other lanes write to
                first = False
                yield
            mean = step.total.item() / len(examples[0])
            if not math.isfinite(mean):
                raise TrainingError(
                    f"the loss is {mean} after epoch {epoch + 1} of {epochs} at learning rate "
                    f"{self.schedule.rate(epoch, 1.0):.2e}; try a smaller --learning-rate"
                )
            self.losses.append(mean)
            now, at_once = time.perf_counter(), max(at_once, self.at_once())
            said = {"last_epoch": epoch + 1, "seconds": round(now - started, 3), "trained_at_once": at_once}
            self.sittings = [*before, {**sitting, **said}]
            # On a card an epoch may take less time than its checkpoint.
            if self.checkpoint and (not self.capture or now - saved > EVERY or epoch + 1 == epochs):
                self.checkpoint.save(self.model, step.optimizer, self.losses, self.sittings)
                saved = now
            shown.update(epoch + 1, mean)
            self.told(epoch + 1)
        shown.close()


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
    """Train a model from one end to the other; see `Training`.

    Args:
        fingerprint: what the training depends on; a checkpoint with another one is not resumed from.

    Returns:
        The mean training loss of each epoch, and the seconds spent.

    Raises:
        TrainingError: when the loss is no longer finite, naming epoch and learning rate.
    """
    kept = Checkpoint(checkpoint, fingerprint) if checkpoint else None
    training = Training(model, meshes, objective, schedule, seed, checkpoint=kept, label=label, progress=progress)
    for _ in training.steps():
        pass
    return training.losses, training.seconds


def epoch_steps(
    step: ThreadedStep | GraphedStep,
    examples: Sequence[torch.Tensor],
    batch_size: int,
    rate: Callable[[float], float],
) -> Iterator[Callable[[], None]]:
    """What an epoch launches, one step after another; ``step.total`` is then the sum of its examples' losses.

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
        yield partial(step, *batch)
        before = now


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
        self.epochs, self.label = epochs, label
        if shown and 0 < done < epochs:
            print(f"{label}: goes on after epoch {done} of {epochs}", file=sys.stderr, flush=True)
        self.every, self.bar = 0, None
        if shown and sys.stderr.isatty():
            from tqdm import tqdm  # which takes a semaphore that a process that is stopped would leave behind

            self.bar = tqdm(total=epochs, initial=done, desc=label, unit="epoch")
        elif shown:
            self.every = max(1, epochs // 10)

    def update(self, epoch: int, loss: float) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            self.bar.update()
        if self.every and (epoch % self.every == 0 or epoch == self.epochs):
            print(f"{self.label}: epoch {epoch}/{self.epochs}, loss {loss:.4f}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
