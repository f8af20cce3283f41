"""What would fit, where a training did not."""

from __future__ import annotations

import torch
from torch import nn

from bench3dmm.system.memory import free_memory, is_out_of_memory
from bench3dmm.training.objective import Objective
from bench3dmm.training.step import gradients_of


def what_fits(model: nn.Module, meshes: torch.Tensor, objective: Objective, batch_size: int) -> str:
    """A sentence on a step that was out of memory: with the largest batch, halved and halved again, that one has
    memory for."""
    for parameter in model.parameters():
        parameter.grad = None
    said = f"out of memory: {free_memory(meshes.device)}, and a step of {batch_size} meshes needs more. "
    batch = batch_size // 2
    while batch:
        _give_back(meshes.device)
        if _fits(model, meshes, objective, batch):
            return said + f"A batch of {batch} fits: --batch-size {batch}, which is another run"
        batch //= 2
    elsewhere = "--device cpu, or a smaller model" if meshes.is_cuda else "a smaller model"
    return said + f"Not even one mesh at a time fits: {elsewhere}, or stop what else is running"


def _fits(model: nn.Module, meshes: torch.Tensor, objective: Objective, batch: int) -> bool:
    """Whether a step of that batch finds memory, with what an optimiser such as Adam keeps of each parameter."""
    try:
        kept = [torch.zeros_like(parameter) for parameter in model.parameters() for _ in range(2)]
        examples = [one[:batch].to(meshes.device) for one in objective.examples(len(meshes), 0, 0)]
        gradients_of(model, objective.value(model, meshes, *examples))
        del kept
    except (RuntimeError, MemoryError, ValueError) as error:
        if is_out_of_memory(error) or isinstance(error, ValueError):  # or a batch that is too small to normalise over
            return False
        raise
    return True


def _give_back(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
