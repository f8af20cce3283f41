"""How long and how fast: the published schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench3dmm.errors import UnknownNameError

if TYPE_CHECKING:
    from bench3dmm.record.run import Run


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
