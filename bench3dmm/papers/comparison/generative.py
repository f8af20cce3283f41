"""What the models can make, not only how well they compress: samples, lines between meshes, transferred expressions.

Figures of one latent size and seed, a row a model, with its specificity beside it; and a table of what can be measured.
Meshes are at fixed positions of the test set, not chosen by how they look. See `bench3dmm.apply.generative` for the
methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.apply import generative
from bench3dmm.data.rows import even_positions, training_rows
from bench3dmm.errors import DataError
from bench3dmm.papers.protocol import PEER_LATENTS
from bench3dmm.papers.setup import Chosen, Setup, choose
from bench3dmm.statistics.bootstrap import bootstrap_mean
from bench3dmm.system.words import small_print
from bench3dmm.tasks.parts.latent import LatentGaussian
from bench3dmm.view.curves import run_line
from bench3dmm.view.grid import mesh_grid
from bench3dmm.view.tables import NONE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.runs.results import Result

    Models = Mapping[str, generative.Autoencoder]  # by run id

LATENT = 16
SAMPLES = 6
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
STRONG = 0.9  # of the strongest level among the test meshes: what is shown
MEASURED = 200  # test meshes, at most, that the table goes through
SPECIFICITY = "specificity: mean distance of random shapes to the nearest training mesh"
NO_MODEL = "vertices,\nno model"


def sampling_figure(
    results: Sequence[Result],
    models: Models,
    dataset: Dataset,
    setup: Setup | None = None,
    latent: int = LATENT,
    experiment: str = "peers",
    **where: Any,
) -> Figure:
    """The shape of the mean code and six random ones of each model, from a Gaussian fitted to the training codes.

    All models decode the same random numbers, each along the principal axes of its own codes, so that shapes of a
    column are equally unlikely. The footer says where a Gaussian does not fit the codes: where those are never
    negative, as CoMA's behind its ReLU, or a unit never varies.

    Args:
        results: of the peers' runs on the dataset, percentage split, first seed; others are ignored.
        models: by run id; see `bench3dmm.pages.workbook.Workbook.weights`.
        dataset: the one in BU3DFE's place.
        experiment, where: whose runs instead of the peers', and which of them, e.g. ``model="lamm"``.

    Raises:
        DataError: none of the runs is among the results, or the weights of one are not among the models.
    """
    chosen = _choose("the figure of samples", results, setup, latent, experiment, **where)
    shapes, misfits = [], []
    for result in chosen.results:
        model, train = _model(models, result), training_rows(result.run, dataset)
        codes = _encode(model, dataset.vertices, train)
        gaussian = LatentGaussian.fit(codes)
        drawn = gaussian.sample(SAMPLES, np.random.default_rng(0))
        shapes.append(model.decode(np.concatenate([gaussian.mean[None], drawn])))
        misfits += _misfits(result.run.model, codes, gaussian)
    said = [f"Gaussian fitted to the codes of {len(train):,} training meshes"]
    if len(chosen.results) > 1:
        said.append("the same random numbers for all models")
    titles = ["mean code", *(f"sample {i + 1}" for i in range(SAMPLES))]
    return mesh_grid(np.stack(shapes), dataset, _labels(chosen), titles, _footer(chosen, latent, *said, *misfits))


def interpolation_figure(
    results: Sequence[Result],
    models: Models,
    dataset: Dataset,
    setup: Setup | None = None,
    latent: int = LATENT,
    experiment: str = "peers",
    **where: Any,
) -> Figure:
    """From one test mesh to another, of a different person and expression, along the latent line of each model and,
    in the last row, along straight lines of the vertices; the true ends beside. See `sampling_figure`."""
    chosen = _choose("the figure of interpolations", results, setup, latent, experiment, **where)
    first, last = _distant_pair(dataset, chosen)
    a, b = _meshes(dataset, first), _meshes(dataset, last)
    lines = [generative.extrapolate(_model(models, result), a, b, STEPS) for result in chosen.results]
    shapes = np.stack([np.stack([a, *points, b]) for points in [*lines, generative.line(a, b, STEPS)]])
    titles = [f"true\n{_name(dataset, first)}", *(f"{step:g}" for step in STEPS), f"true\n{_name(dataset, last)}"]
    said = "first and last of the test meshes at full expression that differ in both"
    return mesh_grid(shapes, dataset, [*_labels(chosen), NO_MODEL], titles, _footer(chosen, latent, said))


def extrapolation_figure(
    results: Sequence[Result], models: Models, dataset: Dataset, setup: Setup | None = None, latent: int = LATENT
) -> Figure:
    """A person's expression weakened and exaggerated along the latent line through the neutral mesh (0) and the test
    mesh (1); in the last row, along that of the vertices. See `sampling_figure`."""
    chosen = _choose("the figure of extrapolations", results, setup, latent)
    row = _middle(_strong(dataset, generative.expressive_rows(dataset.samples, _test_rows(chosen))))
    neutral = _meshes(dataset, generative.neutral_rows(dataset.samples)[str(dataset.samples["subject"].iloc[row])])
    mesh = _meshes(dataset, row)
    lines = [generative.extrapolate(_model(models, result), neutral, mesh, STRENGTHS) for result in chosen.results]
    lines.append(generative.line(neutral, mesh, STRENGTHS))
    shapes = np.stack([np.stack([neutral, mesh, *points]) for points in lines])
    titles = ["true\nneutral", f"true\n{_name(dataset, row)}", *(f"{strength:g}" for strength in STRENGTHS)]
    said = "the middle one of the test meshes at full expression · numbers: strength of the expression"
    return mesh_grid(shapes, dataset, [*_labels(chosen), NO_MODEL], titles, _footer(chosen, latent, said))


def transfer_figure(
    results: Sequence[Result], models: Models, dataset: Dataset, setup: Setup | None = None, latent: int = LATENT
) -> Figure:
    """One person's expression on another's face by latent arithmetic, beside that person's own and the error; in the
    last row by the offsets of the vertices. See `sampling_figure`."""
    chosen = _choose("the figure of transferred expressions", results, setup, latent)
    quadruples = generative.transfer_rows(dataset.samples, _test_rows(chosen))
    truths = _strong(dataset, quadruples[:, 3])
    given = quadruples[quadruples[:, 3] == _middle(truths)][0]
    neutral_a, expressive_a, neutral_b, truth = _meshes(dataset, given)
    one = neutral_a[None], expressive_a[None], neutral_b[None]
    faces = [generative.transfer(_model(models, result), *one)[0] for result in chosen.results]
    made = generative.align(np.stack([*faces, generative.transfer_offsets(*one)[0]]), truth)
    error = np.linalg.norm(made - truth, axis=2)
    shapes = np.stack([np.stack([neutral_a, expressive_a, neutral_b, mesh, truth, mesh]) for mesh in made])
    a, b = (_name(dataset, row).split("\n")[0] for row in (given[0], given[3]))
    titles = [f"{a}\nneutral", _name(dataset, given[1]), f"{b}\nneutral", f"{b}\ntransferred", f"{b}\ntrue", "error"]
    said = "the middle one of the test meshes at full expression, example by the next person · error after alignment"
    labels = [*_labels(chosen), NO_MODEL]
    return mesh_grid(shapes, dataset, labels, titles, _footer(chosen, latent, said), error)


def generative_table(
    results: Sequence[Result], models: Models, dataset: Dataset, setup: Setup | None = None, latent: int = LATENT
) -> pd.DataFrame:
    """Specificity, and errors where the data hold the truth, in mm with 95 % intervals over test persons.

    Columns: ``specificity``; ``transfer``, see `bench3dmm.apply.generative.transfer_errors`; ``its truth
    reconstructed``, the part of that which is not the arithmetic's; ``interpolation``, see `path_errors`; ``its truth
    reconstructed`` again.
    Below the models what needs none. Up to 200 test meshes, at even positions. See `sampling_figure`.
    """
    import pandas as pd

    chosen = _choose("the table of generative use", results, setup, latent)
    test = _test_rows(chosen)
    quadruples = _thinned(generative.transfer_rows(dataset.samples, test))
    triples = _thinned(generative.path_rows(dataset.samples, test))
    people = dataset.samples["subject"].to_numpy(str)
    targets, points = quadruples[:, 3], triples[:, 1]

    def cell(errors: np.ndarray, rows: np.ndarray) -> str:
        interval = bootstrap_mean(errors[None], people[rows])
        return f"{interval.point:.2f} [{interval.low:.2f}, {interval.high:.2f}]"

    def measured(model: generative.Autoencoder | None) -> dict[str, str]:
        columns = {
            "transfer": cell(generative.transfer_errors(model, dataset.vertices, quadruples), targets),
            "interpolation": cell(generative.path_errors(model, dataset.vertices, triples), points),
        }
        if model is not None:
            of_target = generative.reconstruction_errors(model, dataset.vertices, targets)
            of_point = generative.reconstruction_errors(model, dataset.vertices, points)
            columns["transfer, truth reconstructed"] = cell(of_target, targets)
            columns["interpolation, truth reconstructed"] = cell(of_point, points)
        return columns

    rows = {
        result.run.model: {"specificity": _specificity(result), **measured(_model(models, result))}
        for result in chosen.results
    }
    rows["vertices, no model"] = measured(None)
    kept = generative.shape_error(dataset.vertices[quadruples[:, 2]], dataset.vertices[targets])
    rows["neutral mesh kept"] = {"transfer": cell(kept, targets)}
    order = ["specificity", "transfer", "interpolation"]
    order[2:2], order[4:4] = ["transfer, truth reconstructed"], ["interpolation, truth reconstructed"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=order).fillna(NONE).rename_axis("model")
    frame.attrs["footer"] = _footer(
        chosen,
        latent,
        f"mm, 95 % intervals over {len(set(people[targets]))} persons and {len(set(people[points]))}",
        f"transfer of {len(targets)} expressions: mean vertex distance to the person's own, after rigid alignment",
        f"interpolation of {len(points)}: the same to the nearest of {generative.PATH_STEPS} meshes between the "
        "neutral and the strongest one",
        "truths are test meshes, what they are made from may be training meshes",
    )
    return frame


# --- which runs, which meshes -------------------------------------------------------------------------------------


def _choose(
    what: str,
    results: Sequence[Result],
    setup: Setup | None,
    latent: int,
    experiment: str = "peers",
    **where: Any,
) -> Chosen:
    if latent not in PEER_LATENTS:
        raise DataError(f"{what}: the peers are not trained at d = {latent}, but {', '.join(map(str, PEER_LATENTS))}")
    setup = setup or Setup()
    where |= {"dataset": setup.bu3dfe, "split": "percentage", "latent": latent, "seed": setup.seeds[0]}
    return choose(what, results, setup, experiment, **where)


def _model(models: Models, result: Result) -> generative.Autoencoder:
    if result.run.run_id not in models:
        raise DataError(f"the weights of run {result.run.run_id} ({result.run.model}) are not among those given")
    return models[result.run.run_id]


def _test_rows(chosen: Chosen) -> np.ndarray:
    return chosen.results[0].arrays["sample_index"]


def _strong(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Those rows whose expression is about as strong as any of theirs."""
    if not len(rows):
        raise DataError(f"{dataset.name}: no test mesh shows an expression of a person with a neutral mesh")
    levels = dataset.samples["level"].to_numpy(float)[rows]
    return rows[levels >= STRONG * levels.max()]


def _middle(rows: np.ndarray) -> int:
    return int(rows[len(rows) // 2])


def _distant_pair(dataset: Dataset, chosen: Chosen) -> tuple[int, int]:
    strong = dataset.samples.iloc[_strong(dataset, _test_rows(chosen))]
    first = strong.iloc[0]
    others = strong[(strong["subject"] != first["subject"]) & (strong["expression"] != first["expression"])]
    if others.empty:
        raise DataError(f"{dataset.name}: its test meshes are of one person or one expression")
    place = dataset.samples.index.get_indexer([strong.index[0], others.index[-1]])
    return int(place[0]), int(place[1])


def _thinned(rows: np.ndarray) -> np.ndarray:
    return rows[even_positions(len(rows), MEASURED)]


def _meshes(dataset: Dataset, rows: int | np.ndarray) -> np.ndarray:
    return np.asarray(dataset.vertices[rows], dtype=np.float64)


def _encode(model: generative.Autoencoder, vertices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Codes (n, d) of those rows, without holding all their meshes at once."""
    return np.concatenate([model.encode(vertices[part]) for part in np.array_split(rows, -(-len(rows) // 256))])


# --- words and drawing --------------------------------------------------------------------------------------------


def _specificity(result: Result) -> str:
    mean, sd = (result.metrics.get(name, np.nan) for name in ("specificity_mm", "specificity_sd_mm"))
    return NONE if np.isnan(mean) else f"{mean:.2f} ± {sd:.2f}"


def _labels(chosen: Chosen) -> list[str]:
    specificities = [result.metrics.get("specificity_mm", np.nan) for result in chosen.results]
    shown = [NONE if np.isnan(value) else f"{value:.2f} mm" for value in specificities]
    return [f"{result.run.model}\nspecificity\n{s}" for result, s in zip(chosen.results, shown, strict=True)]


def _name(dataset: Dataset, row: int) -> str:
    sample = dataset.samples.iloc[row]
    return f"{sample['subject']}\n{sample['expression']}".replace("_", " ")


def _footer(chosen: Chosen, latent: int, *parts: str) -> str:
    missing = f"missing: {', '.join(run.model for run in chosen.missing)}" if chosen.missing else ""
    size = f"d = {latent}" if len(chosen.results) > 1 else ""  # a single run's line has it
    return small_print(run_line(*chosen.results), size, missing, *parts, SPECIFICITY)


def _misfits(name: str, codes: np.ndarray, gaussian: LatentGaussian) -> list[str]:
    """Where codes are not what a Gaussian takes them for."""
    said = []
    if (codes >= 0).all():
        below = (gaussian.sample(1000, np.random.default_rng(0)) < 0).mean()
        said.append(f"{name}: no code is negative, {100 * below:.1f} % of the Gaussian's values are")
    if still := int((np.ptp(codes, axis=0) == 0).sum()):
        said.append(f"{name}: {still} of its {codes.shape[1]} units never vary")
    return said
