"""Where an interrupted training goes on: weights and the optimiser's state after an epoch."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from bench3dmm.errors import TrainingError
from bench3dmm.models.interface import dense_state
from bench3dmm.system.storage import canonical_json, hash_named, sorted_header, write_bytes
from bench3dmm.training.schedule import Schedule


@dataclass(frozen=True)
class Checkpoint:
    """A training's file, and what it says beside the tensors.

    Attributes:
        path: its folder is made.
        fingerprint: what the training depends on; a checkpoint with another one is not resumed from.
        sitting: who trains now, for the record; flat JSON.
        writing: a context that the file is written in; it raises where it must not be.
    """

    path: Path
    fingerprint: str = ""
    sitting: Mapping[str, Any] = field(default_factory=dict)
    writing: Callable[[], AbstractContextManager[object]] = nullcontext

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        losses: list[float],
        sittings: list[dict[str, Any]],
    ) -> None:
        """One file, replaced atomically: the tensors, and in its header the scalars and a hash of all of it."""
        tensors = {f"model.{name}": tensor for name, tensor in dense_state(model).items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        header = {
            "losses": json.dumps(losses),
            "sittings": canonical_json(sittings),
            "fingerprint": self.fingerprint,
        }
        content = sorted_header(save(tensors, {**header, "sha256": _hash(tensors, header)}))
        with self.writing():
            write_bytes(self.path, content)

    def resume(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule
    ) -> tuple[list[float], list[dict[str, Any]]]:
        """Losses and sittings so far, with model and optimizer as they were; nothing if there is no checkpoint."""
        path = self.path
        if not path.exists():
            return [], []
        try:
            with safe_open(path, framework="pt") as stored:
                metadata = stored.metadata()
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            losses, sittings = json.loads(metadata["losses"]), json.loads(metadata.get("sittings", "[]"))
            written = metadata.pop("sha256", None)  # none in one of an earlier version
            if written and written != _hash(tensors, metadata):
                raise ValueError("it is damaged: it holds other numbers than were written")
            same = bool(written and sittings) and metadata["fingerprint"] == self.fingerprint
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"{path}: not a checkpoint ({error}); delete it to start the run over") from None
        if not same:
            print(f"{path}: of other data, settings or versions; the training starts over", file=sys.stderr)
            return [], []
        if len(losses) > schedule.epochs:
            return [], []
        model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return losses, sittings


def _hash(tensors: Mapping[str, torch.Tensor], header: Mapping[str, str]) -> str:
    plain = {
        f"{name} {tensor.dtype} {tuple(tensor.shape)}": tensor.reshape(-1).view(torch.uint8).numpy()
        for name, tensor in tensors.items()
    }
    return hash_named(plain, canonical_json(header))
