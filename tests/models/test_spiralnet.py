"""SpiralNet++ against its published parameter count, spirals by hand, and a slow, literal oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mesh_shapes import grid, icosphere, wavy_with_hole
from peers import check_same_as, embedded, in_float64, small_hierarchy
from scipy.sparse import csgraph

from bench3dmm.errors import MeshError
from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.models import build_model
from bench3dmm.models.spiralnet import PRESETS, ring_spirals


def oracle(weights, hierarchy, x):
    """Batch-major gather of whole spirals, concatenate, one Linear, dense D and U: as published. Returns z and y."""
    sizes = hierarchy.sizes

    def conv(h, level, name):
        at = hierarchy.levels[level]
        table = torch.from_numpy(ring_spirals(at.vertices, at.faces, 9)).long()
        gathered = h[:, table.flatten()].reshape(len(h), len(table), -1)
        return F.linear(gathered, weights[f"{name}.linear.weight"], weights[f"{name}.linear.bias"])

    def dense(matrix):
        return torch.from_numpy(matrix.toarray()).to(x.dtype)

    h = x
    for level in range(4):
        h = dense(hierarchy.downsampling(level)) @ F.elu(conv(h, level, f"encoder_convs.{level}"))
    z = F.linear(h.reshape(len(x), -1), weights["encoder_fc.weight"], weights["encoder_fc.bias"])
    h = F.linear(z, weights["decoder_fc.weight"], weights["decoder_fc.bias"]).reshape(len(x), sizes[-1], -1)
    for i, level in enumerate((3, 2, 1, 0)):
        h = F.elu(conv(dense(hierarchy.upsampling(level)) @ h, level, f"decoder_convs.{i}"))
    return z, conv(h, 0, "decoder_convs.4")


# --- spirals ----------------------------------------------------------------------------------------------------


def test_spirals_of_a_flat_grid_by_hand():
    """Rows of five, diagonals up right. Around 12 in the middle lie, clockwise from above, 6, 11, 17, 18, 13, 7."""
    table = ring_spirals(*grid(5, 5), length=9)
    # The next ring begins around 6, whose neighbours are, clockwise from the first in the last ring, 11 12 7 1 0 5.
    assert table[12].tolist() == [12, 6, 11, 17, 18, 13, 7, 1, 0]
    # Corners start along the border: one has two triangles, the other one.
    assert table[0].tolist()[:4] == [0, 5, 6, 1]
    assert table[4].tolist()[:3] == [4, 3, 9]


@pytest.mark.parametrize("length", [1, 4, 9, 20])
@pytest.mark.parametrize("shape", [icosphere(2, jitter=0.02), wavy_with_hole()], ids=["sphere", "hole"])
def test_spirals_are_whole_rings_in_order(shape, length):
    vertices, faces = shape
    table = ring_spirals(vertices, faces, length)
    assert table.shape == (len(vertices), length) and table.dtype == np.int32
    hops = csgraph.shortest_path(edge_graph(vertices, faces), unweighted=True)
    for vertex, spiral in enumerate(table):
        assert spiral[0] == vertex and len(set(spiral.tolist())) == length
        # No vertex is left out that is nearer, in hops, than one that is in.
        assert (hops[vertex][spiral] == np.sort(hops[vertex])[:length]).all()


def test_rings_run_clockwise_along_edges():
    vertices, faces = icosphere(2, jitter=0.02)
    for vertex, spiral in enumerate(ring_spirals(vertices, faces, 6)):
        first, second = vertices[spiral[1]] - vertices[vertex], vertices[spiral[2]] - vertices[vertex]
        assert np.cross(first, second) @ vertices[vertex] < 0
        assert spiral[1] == edge_graph(vertices, faces)[[vertex]].indices.min()


def test_spirals_do_not_depend_on_the_order_of_faces():
    vertices, faces = wavy_with_hole()
    shuffled = np.random.default_rng(0).permutation(faces)
    shuffled = np.stack([np.roll(face, i % 3) for i, face in enumerate(shuffled)])
    np.testing.assert_array_equal(ring_spirals(vertices, faces, 9), ring_spirals(vertices, shuffled, 9))


def test_where_a_part_ends_the_nearest_vertices_follow():
    vertices, faces = grid(4, 4)
    small = np.array([[10.0, 0, 0], [11, 0, 0], [10, 1, 0]])
    table = ring_spirals(np.concatenate([vertices, small]), np.concatenate([faces, [[16, 17, 18]]]), 6)
    assert table[16].tolist() == [16, 17, 18, 3, 7, 11]
    assert (table[:16] < 16).all()
    alone = ring_spirals(small, np.array([[0, 1, 2]]), 5)
    assert alone[1].tolist() == [1, 0, 2, -1, -1]


def test_faces_that_are_no_fan_are_refused():
    vertices, faces = grid(3, 3)
    with pytest.raises(MeshError):
        ring_spirals(vertices, np.concatenate([faces, faces[:1]]), 9)


def test_embedded_templates_need_no_padding():
    for mesh in ("mh-seq", "mh-scan"):
        for at in embedded(mesh).levels[:-1]:
            assert (ring_spirals(at.vertices, at.faces, 9) >= 0).all()


# --- the model --------------------------------------------------------------------------------------------------


def test_parameter_count_is_that_of_the_authors_code():
    assert embedded("mh-seq").sizes == (5023, 1256, 314, 79, 20)
    model = build_model("spiralnet", embedded("mh-seq"), 16)
    assert sum(p.numel() for p in model.parameters()) == 154_899
    shapes = [tuple(conv.linear.weight.shape) for conv in (*model.encoder_convs, *model.decoder_convs)]
    assert shapes == [
        *((32, 9 * 3), (32, 9 * 32), (32, 9 * 32), (64, 9 * 32)),
        *((64, 9 * 64), (32, 9 * 64), (32, 9 * 32), (32, 9 * 32), (3, 9 * 32)),
    ]


def test_initial_weights_are_xavier_uniform_and_biases_zero():
    torch.manual_seed(0)
    model = build_model("spiralnet", small_hierarchy(), 16)
    for name, parameter in model.named_parameters():
        if "bias" in name:
            assert (parameter == 0).all()
        else:
            bound = (6 / sum(parameter.shape)) ** 0.5
            assert 0.9 * bound < parameter.abs().max() <= bound, name


@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_equals_the_published_formulation_in_outputs_and_every_gradient(count):
    model = in_float64(lambda: build_model("spiralnet", small_hierarchy(), 5))
    check_same_as(lambda weights, x: oracle(weights, small_hierarchy(), x), model, small_hierarchy(), count, 1e-10)


def test_in_float32_too(sphere_hierarchy):
    torch.manual_seed(0)
    model = build_model("spiralnet", sphere_hierarchy, 5)
    check_same_as(lambda weights, x: oracle(weights, sphere_hierarchy, x), model, sphere_hierarchy, 4, 1e-5)


def test_default_preset_is_the_papers():
    assert next(iter(PRESETS)) == "paper"
