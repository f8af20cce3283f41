"""CoMA against parameter counts, the closed form of its filters in the Laplacian's spectrum, and a literal oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mesh_shapes import grid, wavy_with_hole
from peers import check_same_as, embedded, in_float64, small_hierarchy

from bench3dmm.models import build_model, coma
from bench3dmm.models.coma import PRESETS, ChebyshevConv, scaled_laplacian

TERMS = 6


def spectral_filters(vertices, faces, terms=TERMS):
    """T_k of the scaled Laplacian (K, V, V), float64: cos(k arccos(lambda)) on its eigenvectors.

    The Laplacian is written out from the set of edges, entry by entry.
    """
    n = len(vertices)
    adjacency = np.zeros((n, n))
    for a, b, c in faces:
        for i, j in ((a, b), (b, c), (c, a)):
            adjacency[i, j] = adjacency[j, i] = 1
    degree = adjacency.sum(axis=1)
    laplacian = np.eye(n)
    for i, j in np.argwhere(adjacency):
        laplacian[i, j] -= 1 / np.sqrt(degree[i] * degree[j])
    values, vectors = np.linalg.eigh(2 * laplacian / 2 - np.eye(n))
    assert (np.abs(values) <= 1 + 1e-12).all()
    angles = np.arccos(values.clip(-1, 1))
    return torch.from_numpy(np.stack([vectors * np.cos(k * angles) @ vectors.T for k in range(terms)]))


def recurrence_filters(laplacian, x, terms=TERMS):
    """T_0 x … T_{K-1} x as the authors' code computes them."""
    parts = [x, laplacian @ x]
    while len(parts) < terms:
        parts.append(2 * laplacian @ parts[-1] - parts[-2])
    return parts[:terms]


def oracle(weights, hierarchy, x, filters):
    """Dense filters, D and U, mesh by mesh: as published. Returns z and y."""
    sizes = hierarchy.sizes

    def conv(h, level, name):
        basis = torch.cat([matrix @ h for matrix in filters[level]], dim=2)
        return F.linear(basis, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def dense(matrix):
        return torch.from_numpy(matrix.toarray()).to(x.dtype)

    h = x
    for level in range(4):
        h = dense(hierarchy.downsampling(level)) @ F.relu(conv(h, level, f"encoder_convs.{level}"))
    z = F.relu(F.linear(h.reshape(len(x), -1), weights["encoder_fc.weight"], weights["encoder_fc.bias"]))
    h = F.relu(F.linear(z, weights["decoder_fc.weight"], weights["decoder_fc.bias"])).reshape(len(x), sizes[-1], -1)
    for i, level in enumerate((3, 2, 1, 0)):
        h = F.relu(conv(dense(hierarchy.upsampling(level)) @ h, level, f"decoder_convs.{i}"))
    return z, conv(h, 0, "decoder_convs.4")


def filters_of(hierarchy):
    return [spectral_filters(level.vertices, level.faces) for level in hierarchy.levels[:-1]]


# --- the filters ------------------------------------------------------------------------------------------------


def test_laplacian_of_a_square():
    """Two triangles: 0 and 2 have three neighbours, 1 and 3 have two."""
    dense = scaled_laplacian(*grid(2, 2)).toarray()
    two, three = -1 / 6**0.5, -1 / 3
    expected = [[0, two, two, three], [two, 0, 0, two], [two, 0, 0, two], [three, two, two, 0]]
    np.testing.assert_allclose(dense, expected, atol=1e-15)


def test_laplacian_has_an_empty_row_for_a_vertex_without_edges():
    vertices, faces = grid(3, 3)
    dense = scaled_laplacian(np.concatenate([vertices, vertices[:1]]), faces).toarray()
    assert (dense == dense.T).all() and (dense[-1] == 0).all() and np.isfinite(dense).all()


def test_recurrence_is_the_closed_form():
    """The two formulations that the model is held against agree with each other."""
    vertices, faces = wavy_with_hole()
    x = torch.randn(len(vertices), 4, dtype=torch.float64)
    laplacian = torch.from_numpy(scaled_laplacian(vertices, faces).toarray())
    for closed, recurred in zip(spectral_filters(vertices, faces) @ x, recurrence_filters(laplacian, x), strict=True):
        torch.testing.assert_close(closed, recurred, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("cache", [None, 4 * 70 * 16 * 2], ids=["whole", "shares"])
@pytest.mark.parametrize("terms", [1, 2, 6])
@pytest.mark.parametrize("batch_innermost", [False, True])
@pytest.mark.parametrize("last", [False, True], ids=["relu", "linear"])
@pytest.mark.parametrize(("c_in", "c_out"), [(3, 16), (16, 3), (16, 16), (3, 3), (1, 1), (9, 10)])
@pytest.mark.parametrize("kind", ["down", "up", "same"])
def test_convolution_equals_the_closed_form_in_values_and_gradients(
    monkeypatch, kind, c_in, c_out, last, batch_innermost, terms, cache
):
    if cache:
        monkeypatch.setattr(coma._Upsampled, "CACHE", cache)
    hierarchy = small_hierarchy()
    at = hierarchy.levels[1]
    sampling = {"down": hierarchy.downsampling(1), "up": hierarchy.upsampling(1)}
    given = {kind: sampling[kind]} if kind != "same" else {}
    laplacian = scaled_laplacian(at.vertices, at.faces)
    conv = in_float64(lambda: ChebyshevConv(c_in, c_out, laplacian, terms, last=last, **given))
    for parameter in conv.parameters():
        torch.nn.init.normal_(parameter)
    v_in = {"up": hierarchy.sizes[2]}.get(kind, hierarchy.sizes[1])

    for count in (1, 5):
        x = torch.randn(v_in, c_in, count, dtype=torch.float64).transpose(1, 2)
        x = (x if batch_innermost else x.contiguous()).requires_grad_()
        before = x.detach().clone()
        out = conv(x)
        weight = conv.weight.view(c_out, terms, c_in)
        expected = 0 if last else conv.bias
        for k, matrix in enumerate(spectral_filters(at.vertices, at.faces, terms)):
            if kind == "down":
                matrix = torch.from_numpy(sampling["down"].toarray()) @ matrix
            if kind == "up":
                matrix = matrix @ torch.from_numpy(sampling["up"].toarray())
            expected = expected + torch.einsum("vu,ubc,oc->vbo", matrix, x, weight[:, k])
        expected = expected if last else F.relu(expected)
        close = {"rtol": 1e-10, "atol": 1e-10}
        torch.testing.assert_close(out, expected, **close)
        grad = torch.randn_like(expected)
        inputs = [x, *conv.parameters()]
        for actual, slow in zip(
            torch.autograd.grad(out, inputs, grad), torch.autograd.grad(expected, inputs, grad), strict=True
        ):
            torch.testing.assert_close(actual, slow, **close)
        with torch.no_grad():
            torch.testing.assert_close(conv(x), expected, **close)
        assert torch.equal(x, before), "an input was overwritten"


def test_float32_keeps_its_digits():
    """Powers of the Laplacian lose no more than a few of them against the recurrence."""
    at = embedded("mh-seq").levels[0]
    laplacian = scaled_laplacian(at.vertices, at.faces)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(at.vertices), 2, 16, generator=generator)
    conv = ChebyshevConv(16, 16, laplacian, TERMS, last=True)
    torch.nn.init.trunc_normal_(conv.weight, std=0.1, generator=generator)
    parts = [p.reshape(x.shape) for p in recurrence_filters(laplacian, x.double().flatten(1).numpy())]
    expected = F.linear(torch.cat([torch.from_numpy(p) for p in parts], dim=2), conv.weight.double())
    error = (conv(x) - expected).norm() / expected.norm()
    assert error < 2e-6


# --- the model --------------------------------------------------------------------------------------------------


def count_of(sizes, latent, encoder=(16, 16, 16, 32), decoder=(32, 16, 16, 16)):
    """K weights a pair of channels and a bias a filter, but for the last; two fully connected layers."""
    channels = [*zip((3, *encoder), encoder, strict=False), *zip((encoder[-1], *decoder), (*decoder, 3), strict=True)]
    filters = sum(TERMS * c_in * c_out for c_in, c_out in channels) + sum(encoder) + sum(decoder)
    coarsest = sizes[-1] * encoder[-1]
    return filters + (coarsest + 1) * latent + (latent + 1) * coarsest


@pytest.mark.parametrize("latent", [8, 16, 64])
@pytest.mark.parametrize("mesh", ["mh-seq", "mh-scan"])
def test_parameter_counts(mesh, latent):
    model = build_model("coma", embedded(mesh), latent)
    assert sum(p.numel() for p in model.parameters()) == count_of(embedded(mesh).sizes, latent)


def test_parameter_counts_of_others():
    """30,059 is that of a re-implementation with a bias in the last convolution (github.com/sw-gong/coma); the abstract
    has "75 % fewer parameters" than PCA; and 33,856, the paper's count, is that of the weights of another decoder."""
    sizes = embedded("mh-seq").sizes
    assert sizes == (5023, 1256, 314, 79, 20)
    assert count_of(sizes, 8) + 3 == 30_059
    assert count_of(sizes, 8) / (8 * 3 * sizes[0]) == pytest.approx(0.25, abs=0.001)
    decoder = (32, 32, 16, 16)
    biases = 80 + sum(decoder) + 8 + 640
    assert count_of(sizes, 8, decoder=decoder) - biases == 33_856


def test_initial_weights_are_the_authors():
    torch.manual_seed(0)
    model = build_model("coma", small_hierarchy(), 64)
    for name, parameter in model.named_parameters():
        if "bias" in name:
            assert (parameter == 0.1).all()
        else:
            assert 0.15 < parameter.abs().max() <= 0.2 and 0.07 < parameter.std() < 0.1, name


@pytest.mark.parametrize("count", [2, 5, 16])
def test_batches_in_shares_are_the_same(monkeypatch, count):
    """As large meshes are computed, for the cache."""
    monkeypatch.setattr(coma._Upsampled, "CACHE", 4 * 100 * 16 * 3)
    convs = build_model("coma", small_hierarchy(), 9).decoder_convs
    assert any(conv.maps.shares(16, 16, False) not in (1, 16) for conv in convs)
    test_equals_the_published_formulation_in_outputs_and_every_gradient(count)


@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_equals_the_published_formulation_in_outputs_and_every_gradient(count):
    filters = filters_of(small_hierarchy())
    model = in_float64(lambda: build_model("coma", small_hierarchy(), 9))
    check_same_as(lambda w, x: oracle(w, small_hierarchy(), x, filters), model, small_hierarchy(), count, 1e-10)


def test_in_float32_too(sphere_hierarchy):
    filters = filters_of(sphere_hierarchy)
    torch.manual_seed(0)
    model = build_model("coma", sphere_hierarchy, 9)
    check_same_as(lambda w, x: oracle(w, sphere_hierarchy, x, filters), model, sphere_hierarchy, 4, 1e-5)


def test_codes_are_not_negative():
    torch.manual_seed(0)
    model = build_model("coma", small_hierarchy(), 32)
    z = model.encode(torch.randn(8, small_hierarchy().sizes[0], 3))
    assert (z >= 0).all() and (z == 0).any() and (z > 0).any()


def test_default_preset_is_the_papers():
    assert next(iter(PRESETS)) == "paper"
    assert coma.PRESETS["paper"].terms == TERMS
