"""What training and measuring ask of any model beyond ``encode`` and ``decode``, and the loss that it may be given."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import nn

from bench3dmm.errors import PluginError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from bench3dmm.mesh.partition import Partition

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(prediction, target) → scalar, of meshes (B, V, 3)."""


def dense_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict, on the CPU, as files hold it.

    Raises:
        PluginError: for a sparse buffer that is to be kept, which no file can hold.
    """
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    if sparse := [name for name, tensor in state.items() if tensor.layout != torch.strided]:
        raise PluginError(
            f"the buffer {sparse[0]!r} is sparse, which files of weights do not hold: it comes from the template, so "
            f"register_buffer({sparse[0].rpartition('.')[2]!r}, ..., persistent=False) leaves it out"
        )
    return state


# --- what a model is besides a module, which torch's types cannot say: to them any attribute may be a tensor --------


class Coder(Protocol):
    """Every model: normalised meshes (B, V, 3) to codes (B, d), and back."""

    def encode(self, x: torch.Tensor) -> torch.Tensor: ...

    def decode(self, z: torch.Tensor) -> torch.Tensor: ...


class RegionEditor(Protocol):
    """A model whose decoder also takes displacements (B, C, 3) of control vertices, as `bench3dmm.models.lamm`."""

    partition: Partition

    def encode(self, x: torch.Tensor) -> torch.Tensor: ...

    def decode(self, z: torch.Tensor, displacements: torch.Tensor | None = None) -> torch.Tensor: ...

    def manipulation_loss(
        self, source: torch.Tensor, target: torch.Tensor, alpha: torch.Tensor, loss: Loss
    ) -> torch.Tensor: ...


class ClosedForm(Protocol):
    def fit_closed_form(self, x: torch.Tensor) -> None: ...


class OwnLoss(Protocol):
    def training_loss(self, x: torch.Tensor, loss: Loss) -> torch.Tensor: ...


def as_coder(model: nn.Module) -> Coder:
    return cast(Coder, model)


def as_region_editor(model: nn.Module) -> RegionEditor:
    return cast(RegionEditor, model)


def has_closed_form(model: object) -> TypeIs[ClosedForm]:
    """Whether it is fitted by ``fit_closed_form`` instead of by gradient descent."""
    return hasattr(model, "fit_closed_form")


def has_own_loss(model: object) -> TypeIs[OwnLoss]:
    """Whether it says itself, by ``training_loss``, what its training compares."""
    return hasattr(model, "training_loss")


# --- how it computes best -----------------------------------------------------------------------------------------


def ready_to_infer(model: nn.Module) -> nn.Module:
    """The model as it computes best once it is trained; in place.

    Of one with ``few_rows = True``, whose linear layers see a dozen rows a mesh, weights on the CPU are laid out in
    memory by input instead of by output: the matrix product of a few rows reads them faster (``bench3dmm bench lamm``),
    that of many as before. Values stay the same, products equal to rounding. Not for training: the fused optimisers
    read memory in order, whatever the strides.
    """
    if getattr(model, "few_rows", False):
        for layer in model.modules():
            if isinstance(layer, nn.Linear) and layer.weight.device.type == "cpu":
                layer.weight.data = layer.weight.data.t().contiguous().t()
    return model


def for_one_mesh(model: nn.Module, n_vertices: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The model's forward pass on one mesh as a recorded list of operations, without Python between them.

    On meshes of a few thousand vertices that saves a third of the time. The recording reads the model's own weights,
    so it follows later changes of them in place.

    Args:
        model: in evaluation mode; its operations must not depend on the mesh's values.
        n_vertices: of its meshes.

    Returns:
        (1, V, 3) normalised → its reconstruction, without gradients. Another shape goes through the model itself.
    """
    parameter = next(itertools.chain(model.parameters(), model.buffers()))
    example = torch.zeros(1, n_vertices, 3, dtype=parameter.dtype, device=parameter.device)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch prefers its compiler, which needs a C++ compiler on this machine
        recorded = torch.jit.trace(model, arrange(model, example), check_trace=False)

    def reconstruct(mesh: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return (recorded if mesh.shape == example.shape else model)(mesh)

    return reconstruct


def fitted_numbers(model: nn.Module) -> int:
    """How many numbers of a model are fitted to meshes: its parameters, or what its closed form computes."""
    fitted = model.buffers() if has_closed_form(model) else model.parameters()
    return sum(tensor.numel() for tensor in fitted)


def arrange(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """The same (B, V, 3), with the mesh innermost in memory for a model with ``batch_innermost = True``."""
    if not getattr(model, "batch_innermost", False):
        return batch
    return batch.flatten(1).t().contiguous().t().view(batch.shape)


def mean_absolute(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean of |prediction - target|: the loss that a model may compute on vertices in another order."""
    # As a norm: one pass fewer, and a gradient that keeps the layout of the prediction.
    return torch.linalg.vector_norm(prediction - target, ord=1) / target.numel()
