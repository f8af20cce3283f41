"""Pictures and the table of what models can make: a row a model, and what is said about it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sphere_sets import as_registered, sphere_dataset

from bench3dmm.apply import generative
from bench3dmm.apply.exported import load_run
from bench3dmm.data import registry as data
from bench3dmm.errors import DataError
from bench3dmm.pages.workbook import Workbook
from bench3dmm.papers.comparison import generative as drawn
from bench3dmm.papers.comparison.experiments import peer_runs
from bench3dmm.papers.comparison.generative import (
    extrapolation_figure,
    generative_table,
    interpolation_figure,
    sampling_figure,
    transfer_figure,
)
from bench3dmm.papers.setup import Setup
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import result_path
from bench3dmm.tasks.parts.latent import LatentGaussian
from bench3dmm.view import grid


@pytest.fixture(scope="module")
def faces():
    """Six people with a neutral mesh and three expressions at three levels."""
    made = sphere_dataset(levels=(0.25, 0.5, 1.0))
    offset = made.vertices - made.vertices.mean(axis=0)
    return as_registered(replace(made, vertices=(made.vertices + 0.5 * offset).astype(np.float32)))


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory, scratch_cache):
    """Results of PCA and CoMA on it, and the folder they lie in."""
    folder = tmp_path_factory.mktemp("results")
    runs = peer_runs("sphere", profile="smoke", seed=[0], models=["pca", "coma"], latents=[8])
    results = [execute(run, folder, "cpu", progress=False, dataset=faces) for run in runs]
    return SimpleNamespace(results=results, folder=folder)


@pytest.fixture
def book(faces, trained, monkeypatch):
    monkeypatch.setitem(data._registered, "sphere", lambda: faces)
    monkeypatch.setattr(grid, "CELL", 24)
    return Workbook("sphere", "sphere", "smoke", 1, trained.folder, device="cpu", jobs=1)


def test_stored_weights_reconstruct_as_they_did_when_they_were_measured(faces, trained):
    for result in trained.results:
        model = load_run(result_path(result.run, trained.folder))
        rows = result.arrays["sample_index"]
        codes = model.encode(faces.vertices[rows])
        assert codes.shape == (len(rows), 8)
        error = np.linalg.norm(model.decode(codes) - faces.vertices[rows], axis=2).mean(axis=1)
        np.testing.assert_allclose(error, result.arrays["sample_error"], rtol=1e-4)


def with_specificity(result, **values):
    """The result with these metrics of it, and none that were measured."""
    rest = {name: value for name, value in result.metrics.items() if not name.startswith("specificity")}
    return replace(result, metrics={**rest, **values})


def test_every_figure_has_a_row_a_model_and_says_what_it_shows(book, faces, trained):
    models = book.weights(trained.results)
    results = [with_specificity(result) for result in trained.results]
    for draw in (
        sampling_figure,
        interpolation_figure,
        extrapolation_figure,
        transfer_figure,
    ):
        figure = draw(results, models, faces, book.setup, 8)
        said = [text.get_text() for text in figure.axes[0].texts]
        footer = " ".join(figure.texts[-1].get_text().split())
        assert {"pca\nspecificity\n–", "coma\nspecificity\n–"} <= set(said), draw
        for part in (
            "sphere",
            "percentage split",
            "profile smoke",
            "seed 0",
            "d = 8",
            "missing: spiralnet, neural3dmm",
        ):
            assert part in footer, (draw, part)


def test_specificity_stands_beside_the_rows_and_in_the_table(book, faces, trained):
    pca = with_specificity(trained.results[0], specificity_mm=1.234, specificity_sd_mm=0.5)
    coma = with_specificity(trained.results[1])
    models = book.weights(trained.results)
    figure = interpolation_figure([coma, pca], models, faces, book.setup, 8)
    assert "pca\nspecificity\n1.23 mm" in [text.get_text() for text in figure.axes[0].texts]
    table = generative_table([coma, pca], models, faces, book.setup, 8)
    assert list(table.index) == ["pca", "coma", "vertices, no model", "neutral mesh kept"]
    assert list(table["specificity"]) == ["1.23 ± 0.50", "–", "–", "–"]

    def point(row, column):
        return float(table.loc[row, column].split()[0])

    rows = generative.transfer_rows(faces.samples, pca.arrays["sample_index"])
    expected = generative.transfer_errors(models[pca.run.run_id], faces.vertices, rows).mean()
    assert point("pca", "transfer") == pytest.approx(expected, abs=0.006)
    assert point("vertices, no model", "transfer") < point("neutral mesh kept", "transfer")
    assert f"transfer of {len(rows)} expressions" in table.attrs["footer"]


def test_the_footer_says_where_a_gaussian_does_not_fit():
    codes = np.abs(np.random.default_rng(0).normal(size=(50, 4)))
    codes[:, 2] = 0
    sign, still = drawn._misfits("coma", codes, LatentGaussian.fit(codes))
    share = float(sign.removeprefix("coma: no code is negative, ").split(" %")[0])
    assert 5 < share < 20, "about the normal law's share beyond 1.3 deviations, for three of four units"
    assert still == "coma: 1 of its 4 units never vary"
    codes -= 1
    assert drawn._misfits("pca", codes[:, :2], LatentGaussian.fit(codes[:, :2])) == []


def test_what_cannot_be_shown_is_refused_with_a_way_out(book, faces, trained):
    models = book.weights(trained.results)
    with pytest.raises(DataError, match="not trained at d = 9, but 8, 16, 64, 256"):
        sampling_figure(trained.results, models, faces, book.setup, 9)
    with pytest.raises(DataError, match="bench3dmm sweep peers"):
        sampling_figure([], models, faces, book.setup, 8)
    with pytest.raises(DataError, match=r"\(pca\) are not among those given"):
        sampling_figure(trained.results, {}, faces, book.setup, 8)
    one_person = replace(faces, samples=faces.samples.assign(subject="S1"))
    with pytest.raises(DataError, match="one person or one expression"):
        interpolation_figure(trained.results, models, one_person, book.setup, 8)


def test_the_book_trains_what_is_named_and_loads_its_weights(book, trained):
    where = {"split": "percentage", "latent": 8, "seed": 0, "model": "pca"}
    (result,) = book.train("peers", **where)
    assert result.run == trained.results[0].run
    assert list(book.weights([result])) == [result.run.run_id]


def test_without_weights_the_command_that_trains_them_is_named(trained, tmp_path):
    without = shutil.ignore_patterns("*.safetensors", ".partial")
    shutil.copytree(trained.folder / "smoke", tmp_path / "smoke", ignore=without)
    book = Workbook(profile="smoke", results_dir=tmp_path)
    with pytest.raises(DataError, match=r"bench3dmm run --dataset sphere --model pca .*--force"):
        book.weights(trained.results[:1])


def test_the_setup_is_the_readers(faces, trained, book):
    other = Setup("sphere", "sphere", "smoke", (1,))
    with pytest.raises(DataError, match="bench3dmm sweep peers"):
        transfer_figure(trained.results, book.weights(trained.results), faces, other, 8)
