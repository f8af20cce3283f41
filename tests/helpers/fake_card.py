"""A card of no memory but what is told, which runs on the CPU: for trainings side by side where there is no GPU."""

from __future__ import annotations

import contextlib

import torch


class FakeCard:
    """Takes notes. ``memory`` says how many bytes are free when so many lanes are on it."""

    device = torch.device("cpu")

    def __init__(self, memory=lambda lanes: 10**9):
        self.memory = memory
        self.lanes = self.captures = self.waits = 0
        self.entered = []

    @contextlib.contextmanager
    def _in(self, number):
        self.entered.append(number)
        yield

    def lane(self):
        self.lanes += 1
        return _Again(lambda number=self.lanes: self._in(number))

    def capture(self, launch):
        self.captures += 1
        return launch

    def free_memory(self):
        return self.memory(self.lanes)

    def all_memory(self):
        return 10**9

    def wait(self):
        self.waits += 1


class _Again:
    """A context that can be entered again and again."""

    def __init__(self, make):
        self.make = make

    def __enter__(self):
        self.context = self.make()
        return self.context.__enter__()

    def __exit__(self, *error):
        return self.context.__exit__(*error)
