"""How far each layer is from what the machine could do.

The floor of a layer is the time its arithmetic takes at the measured rate of a large matrix product, or the time its
maps and tables take once through memory at the measured bandwidth of a copy, whichever is longer. Data that stays in
a cache between layers is counted all the same, so a layer may come close to, or under, the memory floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch

from bench3dmm.bench.cases import Case, build_side
from bench3dmm.bench.timing import settled
from bench3dmm.models.layers import NARROW, ConvAutoencoder, SpiralConv
from bench3dmm.system.parallel import keep_freed_memory


@dataclass(frozen=True)
class Work:
    """Floating-point operations and bytes of memory traffic that a computation cannot do without."""

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def floor(self, machine: dict[str, float]) -> float:
        """Seconds."""
        return max(self.flops / machine["gemm_flops"], self.bytes / machine["bandwidth"])


def conv_work(conv: SpiralConv, batch: int, *, training: bool, first: bool = False) -> Work:
    """Of one spiral convolution in the order it takes; ``first``: no gradient for its input is needed."""
    c_out, length = conv.linear.out_features, conv.length
    c_in = conv.linear.in_features // length
    mixed_at = conv.v_in if conv.mix_first else conv.v_out
    product = 2.0 * mixed_at * batch * conv.linear.in_features * c_out
    additions = 2.0 * conv.nonzeros * batch * c_out if conv.mix_first else 0.0
    maps = 4.0 * batch * (conv.v_in * c_in + conv.v_out * c_out)
    table = 8.0 * conv.nonzeros
    work = Work(product + additions, maps + table)
    if training:
        backwards = 1 if first else 2  # gradient of the weights, and of the input
        work += Work(backwards * product + (0 if first and not conv.mix_first else additions), 2 * maps + table)
    return work


def linear_work(linear: torch.nn.Linear, batch: int, *, training: bool) -> Work:
    size = linear.in_features * linear.out_features
    times = 3 if training else 1
    return Work(2.0 * size * batch * times, 4.0 * size * times)


def model_floor(case: Case, machine: dict[str, float], *, training: bool) -> dict[str, float]:
    """Sum of the layers' floors; a training step also passes parameters, gradients and Adam's moments once."""
    model = _built(case, torch.device("cpu"))
    convs = _convolutions(model)
    works = [conv_work(conv, case.batch, training=training, first=i == 0) for i, conv in enumerate(convs.values())]
    works += [linear_work(fc, case.batch, training=training) for fc in (model.encoder_fc, model.decoder_fc)]
    if training:
        works.append(Work(0, 7 * 4.0 * sum(p.numel() for p in model.parameters())))
    return {
        "vertices": convs["encoder 1"].v_in,
        "flops": sum(work.flops for work in works),
        "floor_s": sum(work.floor(machine) for work in works),
    }


def layer_table(case: Case, device: torch.device, machine: dict[str, float]) -> list[dict[str, Any]]:
    """Forward and backward of every spiral convolution by itself, on one thread: floor, achieved, ratio."""
    keep_freed_memory()
    convs = _convolutions(_built(case, device)).items()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_layer(name, conv, case, device, machine, first=i == 0) for i, (name, conv) in enumerate(convs)]
    finally:
        torch.set_num_threads(threads)


def _built(case: Case, device: torch.device) -> ConvAutoencoder:
    model = build_side("engine", case, case.hierarchy(), device)
    assert isinstance(model, ConvAutoencoder), f"{case.model} has no spiral convolutions"
    return model


def _convolutions(model: ConvAutoencoder) -> dict[str, SpiralConv]:
    """By name, in the order of the forward pass."""
    parts = {"encoder": model.encoder_convs, "decoder": model.decoder_convs}
    named = {f"{part} {i + 1}": conv for part, convs in parts.items() for i, conv in enumerate(convs)}
    return cast("dict[str, SpiralConv]", named)  # torch knows them as modules only


def _layer(
    name: str, conv: SpiralConv, case: Case, device: torch.device, machine: dict[str, float], *, first: bool
) -> dict[str, Any]:
    c_in = conv.linear.in_features // conv.length
    c_out = conv.linear.out_features
    x = _map(conv.v_in, case.batch, c_in, device).requires_grad_(not first)
    grad = _map(conv.v_out, case.batch, c_out, device)
    wanted = [conv.linear.weight, conv.linear.bias, *([] if first else [x])]
    achieved = settled(lambda: torch.autograd.grad(conv(x), wanted, grad), device)
    work = conv_work(conv, case.batch, training=True, first=first)
    one = {"gemm_flops": machine["gemm_flops_one_thread"], "bandwidth": machine["bandwidth_one_thread"]}
    return {
        "layer": name,
        "vertices": [conv.v_in, conv.v_out],
        "channels": [c_in, c_out],
        "order": "mix, gather" if conv.mix_first else "gather, mix",
        "mflop": work.flops / 1e6,
        "mbyte": work.bytes / 1e6,
        "floor_s": work.floor(one),
        "achieved_s": achieved,
        "gflops": work.flops / achieved / 1e9,
        "floor_fraction": work.floor(one) / achieved,
    }


def _map(vertices: int, batch: int, channels: int, device: torch.device) -> torch.Tensor:
    """A feature map [V, B, C] in the memory layout its neighbours would give it."""
    if channels < NARROW:
        return torch.randn(vertices, channels, batch, device=device).transpose(1, 2)
    return torch.randn(vertices, batch, channels, device=device)
