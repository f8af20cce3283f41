"""LAMM: a locally adaptive morphable model (Tarasiou et al., "Locally Adaptive Neural 3D Morphable Models", CVPR 2024).

An autoencoder on the regions of a mesh (`bench3dmm.mesh.partition`) whose decoder also takes displacements of sparse
control vertices, which overwrite the geometry of their region in one forward pass.

**Of the paper and its authors' code** (github.com/michaeltrs/LAMM):

- a region of N_i vertices becomes a token by one linear map 3 N_i -> D of its own, plus a learned embedding; an
  identity token goes in front. One linear map D -> 3 N_i a region takes tokens back to coordinates, the same one after
  every layer of encoder and decoder;
- encoder of 5 and decoder of 3 layers, each a pre-norm Transformer layer (8 heads, MLP × 4, GELU) or an MLP-Mixer layer
  (tokens × 4, channels × 0.5); the last layer's output is normalised;
- the code z is a linear map of the encoded identity token. The decoder reads a linear map of z and K learned tokens. No
  part of z belongs to a region;
- control: the displacements of a region's n_i control vertices go through 3 n_i -> 64 -> 256 -> D with GELU and without
  biases, so that no displacement adds exactly nothing, and are added to that region's learned token;
- learned tokens and embeddings begin normally distributed, all else as PyTorch has it.

**Stage 1, the autoencoder**: L1 after every layer and before the first. Through the encoder the target goes evenly from
the input to the mean mesh, through the decoder from the mean to the input (eqs. 1 and 2). The released code overwrites
this in its first stage with the input itself after every layer: the presets with ``full-targets``.

**Stage 2, manipulation**, from the weights of stage 1: each mesh is encoded once and decoded twice, without
displacement to itself, and with α (V_t - V_s) at all control vertices to α V_t + (1 - α) V_s, see `manipulation_loss`.

**By regions**, the task ``manipulation-by-regions``, is not published: stage 2 with half of its targets taken for some
regions only, with a border that gives way (`bench3dmm.tasks.parts.composite`). Stage 2 as published shows the network
only faces on which all regions move.

Both stages with AdamW without weight decay and a cosine schedule, 1,500 epochs each, of which 1 and 10 are warm-up. The
``small`` presets have D = 128, 3 + 2 layers and 4 heads, and are this project's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from bench3dmm.data.faces import partition_of
from bench3dmm.mesh.partition import Partition
from bench3dmm.models.interface import Loss, mean_absolute
from bench3dmm.models.registry import register

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy

TRANSFORMER, MIXER = "transformer", "mixer"
CONTROL_WIDTHS = (64, 256)


@dataclass(frozen=True)
class _Preset:
    """Size and kind.

    Attributes:
        width: D, channels of a token.
        encoder, decoder: layers.
        heads: of the attention.
        backbone: of both.
        full_targets: in stage 1, the input is the target after every layer.
    """

    width: int
    encoder: int
    decoder: int
    heads: int
    backbone: str = TRANSFORMER
    full_targets: bool = False


PRESETS = {
    "paper": _Preset(512, 5, 3, 8),
    "paper-mixer": _Preset(512, 5, 3, 8, MIXER),
    "paper-full-targets": _Preset(512, 5, 3, 8, full_targets=True),
    "small": _Preset(128, 3, 2, 4),
    "small-mixer": _Preset(128, 3, 2, 4, MIXER),
    "small-full-targets": _Preset(128, 3, 2, 4, full_targets=True),
}


class Lamm(nn.Module):
    """The autoencoder on one template.

    Args:
        partition: the template's regions and their control vertices.
        latent: size d of the code.
        preset: size and kind.

    Displacements are those of all control vertices, (B, C, 3) in the order of ``partition.control_ids``, normalised as
    meshes are: divided by the vertices' deviations.
    """

    order: torch.Tensor
    place: torch.Tensor
    control_ids: torch.Tensor
    labels: torch.Tensor

    few_rows = True  # tokens, see `bench3dmm.models.interface.ready_to_infer`

    def __init__(self, partition: Partition, latent: int, preset: _Preset) -> None:
        super().__init__()
        self.partition, self.full_targets = partition, preset.full_targets
        regions = partition.vertices
        self.widths = [3 * len(region) for region in regions]
        order = np.concatenate(regions)
        self.register_buffer("order", torch.from_numpy(order), persistent=False)
        self.register_buffer("place", torch.from_numpy(np.argsort(order)), persistent=False)
        self.register_buffer("control_ids", torch.from_numpy(partition.control_ids))
        self.register_buffer("labels", torch.from_numpy(partition.labels.astype(np.uint8)))
        self.register_load_state_dict_pre_hook(_refuse_other_partition)

        self.to_tokens = nn.ModuleList(nn.Linear(width, preset.width) for width in self.widths)
        self.embedding = nn.Parameter(torch.randn(len(regions), preset.width))
        self.identity = nn.Parameter(torch.randn(preset.width))
        self.encoder = _Backbone(preset, preset.encoder, len(regions) + 1)
        self.to_code = nn.Linear(preset.width, latent)
        self.from_code = nn.Linear(latent, preset.width)
        self.tokens = nn.Parameter(torch.randn(len(regions), preset.width))
        self.decoder = _Backbone(preset, preset.decoder, len(regions) + 1)
        self.to_vertices = nn.ModuleList(nn.Linear(preset.width, width) for width in self.widths)
        self.controls = nn.ModuleDict(
            {_key(name): _control(len(ids), preset.width) for name, ids in partition.controls.items()}
        )

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised meshes (B, V, 3) -> codes (B, d)."""
        return self.to_code(self.encoder(self._tokenised(x))[-1][:, 0])

    def decode(self, z: torch.Tensor, displacements: torch.Tensor | None = None) -> torch.Tensor:
        """Codes (B, d) -> normalised meshes (B, V, 3), with control vertices displaced by (B, C, 3)."""
        return self._meshes(self.decoder(self._decoder_input(z, displacements))[-1:])[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))

    def training_loss(self, x: torch.Tensor, loss: Loss) -> torch.Tensor:
        """Stage 1: the mean over layers, and over meshes (B, V, 3), of a loss (LAMM, eqs. 1 and 2)."""
        encoded = self.encoder(self._tokenised(x))
        decoded = self.decoder(self._decoder_input(self.to_code(encoded[-1][:, 0]), None))
        terms = self._layer_losses(encoded, x, loss, falling=True) + self._layer_losses(decoded, x, loss)
        return functools.reduce(torch.add, terms) / len(terms)

    def manipulation_loss(
        self, source: torch.Tensor, target: torch.Tensor, alpha: torch.Tensor, loss: Loss
    ) -> torch.Tensor:
        """Stage 2: the same, half for the source (B, V, 3) itself, half for its way to the target (LAMM, section 3.2).

        The decoder's input of a manipulation is not compared with the mean mesh: it holds displacements.

        Args:
            alpha: (B,) how far the target is approached.
        """
        encoded = self.encoder(self._tokenised(source))
        z = self.to_code(encoded[-1][:, 0])
        step = alpha[:, None, None] * (target - source)
        plain = self.decoder(self._decoder_input(z, None))
        moved = self.decoder(self._decoder_input(z, step.index_select(1, self.control_ids)))
        falling = self._layer_losses(encoded, source, loss, falling=True, always_ramped=True)
        itself = self._layer_losses(plain, source, loss, always_ramped=True)
        changed = self._layer_losses(moved, source + step, loss, always_ramped=True)[1:]
        terms = [*falling, *falling, *itself, *changed]
        return functools.reduce(torch.add, terms) / len(terms)

    def _tokenised(self, x: torch.Tensor) -> torch.Tensor:
        """(B, V, 3) -> (B, 1 + K, D)"""
        regions = x.index_select(1, self.order).flatten(1).split(self.widths, dim=1)
        tokens = torch.stack([to_token(region) for to_token, region in zip(self.to_tokens, regions, strict=True)], 1)
        return torch.cat([self.identity.expand(len(x), 1, -1), tokens + self.embedding], dim=1)

    def _decoder_input(self, z: torch.Tensor, displacements: torch.Tensor | None) -> torch.Tensor:
        """(B, d) and (B, C, 3) -> (B, 1 + K, D)"""
        tokens = self.tokens.expand(len(z), -1, -1)
        if displacements is not None:
            tokens = tokens + self._control_tokens(displacements)
        return torch.cat([self.from_code(z)[:, None], tokens], dim=1)

    def _control_tokens(self, displacements: torch.Tensor) -> torch.Tensor:
        """(B, C, 3) -> (B, K, D), zero for regions without control vertices."""
        added = displacements.new_zeros(len(displacements), *self.tokens.shape)
        for name, span in self.partition.control_spans.items():
            added[:, self.partition.names.index(name)] = self.controls[_key(name)](displacements[:, span].flatten(1))
        return added

    def _layer_losses(
        self, layers: Sequence[torch.Tensor], mesh: torch.Tensor, loss: Loss, *, falling=False, always_ramped=False
    ) -> list[torch.Tensor]:
        """The loss of each layer's meshes against the share of the mesh it is to show."""
        shares = torch.linspace(0, 1, len(layers)).tolist()
        if falling:
            shares.reverse()
        if self.full_targets and not always_ramped:
            shares = [1.0] * len(layers)
        if loss is mean_absolute:  # of vertices in whatever order
            meshes, mesh = self._by_region(layers), mesh.index_select(1, self.order)
        else:
            meshes = self._meshes(layers)
        return [loss(shown, share * mesh) for shown, share in zip(meshes, shares, strict=True)]

    def _meshes(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        """Tokens of L layers, each (B, 1 + K, D) -> (L, B, V, 3)"""
        return _Reordered.apply(self._by_region(layers), self.place, self.order)

    def _by_region(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        """The same with the vertices of the first region first, and so on."""
        _, *tokens = torch.stack(list(layers)).unbind(2)
        parts = [to_part(token) for to_part, token in zip(self.to_vertices, tokens, strict=True)]
        flat = torch.cat(parts, dim=-1)
        return flat.view(*flat.shape[:2], -1, 3)


class _Reordered(torch.autograd.Function):
    """Vertices (L, B, V, 3) in another order; the gradient goes back by the inverse order, a gather like the way."""

    @staticmethod
    def forward(ctx, x, order, inverse):
        ctx.save_for_backward(inverse)
        return x.index_select(2, order)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (inverse,) = ctx.saved_tensors
        return grad.index_select(2, inverse), None, None


class _Backbone(nn.Module):
    """Layers on tokens (B, 1 + K, D); gives the input and what comes out of each, the last one normalised."""

    def __init__(self, preset: _Preset, depth: int, n_tokens: int) -> None:
        super().__init__()
        layers: Iterable[nn.Module]
        if preset.backbone == MIXER:
            layers = (_MixerLayer(preset.width, n_tokens) for _ in range(depth))
        else:
            layers = (_TransformerLayer(preset.width, preset.heads) for _ in range(depth))
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(preset.width)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        outputs[-1] = self.norm(outputs[-1])
        return outputs


class _TransformerLayer(nn.Module):
    """Self-attention and an MLP, each on the normalised tokens and added to them (Vaswani et al., NeurIPS 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = _mlp(width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, n_tokens, width = x.shape
        q, k, v = self.to_qkv(x).view(batch, n_tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.to_out(mixed.transpose(1, 2).reshape(batch, n_tokens, width))


class _MixerLayer(nn.Module):
    """An MLP over the tokens and one over the channels (Tolstikhin et al., NeurIPS 2021)."""

    def __init__(self, width: int, n_tokens: int) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(width)
        self.over_tokens = _mlp(n_tokens, 4 * n_tokens)
        self.channel_norm = nn.LayerNorm(width)
        self.over_channels = _mlp(width, width // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.over_tokens(self.token_norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.over_channels(self.channel_norm(x))


def _refuse_other_partition(model: Lamm, state: dict[str, torch.Tensor], prefix: str, *_: object) -> None:
    for name in ("labels", "control_ids"):
        stored, own = state.get(prefix + name), getattr(model, name)
        if stored is None or not torch.equal(stored.to(own.device), own):
            raise RuntimeError("they were trained on another partition of the template into regions")


def _mlp(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


def _control(n_vertices: int, width: int) -> nn.Sequential:
    """Without biases: GELU(0) = 0, so zero displacement adds exactly zero."""
    first, second = CONTROL_WIDTHS
    return nn.Sequential(
        nn.Linear(3 * n_vertices, first, bias=False),
        nn.GELU(),
        nn.Linear(first, second, bias=False),
        nn.GELU(),
        nn.Linear(second, width, bias=False),
    )


def _key(name: str) -> str:
    """A region's name as that of a module."""
    return name.replace(" ", "_").replace(".", "_")


_ADAMW = {"optimizer": "adamw", "schedule": "cosine", "weight_decay": 0.0}
STAGE_1 = {**_ADAMW, "learning_rate": 1e-3, "final_learning_rate": 1e-6, "warm_up": 1 / 1500, "batch_size": 32}
STAGE_2 = {**_ADAMW, "learning_rate": 1e-4, "final_learning_rate": 1e-8, "warm_up": 10 / 1500, "batch_size": 16}


@register(
    "lamm",
    presets=tuple(PRESETS),
    training=STAGE_1,
    needs_hierarchy=False,
    tasks=dict.fromkeys(("manipulation", "manipulation-from-scratch", "manipulation-by-regions"), STAGE_2),
)
def build(hierarchy: Hierarchy, latent: int, *, preset: str = "paper") -> Lamm:
    """Tokens of regions through a Transformer or Mixer, edited by control vertices (Tarasiou et al. 2024)."""
    level = hierarchy.levels[0]
    return Lamm(partition_of(level.vertices, level.faces), latent, PRESETS[preset])
