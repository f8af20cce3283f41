"""LAMM against plain formulations, and what its displacements may and may not do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mesh_shapes import icosphere
from torch import nn

from bench3dmm.mesh.partition import Partition, patches
from bench3dmm.models import build_model
from bench3dmm.models.interface import fitted_numbers
from bench3dmm.models.lamm import PRESETS, Lamm, _MixerLayer, _Preset, _TransformerLayer
from bench3dmm.system.device import seeded
from bench3dmm.tasks.manipulation import Manipulation
from bench3dmm.training.losses import mean_absolute

TINY = {"transformer": _Preset(24, 2, 2, 3), "mixer": _Preset(24, 2, 2, 3, "mixer")}
LATENT = 5


@pytest.fixture(scope="module")
def partition():
    """Regions of unequal size whose vertices are not in order."""
    vertices, faces = icosphere(2, radius=50.0)
    return patches(vertices, faces, count=6, controlled=4)


def lamm(partition, preset=None, seed=0):
    with seeded(seed):
        return Lamm(partition, LATENT, preset or TINY["transformer"])


def meshes(partition, count=4, seed=0):
    return torch.randn(count, len(partition.labels), 3, generator=torch.Generator().manual_seed(seed))


def displacements(partition, count=4, seed=1):
    return torch.randn(count, len(partition.control_ids), 3, generator=torch.Generator().manual_seed(seed))


both_backbones = pytest.mark.parametrize("preset", TINY.values(), ids=TINY.keys())


# --- layers -------------------------------------------------------------------------------------------------------


def test_transformer_layer_is_pytorchs():
    layer = _TransformerLayer(24, 3).double()
    other = nn.TransformerEncoderLayer(24, 3, 96, 0.0, "gelu", batch_first=True, norm_first=True).double()
    other.load_state_dict(
        {
            "self_attn.in_proj_weight": layer.to_qkv.weight,
            "self_attn.in_proj_bias": torch.zeros(72),
            "self_attn.out_proj.weight": layer.to_out.weight,
            "self_attn.out_proj.bias": layer.to_out.bias,
            "linear1.weight": layer.mlp[0].weight,
            "linear1.bias": layer.mlp[0].bias,
            "linear2.weight": layer.mlp[2].weight,
            "linear2.bias": layer.mlp[2].bias,
            "norm1.weight": layer.attention_norm.weight,
            "norm1.bias": layer.attention_norm.bias,
            "norm2.weight": layer.mlp_norm.weight,
            "norm2.bias": layer.mlp_norm.bias,
        }
    )
    x = torch.randn(2, 7, 24, dtype=torch.float64)
    torch.testing.assert_close(layer(x), other(x))


def test_mixer_layer_written_out():
    """Over the tokens first, with 4 times as many hidden units, then over the channels, with half as many."""
    layer = _MixerLayer(8, 5).double()
    assert layer.over_tokens[0].weight.shape == (20, 5) and layer.over_channels[0].weight.shape == (4, 8)

    def normalised(v, norm):
        deviation = (v.var(unbiased=False) + norm.eps).sqrt()
        return (v - v.mean()) / deviation * norm.weight + norm.bias

    x = torch.randn(5, 8, dtype=torch.float64)
    rows = torch.stack([normalised(token, layer.token_norm) for token in x])
    mixed = torch.stack([x[:, c] + layer.over_tokens(rows[:, c]) for c in range(8)], dim=1)
    expected = torch.stack([token + layer.over_channels(normalised(token, layer.channel_norm)) for token in mixed])
    torch.testing.assert_close(layer(x[None])[0], expected)


# --- the autoencoder, region by region -------------------------------------------------------------------------------


def written_out(model, x, moved=None):
    """Meshes of every layer of encoder and decoder, and the code, with loops over regions and vertices."""
    partition = model.partition
    regions = [np.flatnonzero(partition.labels == k) for k in range(len(partition.names))]

    def shown(tokens):
        mesh = torch.empty_like(x)
        for k, ids in enumerate(regions):
            mesh[:, ids] = model.to_vertices[k](tokens[:, k + 1]).view(len(x), len(ids), 3)
        return mesh

    def through(backbone, tokens):
        every = [tokens]
        for layer in backbone.layers:
            tokens = layer(tokens)
            every.append(tokens)
        every[-1] = backbone.norm(every[-1])
        return every

    columns = [model.identity.expand(len(x), -1)]
    for k, ids in enumerate(regions):
        flat = torch.stack([x[:, v, c] for v in ids for c in range(3)], dim=1)
        columns.append(model.to_tokens[k](flat) + model.embedding[k])
    encoded = through(model.encoder, torch.stack(columns, dim=1))
    z = model.to_code(encoded[-1][:, 0])
    columns = [model.from_code(z)] + [token.expand(len(x), -1) for token in model.tokens]
    if moved is not None:
        start = 0
        for name, ids in partition.controls.items():
            part = moved[:, start : start + len(ids)].reshape(len(x), -1)
            columns[1 + partition.names.index(name)] = columns[1 + partition.names.index(name)] + model.controls[
                name.replace(" ", "_")
            ](part)
            start += len(ids)
    decoded = through(model.decoder, torch.stack(columns, dim=1))
    return [shown(tokens) for tokens in encoded], z, [shown(tokens) for tokens in decoded]


@both_backbones
def test_encode_and_decode_written_out(partition, preset):
    model, x, moved = lamm(partition, preset), meshes(partition), displacements(partition)
    _, z, decoded = written_out(model, x, moved)
    torch.testing.assert_close(model.encode(x), z)
    torch.testing.assert_close(model.decode(z, moved), decoded[-1])
    torch.testing.assert_close(model(x), written_out(model, x)[2][-1])


@pytest.mark.parametrize("full_targets", [False, True])
def test_the_target_goes_from_the_mesh_to_the_mean_and_back(partition, full_targets):
    """LAMM, eqs. 1 and 2, the mean being zero: shares 1, 1/2, 0 of the mesh in the encoder, 0, 1/2, 1 after it."""
    model, x = lamm(partition, _Preset(24, 2, 2, 3, full_targets=full_targets)), meshes(partition)
    encoded, _, decoded = written_out(model, x)
    shares = [1] * 6 if full_targets else [1, 0.5, 0, 0, 0.5, 1]
    expected = torch.stack([(mesh - share * x).abs() for mesh, share in zip([*encoded, *decoded], shares, strict=True)])
    torch.testing.assert_close(model.training_loss(x, mean_absolute), expected.mean())


def test_manipulation_is_that_of_a_batch_of_both_halves(partition):
    """The released formulation: sources twice, the second half with displacements and on its way to the target; what
    the decoder begins with is masked out there."""
    model, source, target = lamm(partition), meshes(partition), meshes(partition, seed=3)
    alpha = torch.tensor([0.25, 0.5, 0.75, 1.0])
    step = alpha.view(-1, 1, 1) * (target - source)
    controls = torch.from_numpy(partition.control_ids)
    moved = torch.cat([torch.zeros(4, len(controls), 3), step[:, controls]])
    encoded, _, decoded = written_out(model, torch.cat([source, source]), moved)
    aim = torch.cat([source, source + step])
    terms = [(mesh - s * torch.cat([source, source])).abs() for mesh, s in zip(encoded, [1, 0.5, 0], strict=True)]
    terms += [(mesh - s * aim).abs() for mesh, s in zip(decoded, [0, 0.5, 1], strict=True)]
    errors, mask = torch.stack(terms), torch.ones(6, 8, 1, 1)
    mask[3, 4:] = 0
    expected = (errors * mask).sum() / mask.expand_as(errors).sum()
    torch.testing.assert_close(model.manipulation_loss(source, target, alpha, mean_absolute), expected)


def test_parameters_are_as_many_as_the_architecture_says(partition):
    d, k, latent = 24, 6, LATENT
    sizes = [int((partition.labels == region).sum()) for region in range(k)]
    regions = sum(3 * n * d + d + d * 3 * n + 3 * n for n in sizes) + 2 * k * d + d
    transformer = 3 * d * d + d * d + d + 2 * (4 * d * d) + 4 * d + d + 4 * d
    mixer = 2 * (k + 1) * 4 * (k + 1) + 5 * (k + 1) + 2 * d * d // 2 + d // 2 + d + 4 * d
    code = d * latent + latent + latent * d + d
    controls = sum(3 * len(ids) * 64 + 64 * 256 + 256 * d for ids in partition.controls.values())
    for kind, layer in (("transformer", transformer), ("mixer", mixer)):
        expected = regions + 4 * layer + 2 * 2 * d + code + controls
        assert fitted_numbers(lamm(partition, TINY[kind])) == expected, kind


# --- control ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small", "small-mixer", "paper", "paper-mixer"])
@pytest.mark.parametrize("count", [1, 3])
def test_no_displacement_gives_the_bits_of_the_plain_autoencoder(partition, name, count):
    model = lamm(partition, PRESETS[name])
    with torch.no_grad():
        z = model.encode(meshes(partition, count))
        assert torch.equal(model.decode(z, torch.zeros(count, len(partition.control_ids), 3)), model.decode(z))


@both_backbones
def test_a_displacement_changes_the_token_of_its_region_alone(partition, preset):
    model = lamm(partition, preset)
    z = torch.randn(2, LATENT)
    plain = model._decoder_input(z, None)
    for name, span in partition.control_spans.items():
        moved = torch.zeros(2, len(partition.control_ids), 3)
        moved[:, span] = 1.0
        changed = (model._decoder_input(z, moved) != plain).any(dim=2).any(dim=0)
        assert changed.nonzero().flatten().tolist() == [1 + partition.names.index(name)]


def test_stage_one_leaves_the_control_networks_alone_and_stage_two_trains_all(partition):
    model, x = lamm(partition), meshes(partition)
    parameters = dict(model.named_parameters())

    def untouched(value):
        parts = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        return {name for name, part in zip(parameters, parts, strict=True) if part is None}

    assert untouched(model.training_loss(x, mean_absolute)) == {n for n in parameters if n.startswith("controls.")}
    manipulation = model.manipulation_loss(x, x.flip(0), torch.full((4,), 0.5), mean_absolute)
    assert untouched(manipulation) == set()


def test_a_partition_of_ones_own():
    """Any disjoint cover with any names will do."""
    labels = np.arange(40) % 3
    own = Partition(("left.ear", "rest of it", "c"), labels, {"left.ear": np.array([3, 0])})
    model = lamm(own)
    with torch.no_grad():
        assert model.decode(torch.zeros(2, LATENT), torch.ones(2, 2, 3)).shape == (2, 40, 3)


def test_weights_of_another_partition_are_refused(partition):
    state = lamm(partition).state_dict()
    lamm(partition, seed=1).load_state_dict(state)
    labels = partition.labels.copy()
    free = [np.setdiff1d(np.flatnonzero(labels == k), partition.control_ids)[0] for k in (0, 1)]
    labels[free] = labels[free[::-1]]  # two regions swap a vertex: all shapes stay
    other = Partition(partition.names, labels, partition.controls)
    with pytest.raises(RuntimeError, match="another partition"):
        lamm(other).load_state_dict(state)


def test_presets_build_on_a_template_that_is_no_face():
    vertices, faces = icosphere(2, radius=50.0)
    hierarchy = SimpleNamespace(levels=[SimpleNamespace(vertices=vertices, faces=faces)])
    model = build_model("lamm", hierarchy, 7, preset="small")
    assert model.encode(torch.zeros(2, len(vertices), 3)).shape == (2, 7)
    assert model.partition.names[0] == "patch 1"


# --- examples of stage 2 --------------------------------------------------------------------------------------------


def test_targets_are_the_next_meshes_and_alpha_grows_to_one():
    objective = Manipulation(mean_absolute, epochs=30)
    for epoch, most in ((0, 0.625), (1, 1.0), (29, 1.0)):
        rows, targets, alpha = objective.examples(400, 0, epoch)
        assert sorted(rows.tolist()) == list(range(400))
        assert targets.tolist() == [*rows[1:].tolist(), rows[0].item()]
        assert 0.25 <= alpha.min() < 0.3 and most - 0.05 < alpha.max() <= most
    again = objective.examples(400, 0, 29)
    assert all(torch.equal(one, other) for one, other in zip(again, (rows, targets, alpha), strict=True))
    assert not torch.equal(objective.examples(400, 1, 29)[2], alpha)
    assert not torch.equal(objective.examples(400, 0, 28)[2], alpha)
