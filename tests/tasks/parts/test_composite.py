"""Meshes put together from regions of two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mesh_shapes import icosphere
from scipy.sparse import csgraph

from bench3dmm.data.faces import partition_of
from bench3dmm.data.synthetic.sizes import template_of
from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.mesh.template import Template
from bench3dmm.tasks.parts.composite import BORDER, Composite, draw_regions
from bench3dmm.tasks.parts.targets import Targets
from bench3dmm.training.losses import mean_absolute


@pytest.fixture(scope="module", params=["sphere", "mh-seq"])
def template(request):
    return Template(*icosphere(3, radius=50.0)) if request.param == "sphere" else template_of(request.param)


@pytest.fixture(scope="module")
def partition(template):
    return partition_of(template.vertices, template.faces)


@pytest.fixture(scope="module")
def composite(partition, template):
    return Composite(partition, template)


def share_of(vertex, distances, partition, chosen, width):
    """The definition, for one vertex: distances of all vertices from it."""
    names = list(partition.controls)
    moving = [names[k] for k in range(len(names)) if chosen[k]]
    held = [names[k] for k in range(len(names)) if not chosen[k]]
    if not held:
        return 1.0
    if partition.names[partition.labels[vertex]] in moving:
        return 1.0
    near = [
        distances[v]
        for v in range(len(distances))
        if np.isfinite(distances[v]) and partition.names[partition.labels[v]] in moving
    ]
    if not near:
        return 0.0
    to_held = min(distances[v] for name in held for v in partition.controls[name])
    reach = min(width, min(near) + to_held)
    t = max(0.0, 1 - min(near) / reach)
    return 3 * t**2 - 2 * t**3


def test_shares_are_their_definition(template, partition, composite):
    rng = np.random.default_rng(0)
    graph = edge_graph(template.vertices, template.faces)
    chosen = rng.random((4, len(partition.controls))) < 0.4
    chosen[3] = True
    shares = composite.shares(torch.from_numpy(chosen)).numpy()
    near_border = np.flatnonzero((shares[:3] > 0).any(axis=0) & (shares[:3] < 1).any(axis=0))
    for vertex in rng.choice(near_border, 25, replace=False):
        distances = csgraph.dijkstra(graph, directed=False, indices=vertex)
        for row in range(4):
            expected = share_of(vertex, distances, partition, chosen[row], composite.width)
            assert shares[row, vertex] == pytest.approx(expected, abs=2e-5)


def test_a_region_alone_comes_whole_and_other_control_vertices_stay(template, partition, composite):
    names = list(partition.controls)
    first, second = torch.zeros(len(names), template.n_vertices, 3), torch.ones(len(names), template.n_vertices, 3)
    mixed = composite.mix(first, second, torch.eye(len(names), dtype=torch.bool)).numpy()
    for number, name in enumerate(names):
        inside = partition.labels == partition.names.index(name)
        others = np.concatenate([ids for other, ids in partition.controls.items() if other != name])
        assert (mixed[number, inside] == 1).all() and (mixed[number, others] == 0).all()
        around = (mixed[number, ~inside, 0] > 0).mean()
        assert 0 < around < 0.5, "a border gives way, the rest stays"


def test_all_regions_are_the_whole_mesh_and_none_is_nothing(template, partition, composite):
    everything, nothing = torch.ones(1, len(partition.controls), dtype=torch.bool), torch.zeros(1, 8, dtype=torch.bool)
    assert (composite.shares(everything) == 1).all() and (composite.shares(nothing) == 0).all()


def test_the_border_is_smooth_and_half_a_regions_radius_wide():
    """Regions of a sphere: a radius is that of a disc of the same area."""
    template = Template(*icosphere(4, radius=50.0))
    partition = partition_of(template.vertices, template.faces)
    composite = Composite(partition, template)
    area = 4 * np.pi * 50.0**2 * np.mean(partition.controlled) / len(partition.controls)
    assert composite.width == pytest.approx(BORDER * np.sqrt(area / np.pi), rel=0.05)
    shares = composite.shares(torch.eye(len(partition.controls), dtype=torch.bool)).numpy()
    free = (composite.to_controls > composite.width).all(dim=0).numpy()  # where no control vertex makes it steeper
    tail, head = template.faces[:, 0], template.faces[:, 1]
    length = np.linalg.norm(template.vertices[tail] - template.vertices[head], axis=1)
    steps = np.abs(shares[:, tail] - shares[:, head])[:, free[tail] & free[head]]
    assert steps.size and (steps <= 1.5 * length[free[tail] & free[head]] / composite.width + 1e-5).all()


def test_half_of_the_draws_are_all_regions_and_the_others_one_to_all_but_one():
    drawn = draw_regions(20_000, 8, torch.Generator().manual_seed(0))
    counts = drawn.sum(dim=1).bincount(minlength=9) / len(drawn)
    assert counts[0] == 0 and counts[8] == pytest.approx(0.5, abs=0.015)
    assert counts[1:8].numpy() == pytest.approx(np.full(7, 1 / 14), abs=0.01)
    alone = drawn[drawn.sum(dim=1) == 1].float().mean(dim=0)
    assert alone.numpy() == pytest.approx(np.full(8, 1 / 8), abs=0.035)
    assert draw_regions(10, 1, torch.Generator().manual_seed(0)).all(), "one region is all there is"


def test_the_objective_hands_the_model_a_composite_of_two_meshes(template, partition, composite):
    seen = []

    class Model(torch.nn.Module):
        def manipulation_loss(self, source, target, alpha, loss):
            seen.append((source, target, alpha, loss))
            return target.sum()

    objective = Targets(mean_absolute, epochs=30, composite=composite)
    meshes = torch.randn(6, template.n_vertices, 3, generator=torch.Generator().manual_seed(0))
    examples = objective.examples(6, 0, 3)
    plain = Targets(mean_absolute, epochs=30).examples(6, 0, 3)
    assert all(torch.equal(one, other) for one, other in zip(plain, examples, strict=False))
    rows, targets, alpha, chosen = examples
    assert chosen.shape == (6, len(partition.controls)) and not chosen.all()
    objective.value(Model(), meshes, *examples)
    ((source, target, passed, loss),) = seen
    assert torch.equal(source, meshes[rows]) and torch.equal(passed, alpha) and loss is mean_absolute
    assert torch.equal(target, composite.mix(meshes[rows], meshes[targets], chosen))
    held = ~chosen.repeat_interleave(torch.tensor([len(ids) for ids in partition.controls.values()]), dim=1)
    stays = (target - source)[:, partition.control_ids][held]
    goes = (target - meshes[targets])[:, partition.control_ids][~held]
    assert (stays == 0).all() and goes.abs().max() < 1e-5
