"""A stored run that is trained again is compared with itself, not with a stand-in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench3dmm.errors import DataError
from bench3dmm.pages import notebooks
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import Result, load_result, result_path, save_result
from bench3dmm.runs.verify import AGREES, DIFFERS, EQUAL_BITS, QUICKSTART, Comparison, verify

RUN = Run("sphere", latent=8, profile="smoke")


@pytest.fixture(scope="module")
def stored(spheres, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    execute(RUN, folder, "cpu", progress=False, dataset=spheres)
    return folder


def test_the_same_machine_gives_the_same_bits(stored, spheres, tmp_path):
    before = result_path(RUN, stored).read_bytes()
    compared = verify(RUN, stored, tmp_path, "cpu", False, datasets={"sphere": spheres})
    assert compared.identical and compared.difference == 0 and compared.outcome(0) == EQUAL_BITS
    assert result_path(RUN, stored).read_bytes() == before, "the stored result is only read"
    assert compared.again.provenance["created"] >= compared.stored.provenance["created"]


def test_a_number_that_does_not_come_out_is_seen(stored, spheres, tmp_path):
    result = load_result(result_path(RUN, stored))
    wrong = {**result.metrics, "mean_mm": 1.1 * result.metrics["mean_mm"]}
    errors = {**result.arrays, "sample_error": 1.1 * result.arrays["sample_error"]}
    save_result(dataclasses.replace(result, metrics=wrong, arrays=errors), tmp_path / "stored")
    compared = verify(RUN, tmp_path / "stored", tmp_path / "again", "cpu", False, datasets={"sphere": spheres})
    assert compared.outcome() == DIFFERS
    assert compared.relative == pytest.approx(1 / 1.1 - 1)
    assert compared.outcome(0.1) == AGREES


def comparison(stored, again, *seeds):
    """Of mean errors alone, with arrays that are not equal."""
    results = [
        Result(RUN, {"mean_mm": mean}, {}, {"sample_error": np.array([mean + place]), "sample_index": np.array([0])})
        for place, mean in enumerate((stored, again))
    ]
    return Comparison(*results, seeds)


@pytest.mark.parametrize(
    ("stored", "again", "seeds", "outcome"),
    [
        (0.976, 1.150, (0.976, 1.005, 1.100), AGREES),  # 18 % above the stored one, as far from it as a seed may be
        (0.976, 0.915, (0.976, 1.005, 1.100), AGREES),
        (0.976, 1.170, (0.976, 1.005, 1.100), DIFFERS),
        (0.976, 0.913, (0.976, 1.005, 1.100), DIFFERS),
        (1.283, 1.320, (1.283, 1.290, 1.285), AGREES),  # within 3 %, whose seeds happen to lie within 0.5 %
        (1.283, 1.325, (1.283, 1.290, 1.285), DIFFERS),
        (0.976, 1.000, (0.976, 1.100), AGREES),
        (0.976, 1.050, (0.976, 1.100), DIFFERS),  # two seeds are no range
    ],
)
def test_what_agrees_is_what_another_seed_could_have_given(stored, again, seeds, outcome):
    assert comparison(stored, again, *seeds).outcome() == outcome


def test_a_tolerance_that_is_given_overrides_the_seeds():
    compared = comparison(0.976, 1.0, 0.976, 1.005, 1.100)
    assert compared.outcome(0.01) == DIFFERS and compared.outcome(0.05) == AGREES


def test_the_stored_seeds_of_the_same_configuration_and_data_are_used(stored, spheres, tmp_path):
    result = load_result(result_path(RUN, stored))
    save_result(result, tmp_path / "stored")
    others = [
        ({"seed": 1}, {}, 1.2),
        ({"seed": 2}, {}, 1.4),
        ({"seed": 3}, {"split_sha256": "of another split"}, 9.0),
        ({"latent": 4}, {}, 9.0),
    ]
    for changes, made, times in others:
        other = dataclasses.replace(
            result,
            run=dataclasses.replace(RUN, **changes),
            metrics={**result.metrics, "mean_mm": times * result.metrics["mean_mm"]},
            provenance={**result.provenance, **made},
        )
        save_result(other, tmp_path / "stored")
    compared = verify(RUN, tmp_path / "stored", tmp_path / "again", "cpu", False, datasets={"sphere": spheres})
    mean = result.metrics["mean_mm"]
    assert sorted(compared.seeds) == pytest.approx([mean, 1.2 * mean, 1.4 * mean])
    assert compared.allowed() == pytest.approx((0.8 * mean, 1.6 * mean))


def test_what_cannot_be_compared_is_refused(stored, spheres, tmp_path):
    with pytest.raises(DataError, match="another folder"):
        verify(RUN, stored, stored, "cpu", False)
    other = dataclasses.replace(spheres, card={**spheres.card, "recipe_sha256": "another"})
    with pytest.raises(DataError, match="dataset_recipe_sha256"):
        verify(RUN, stored, tmp_path, "cpu", False, datasets={"sphere": other})


def test_the_quickstart_is_the_notebooks_run():
    papermill = pytest.importorskip("papermill")
    parameters = papermill.inspect_notebook(str(notebooks.FOLDER / "00_quickstart.ipynb"))
    defaults = {name: entry["default"].strip("'\"") for name, entry in parameters.items()}
    for name, value in QUICKSTART.as_dict().items():
        assert defaults.get(name, f"{getattr(Run('x'), name)}") == f"{value}", name
