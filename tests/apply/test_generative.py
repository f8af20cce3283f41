"""Samples, latent lines and transfer: against closed forms of a linear model, and of data whose truth is known."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bench3dmm.papers.runs import peer_runs
from scipy.spatial.transform import Rotation
from sphere_sets import as_registered, sphere_dataset

from bench3dmm import artefacts
from bench3dmm.apply import generative
from bench3dmm.apply.exported import load_run
from bench3dmm.data import registry as data
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.pages.workbook import Workbook
from bench3dmm.papers.comparison import generative as drawn
from bench3dmm.papers.setup import Setup
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import result_path
from bench3dmm.tasks.parts.latent import LatentGaussian
from bench3dmm.tasks.published import published_run, run_command
from bench3dmm.view import grid

VERTICES = 30
rng = np.random.default_rng(0)


class Linear:
    """PCA of given meshes, in NumPy."""

    def __init__(self, meshes: np.ndarray, latent: int) -> None:
        self.mean = meshes.mean(axis=0)
        flat = (meshes - self.mean).reshape(len(meshes), -1)
        self.axes = np.linalg.svd(flat, full_matrices=False)[2][:latent]

    def encode(self, meshes):
        return (meshes - self.mean).reshape(len(meshes), -1) @ self.axes.T

    def decode(self, codes):
        return self.mean + (codes @ self.axes).reshape(len(codes), *self.mean.shape)


class Curved(Linear):
    """The same behind a nonlinearity that is undone: lines between codes are no longer lines between meshes."""

    def encode(self, meshes):
        return np.sinh(super().encode(meshes) / 10)

    def decode(self, codes):
        return super().decode(10 * np.arcsinh(codes))


@pytest.fixture(scope="module")
def meshes():
    return np.random.default_rng(1).normal(0, 3, (20, VERTICES, 3))


def additive(subjects=5, levels=(0.5, 1.0), curve=1.0):
    """People and expressions that add up: mesh = person + level ** curve * expression; each person's neutral first."""
    made = np.random.default_rng(2)
    person, expression = made.normal(0, 5, (subjects, VERTICES, 3)), made.normal(0, 2, (2, VERTICES, 3))
    rows, vertices = [], []
    for s in range(subjects):
        rows.append((f"S{s}", "neutral", 0.0))
        vertices.append(person[s])
        for e, name in enumerate(("happy", "sad")):
            for level in levels:
                rows.append((f"S{s}", name, level))
                vertices.append(person[s] + level**curve * expression[e])
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level"]).assign(frame=0)
    return np.array(vertices), samples


# --- the Gaussian -------------------------------------------------------------------------------------------------


def test_gaussian_has_the_mean_and_covariance_of_the_codes():
    codes = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) + 5
    fitted = LatentGaussian.fit(codes)
    np.testing.assert_allclose(fitted.factor @ fitted.factor.T, np.cov(codes, rowvar=False), rtol=1e-9)
    assert (fitted.factor.max(axis=0) == np.abs(fitted.factor).max(axis=0)).all(), "an axis has one sign everywhere"
    sampled = fitted.sample(200_000, np.random.default_rng(0))
    deviation = codes.std(axis=0, ddof=1)
    np.testing.assert_allclose(sampled.mean(axis=0), codes.mean(axis=0), atol=0.02 * deviation.max())
    scale = np.outer(deviation, deviation)
    np.testing.assert_allclose(np.cov(sampled, rowvar=False) / scale, np.cov(codes, rowvar=False) / scale, atol=0.02)


def test_a_gaussian_of_codes_without_full_rank_stays_where_they_are():
    codes = np.zeros((50, 6))
    codes[:, [1, 3]] = rng.normal(size=(50, 2))
    codes[:, 4] = 2 * codes[:, 1] + 7
    sampled = LatentGaussian.fit(codes).sample(100, np.random.default_rng(0))
    np.testing.assert_allclose(sampled[:, [0, 2, 5]], 0, atol=1e-12)
    np.testing.assert_allclose(sampled[:, 4], 2 * sampled[:, 1] + 7, atol=1e-9)
    assert sampled[:, 3].std() > 0.5
    few = LatentGaussian.fit(codes[:2]).sample(100, np.random.default_rng(0))  # on the line through two codes
    assert np.linalg.matrix_rank(few - few[0], tol=1e-9) == 1


def test_the_same_draws_are_as_far_out_for_every_gaussian():
    def distances(codes):
        sampled = LatentGaussian.fit(codes).sample(10, np.random.default_rng(3)) - codes.mean(axis=0)
        return np.einsum("ni,ij,nj->n", sampled, np.linalg.inv(np.cov(codes, rowvar=False)), sampled)

    first, second = (distances(rng.normal(size=(40, 3)) @ rng.normal(size=(3, 3))) for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=1e-8)


@pytest.mark.parametrize("codes", [np.zeros((1, 3)), np.zeros(5), np.full((4, 2), np.nan)])
def test_codes_that_fit_no_gaussian_are_refused(codes):
    with pytest.raises(Bench3dmmError, match="two or more finite codes"):
        LatentGaussian.fit(codes)


def test_samples_repeat_and_shrink_to_the_mean_code(meshes):
    model = Curved(meshes, 4)
    codes = model.encode(meshes)
    shapes = generative.sample_shapes(model, codes, 5, seed=1)
    assert shapes.shape == (5, VERTICES, 3)
    np.testing.assert_array_equal(shapes, generative.sample_shapes(model, codes, 5, seed=1))
    assert not np.allclose(shapes, generative.sample_shapes(model, codes, 5, seed=2))
    mean = model.decode(codes.mean(axis=0)[None])
    np.testing.assert_allclose(generative.sample_shapes(model, codes, 2, scale=0), np.repeat(mean, 2, axis=0))


def test_samples_of_pca_vary_as_the_meshes_do_that_it_was_fitted_to(meshes):
    model = Linear(meshes, 19)  # of full rank
    shapes = generative.sample_shapes(model, model.encode(meshes), 50_000)
    np.testing.assert_allclose(shapes.mean(axis=0), meshes.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(shapes.std(axis=0), meshes.std(axis=0, ddof=1), rtol=0.03)


# --- latent arithmetic --------------------------------------------------------------------------------------------


def test_for_pca_a_latent_line_is_the_line_between_reconstructions(meshes):
    model, places = Linear(meshes, 4), [-0.5, 0, 0.3, 1, 1.5]
    first, last = model.decode(model.encode(meshes[:2]))
    np.testing.assert_allclose(
        generative.extrapolate(model, *meshes[:2], places), generative.line(first, last, places), atol=1e-9
    )
    middle = generative.interpolate(model, *meshes[:2], steps=3)
    np.testing.assert_allclose(middle, [first, (first + last) / 2, last], atol=1e-9)


def test_for_pca_transfer_is_the_projected_offset(meshes):
    model = Linear(meshes, 4)
    neutral, expressive, other = meshes[:3, None]
    offset = (expressive - neutral).reshape(1, -1) @ model.axes.T @ model.axes
    expected = model.decode(model.encode(other)) + offset.reshape(other.shape)
    np.testing.assert_allclose(generative.transfer(model, neutral, expressive, other), expected, atol=1e-9)
    exact = Linear(meshes, 19)
    by_offsets = generative.transfer_offsets(neutral, expressive, other)
    np.testing.assert_allclose(generative.transfer(exact, neutral, expressive, other), by_offsets, atol=1e-9)


def test_for_any_model_a_line_ends_in_reconstructions_and_transfer_to_oneself_is_one(meshes):
    model = Curved(meshes, 4)
    reconstructed = model.decode(model.encode(meshes))
    path = generative.interpolate(model, *meshes[:2], steps=5)
    np.testing.assert_allclose(path[[0, -1]], reconstructed[:2])
    assert not np.allclose(path[1], 0.75 * path[0] + 0.25 * path[-1], atol=0.01)
    np.testing.assert_allclose(generative.transfer(model, meshes[:3], meshes[3:6], meshes[:3]), reconstructed[3:6])
    np.testing.assert_allclose(generative.transfer(model, meshes[:3], meshes[:3], meshes[3:6]), reconstructed[3:6])


# --- measures -----------------------------------------------------------------------------------------------------


def test_alignment_undoes_rigid_motion_and_nothing_else(meshes):
    moved = meshes[:4] @ Rotation.random(4, random_state=0).as_matrix() + rng.normal(size=(4, 1, 3))
    np.testing.assert_allclose(generative.align(moved, meshes[:4]), meshes[:4], atol=1e-9)
    np.testing.assert_allclose(generative.shape_error(moved, meshes[:4]), 0, atol=1e-9)
    np.testing.assert_allclose(
        generative.align(meshes[:1] @ Rotation.random(random_state=1).as_matrix(), meshes[0])[0], meshes[0]
    )
    mirrored, larger = meshes[:4] * [-1, 1, 1], 1.1 * meshes[:4]
    assert (generative.shape_error(mirrored, meshes[:4]) > 1).all()
    radius = np.linalg.norm(meshes[:4] - meshes[:4].mean(axis=1, keepdims=True), axis=2).mean(axis=1)
    np.testing.assert_allclose(generative.shape_error(larger, meshes[:4]), 0.1 * radius)


def test_alignment_is_scipys(meshes):
    for mesh, target in (meshes[:2], meshes[2:4], (meshes[4] * [1, 1, -1], meshes[4])):
        centred = mesh - mesh.mean(axis=0)
        rotation, _ = Rotation.align_vectors(target - target.mean(axis=0), centred)
        expected = rotation.apply(centred) + target.mean(axis=0)
        np.testing.assert_allclose(generative.align(mesh[None], target)[0], expected, atol=1e-6)


def test_neutral_meshes_are_found_by_name_or_level():
    samples = pd.DataFrame(
        [
            ("a", "happy", 0.5),
            ("a", "neutral", 0.3),
            ("b", "happy", 0.04),
            ("b", "sad", 0.0),
            ("b", "sad", 0.0),
            ("c", "happy", 0.5),
        ],
        columns=["subject", "expression", "level"],
        index=[9, 8, 7, 6, 5, 4],
    )
    assert generative.neutral_rows(samples) == {"a": 1, "b": 3}
    assert generative.expressive_rows(samples, np.arange(6)).tolist() == [0]


def test_what_is_transferred_has_a_truth_and_another_persons_example():
    _, samples = additive(subjects=4)
    samples.loc[samples["subject"] == "S1", "expression"] = "other"  # nobody else has it, and no neutral mesh
    test = np.arange(1, len(samples), 2)
    found = generative.transfer_rows(samples, test)
    row = samples.to_dict("records")
    for neutral_a, example, neutral_b, truth in found:
        assert row[neutral_a]["expression"] == row[neutral_b]["expression"] == "neutral"
        assert row[neutral_a]["subject"] == row[example]["subject"] != row[truth]["subject"]
        assert row[neutral_b]["subject"] == row[truth]["subject"]
        assert all(row[example][name] == row[truth][name] for name in ("expression", "level"))
        assert row[truth]["expression"] != "neutral" and truth in test
    expected = [i for i in test if row[i]["expression"] in ("happy", "sad")]
    assert found[:, 3].tolist() == expected
    assert {(row[a]["subject"], row[b]["subject"]) for _, a, _, b in found} == {
        ("S2", "S0"),
        ("S3", "S2"),
        ("S0", "S3"),
    }
    with pytest.raises(DataError, match="no test mesh has"):
        generative.transfer_rows(samples, np.array([0]))


def test_paths_go_from_neutral_through_a_test_mesh_to_the_strongest():
    _, samples = additive(subjects=2, levels=(0.25, 0.5, 1.0))
    found = generative.path_rows(samples, np.array([0, 2, 3, 8]))
    assert found.tolist() == [[0, 2, 3], [7, 8, 10]], "neither a neutral mesh nor the strongest is between"
    with pytest.raises(DataError, match="no test mesh lies between"):
        generative.path_rows(samples, np.array([3]))


def test_where_expressions_add_up_offsets_transfer_them_exactly():
    vertices, samples = additive()
    rows = generative.transfer_rows(samples, np.arange(len(samples)))
    np.testing.assert_allclose(generative.transfer_errors(None, vertices, rows), 0, atol=1e-9)
    np.testing.assert_allclose(generative.transfer_errors(Linear(vertices, 24), vertices, rows), 0, atol=1e-9)
    lossy = Linear(vertices, 2)
    expected = [generative.shape_error(lossy.decode(lossy.encode(vertices[[t]])), vertices[t])[0] for t in rows[:, 3]]
    np.testing.assert_allclose(generative.reconstruction_errors(lossy, vertices, rows[:, 3]), expected)
    # for a linear model b + (a's offset) is the truth also among the codes, so that nothing but its loss is left
    np.testing.assert_allclose(generative.transfer_errors(lossy, vertices, rows), expected)
    assert min(expected) > 0.1


@pytest.mark.parametrize("curve", [1, 2])
def test_a_straight_path_meets_what_lies_on_it_at_whatever_level(curve):
    vertices, samples = additive(levels=(0.5, 1.0), curve=curve)  # 0.5 and 0.25 of the way: both are among 21 steps
    rows = generative.path_rows(samples, np.arange(len(samples)))
    np.testing.assert_allclose(generative.path_errors(None, vertices, rows), 0, atol=1e-9)
    beside = vertices.copy()
    beside[rows[:, 1]] += rng.normal(0, 1, (VERTICES, 3))
    assert (generative.path_errors(None, beside, rows) > 0.5).all()
    np.testing.assert_allclose(generative.path_errors(Linear(vertices, 24), vertices, rows), 0, atol=1e-9)


# --- trained models, figures, table -------------------------------------------------------------------------------


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
        artefacts.sampling_figure,
        artefacts.interpolation_figure,
        artefacts.extrapolation_figure,
        artefacts.transfer_figure,
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
    figure = artefacts.interpolation_figure([coma, pca], models, faces, book.setup, 8)
    assert "pca\nspecificity\n1.23 mm" in [text.get_text() for text in figure.axes[0].texts]
    table = artefacts.generative_table([coma, pca], models, faces, book.setup, 8)
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
    codes = np.abs(rng.normal(size=(50, 4)))
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
        artefacts.sampling_figure(trained.results, models, faces, book.setup, 9)
    with pytest.raises(DataError, match="bench3dmm sweep peers"):
        artefacts.sampling_figure([], models, faces, book.setup, 8)
    with pytest.raises(DataError, match=r"\(pca\) are not among those given"):
        artefacts.sampling_figure(trained.results, {}, faces, book.setup, 8)
    one_person = replace(faces, samples=faces.samples.assign(subject="S1"))
    with pytest.raises(DataError, match="one person or one expression"):
        artefacts.interpolation_figure(trained.results, models, one_person, book.setup, 8)


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


@pytest.mark.parametrize(
    "run",
    [
        published_run(dataset="mh-scan", model="coma", latent=64, profile="quick"),
        published_run(dataset="mh-seq@clean", model="spiralnet", seed=2, split="without:bareteeth"),
        Run("mh-scan", model="coma", latent=8),
        Run("mh-scan", loss="weighted-l1", weight_decay=2.2e-6),
    ],
)
def test_the_command_gives_the_run_whatever_the_defaults_of_its_fields_are(run):
    words = shlex.split(run_command(run))
    assert words[:2] == ["bench3dmm", "run"]
    kinds = {name: type(value) for name, value in run.as_dict().items()}
    names = [word.removeprefix("--").replace("-", "_") for word in words[2::2]]
    given = {name: kinds[name](word) for name, word in zip(names, words[3::2], strict=True)}
    assert Run(**given) == published_run(**given) == run


def test_the_setup_is_the_readers(faces, trained, book):
    other = Setup("sphere", "sphere", "smoke", (1,))
    with pytest.raises(DataError, match="bench3dmm sweep peers"):
        artefacts.transfer_figure(trained.results, book.weights(trained.results), faces, other, 8)
