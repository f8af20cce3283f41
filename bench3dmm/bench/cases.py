"""What is measured: faces of any number of vertices, and one training step or forward pass of either side."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from bench3dmm.bench.published import PublishedNeural3DMM
from bench3dmm.bench.timing import Action
from bench3dmm.data.synthetic.sizes import template_of
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.models import neural3dmm, spiralnet
from bench3dmm.models.interface import arrange, for_one_mesh
from bench3dmm.models.neural3dmm import Neural3DMM
from bench3dmm.models.registry import build_model
from bench3dmm.system.parallel import Workers, keep_freed_memory
from bench3dmm.tasks.published import published_run
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import SHARE, GraphedStep, ThreadedStep, make_optimizer

if TYPE_CHECKING:
    from bench3dmm.mesh.hierarchy import Hierarchy


SIDES = ("engine", "published")

SPIRALNET_WIDTHS = "spiralnet-widths"
"""Preset of Neural3DMM in this bench only: SpiralNet++'s channels, Neural3DMM's own spirals."""

BATCHES = 4  # the synthetic training set, in batches
SMALL_FACE = 4000  # vertices


@dataclass(frozen=True)
class Case:
    """A model on a mesh: ``mh-seq`` (5,023 vertices), ``mh-scan`` (6,704), or ``face-N`` with N vertices."""

    mesh: str
    preset: str = "paper"
    latent: int = 16
    batch: int = 16
    model: str = "neural3dmm"

    def hierarchy(self) -> Hierarchy:
        """The published factors; of small faces, whose open eyes and mouth cannot close, the last is 2."""
        template = template_of(self.mesh)
        return build_hierarchy(template, (4, 4, 4, 4 if template.n_vertices >= SMALL_FACE else 2))


def synthetic_meshes(case: Case, n_vertices: int, device: torch.device) -> torch.Tensor:
    """(N, V, 3) standard normal: speed does not depend on the values."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCHES * case.batch, n_vertices, 3, generator=generator).to(device)


def build_side(side: str, case: Case, hierarchy: Hierarchy, device: torch.device) -> torch.nn.Module:
    """The engine's model or, of Neural3DMM, the published formulation with the same weights."""
    torch.manual_seed(0)
    model: torch.nn.Module
    if case.preset == SPIRALNET_WIDTHS:
        model = Neural3DMM(hierarchy, case.latent, _spiralnet_widths())
    else:
        model = build_model(case.model, hierarchy, case.latent, preset=case.preset)
    if side == "published":
        slow = PublishedNeural3DMM(hierarchy, case.latent, case.preset)
        slow.load_state_dict(model.state_dict())
        model = slow
    return model.to(device)


def _spiralnet_widths() -> neural3dmm._Preset:
    wide, own = spiralnet.PRESETS["paper"], neural3dmm.PRESETS["paper"]
    return replace(own, encoder=wide.encoder, decoder=wide.decoder, final=3)


def schedule_of(case: Case) -> Schedule:
    """One epoch of the model's published training, but for the batch."""
    run = published_run(dataset="mh-seq", model=case.model, batch_size=case.batch)
    return replace(Schedule.of(run), epochs=1)


def training_step(side: str, case: Case, hierarchy: Hierarchy, meshes: torch.Tensor) -> Action:
    """Optimisation steps: batch from the resident set, forward, L1, backward, the model's published optimiser.

    The engine's are the trainer's own; the published side steps the usual way, with the same fused Adam.
    """
    device, loss = meshes.device, mean_absolute
    model = build_side(side, case, hierarchy, device)
    optimizer = make_optimizer(model, schedule_of(case), device)
    order = torch.randperm(len(meshes), generator=torch.Generator().manual_seed(1))
    batches = itertools.cycle(order.to(device).split(case.batch))

    def published(count: int) -> None:
        for rows in itertools.islice(batches, count):
            batch = meshes.index_select(0, rows)
            optimizer.zero_grad()
            loss(model(batch), batch).backward()
            optimizer.step()

    if side == "published":
        return published
    keep_freed_memory()
    workers = Workers(case.batch // SHARE)
    step: GraphedStep | ThreadedStep
    if device.type == "cuda":
        step = GraphedStep(model, meshes, loss, optimizer, case.batch)
    else:
        step = ThreadedStep(model, meshes, loss, optimizer, workers)

    def engine(count: int) -> None:
        with workers:  # and out again, so that the other side gets torch's own threads in its turn
            for rows in itertools.islice(batches, count):
                step(rows)

    return engine


def forward_pass(side: str, case: Case, hierarchy: Hierarchy, meshes: torch.Tensor) -> Action:
    """Reconstructions of one batch without gradients; the engine deals it out to threads as in training, and takes
    one mesh by its recorded operations."""
    model = build_side(side, case, hierarchy, meshes.device).eval()
    batch = meshes[: case.batch]

    def published(count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                model(batch)

    if side == "published":
        return published
    keep_freed_memory()
    workers = Workers(1 if meshes.is_cuda else max(1, case.batch // SHARE))
    shares = [arrange(model, share) for share in batch.chunk(workers.count)]

    def of_share(share: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return model(share)

    reconstruct = for_one_mesh(model, hierarchy.sizes[0]) if case.batch == 1 else of_share

    def engine(count: int) -> None:
        with workers:
            for _ in range(count):
                workers.map(reconstruct, shares)

    return engine
