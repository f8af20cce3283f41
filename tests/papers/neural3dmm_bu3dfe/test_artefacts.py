"""The paper's registry of tables and figures: they take what runs store, and name what trains what they lack."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from figure_checks import footer, texts
from paper_results import everything

from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.artefacts import ARTEFACTS
from bench3dmm.papers.neural3dmm_bu3dfe.figures.curves import figure4, figure5, figure6
from bench3dmm.papers.neural3dmm_bu3dfe.figures.faces import figure7
from bench3dmm.papers.neural3dmm_bu3dfe.tables import generalization_table, landmark_table
from bench3dmm.papers.registry import experiments
from bench3dmm.papers.setup import Setup
from bench3dmm.runs.execute import execute


@pytest.mark.parametrize(
    ("draw", "commands"),
    [
        (figure4, ["datasets"]),
        (figure5, ["splits"]),
        (figure6, ["splits", "weighted-loss"]),
        (generalization_table, ["splits", "weighted-loss"]),
        (landmark_table, ["weighted-loss"]),
    ],
)
def test_without_any_run_the_command_is_named(draw, commands):
    others = everything(Setup(profile="paper"))
    for results in ([], others):
        with pytest.raises(DataError) as error:
            draw(results)
        for command in commands:
            assert f"`bench3dmm sweep {command} --profile quick`" in str(error.value)
        assert "\n" not in str(error.value)


def test_registry_has_every_artefact_of_the_paper():
    assert set(ARTEFACTS) >= {"table1", "table2", *(f"figure{number}" for number in range(1, 10))}
    for artefact in ARTEFACTS.values():
        assert set(artefact.needs) <= set(experiments())
        assert "{" not in artefact.caption.format(coma="mh-seq", bu3dfe="mh-scan")


def test_artefacts_take_what_a_run_stores(spheres, tmp_path):
    """The keys and shapes of `paper_results` are those of real results."""
    real = Setup(coma="sphere", bu3dfe="sphere", profile="smoke", seeds=(0,))
    (run,) = real.runs("splits", latent=8, split="percentage")
    result = execute(run, tmp_path, "cpu", progress=False, dataset=spheres)
    assert f"{result.metrics['mean_mm']:.3f}" in generalization_table([result], real)["d = 8"].iloc[0]
    (large,) = real.runs("splits", latent=512, split="percentage")
    stand_in = dataclasses.replace(result, run=large)
    figure = figure7([stand_in], spheres, real, cmap="paper")
    assert "sphere · percentage split · profile smoke · seed 0" in footer(figure)
    error = np.linalg.norm(result.arrays["reconstruction_offset"][0].astype(float), axis=1).mean()
    assert f"{error:.2f} mm" in texts(figure)
    assert len(figure6([result, stand_in], real).axes) == 2
