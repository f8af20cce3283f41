"""Fig. 1: that its numbers are those of the hierarchy and of the model."""

from __future__ import annotations

import pytest
from figure_checks import assert_texts_inside, footer, texts

from bench3dmm.errors import UnknownNameError
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.papers.neural3dmm_bu3dfe.figures.architecture import figure1


@pytest.fixture(scope="module")
def sphere_hierarchy(spheres, scratch_cache):
    return build_hierarchy(spheres.template, (4, 4, 4, 4))


def test_factors_that_are_no_whole_numbers_are_shown_so(spheres):
    assert "SC(1, 16)\nDS(2.5)" in texts(
        figure1(build_hierarchy(spheres.template, (2.5, 4, 4, 2)), name="half a sphere")
    )


def test_figure1_names_the_real_levels(sphere_hierarchy):
    figure = figure1(sphere_hierarchy, latent=32, name="half a sphere")
    shown = texts(figure)
    for level, size in enumerate(sphere_hierarchy.sizes):
        assert f"{size:,} vertices" in shown
        if level < 4:
            assert f"L = {sphere_hierarchy.spirals(level).shape[1]}" in shown
    steps = [text.get_text() for text in figure.axes[0].texts if "DS" in text.get_text() or "US" in text.get_text()]
    assert steps == [
        *("SC(1, 16)\nDS(4)", "US(4)\nSC(1, 3)"),
        *("SC(1, 16)\nDS(4)", "US(4)\nSC(1, 16)"),
        *("SC(1, 16)\nDS(4)", "US(4)\nSC(1, 16)"),
        *("SC(1, 32)\nDS(4)", "US(4)\nSC(1, 32)"),
    ]
    coarsest = sphere_hierarchy.sizes[-1]
    assert "d = 32" in shown and "FC(32)" in shown and f"FC({coarsest + 1} · 32)" in shown
    assert "half a sphere" in footer(figure) and "preset paper" in footer(figure)
    assert len(figure.axes[0].images) == 10, "each level in the encoder and in the decoder"
    assert_texts_inside(figure)


def test_figure1_of_the_released_architecture(sphere_hierarchy):
    shown = texts(figure1(sphere_hierarchy, "release"))
    for expected in ("SC(2, 16)\nDS(4)", "SC(1, 128)\nDS(4)", "US(4)\nSC(2, 16)\nSC(2, 3)", "dilation 2", "· 128)"):
        assert expected in shown
    with pytest.raises(UnknownNameError, match="papr"):
        figure1(sphere_hierarchy, "papr")


def test_figure1_features_are_those_of_the_model(sphere_hierarchy):
    """The numbers below the meshes are what the model's layers put out."""
    import torch

    from bench3dmm.models import build_model

    for preset in ("paper", "release"):
        model = build_model("neural3dmm", sphere_hierarchy, 8, preset=preset)
        sizes = []
        for layer in [*model.encoder_convs, *model.decoder_convs]:
            layer.register_forward_hook(
                lambda module, args, out, sizes=sizes: sizes.append((out.shape[0], out.shape[2]))
            )
        model(torch.zeros(2, sphere_hierarchy.sizes[0], 3))
        shown = texts(figure1(sphere_hierarchy, preset))
        for vertices, channels in set(sizes) - {(sphere_hierarchy.sizes[0], 16)}:  # before the release's final layer
            assert f"{vertices:,} × {channels}" in shown
