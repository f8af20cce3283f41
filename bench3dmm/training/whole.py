"""Models whose step is of a whole batch: they cannot be dealt out to threads mesh by mesh."""

from __future__ import annotations

import torch
from torch import nn

from bench3dmm.training.objective import Objective

TRIED = 2  # meshes: what normalises over a batch needs two


def takes_whole_batches(model: nn.Module, meshes: torch.Tensor, objective: Objective) -> bool:
    """Whether a model on the CPU draws random numbers while it trains, or changes buffers as batch normalisation does.

    Threads would draw in an order that chance gives, and each normalise by its own share, so that a result depended on
    how many there are. Seen by trying: the model and torch's generator are left as they were.
    """
    examples = [one[:TRIED] for one in objective.examples(len(meshes), 0, 0)]
    before = [buffer.clone() for buffer in model.buffers()]
    generator = torch.default_generator.get_state()
    try:
        with torch.no_grad():
            objective.value(model, meshes, *examples)
    except ValueError:
        return True  # of a batch this small nothing can be said; whoever trains on will hear why
    finally:
        drew = not torch.equal(generator, torch.default_generator.get_state())
        torch.default_generator.set_state(generator)
        changed = False
        with torch.no_grad():
            for buffer, old in zip(model.buffers(), before, strict=True):
                if not _equal(buffer, old):
                    changed = True
                    buffer.copy_(old)
    return drew or changed


def normalises_batches(model: nn.Module) -> bool:
    """Whether one mesh alone is no batch to it."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.layout != torch.strided:
        return True  # a sparse map, which nobody trains
    return torch.equal(one, other)
