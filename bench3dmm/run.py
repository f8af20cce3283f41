"""A run: one training as a flat record of scalars, and what executes it.

The same names are the keys of a stored result's JSON, the flags of ``bench3dmm run`` and the parameters of the
notebooks.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import Bench3dmmError, DataError, UnknownNameError
from bench3dmm.storage import canonical_json

# Read by OpenMP when torch is first imported. Its threads otherwise spin while they wait, and where another process
# wants the same cores a training step then takes up to a hundred times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.mesh.template import Template
    from bench3dmm.objective import Objective
    from bench3dmm.results import Result
    from bench3dmm.train import Normaliser


@dataclass(frozen=True)
class Profile:
    """How much of a training to do. Meshes are taken evenly from the split's sorted rows; None is all."""

    epochs: int
    max_train: int | None
    max_test: int | None


PROFILES = {
    "smoke": Profile(epochs=2, max_train=128, max_test=32),
    "quick": Profile(epochs=30, max_train=2000, max_test=400),
    "paper": Profile(epochs=300, max_train=None, max_test=None),
}


ADDED = {
    "optimizer": "adam",
    "schedule": "exponential",
    "final_learning_rate": 0.0,
    "warm_up": 0.0,
    "task": "reconstruction",
}
"""Fields that runs did not have at first, and the value that all of them had without saying so."""


TRAINING = (
    "optimizer",
    "learning_rate",
    "learning_rate_decay",
    "weight_decay",
    "batch_size",
    "schedule",
    "final_learning_rate",
    "warm_up",
)
"""Fields of a run that a model's published training may set."""
TASKS = {
    "reconstruction": "meshes from their codes",
    "manipulation": "control vertices displace regions; training goes on from the reconstruction's weights",
    "manipulation-from-scratch": "the same, from new weights",
    "manipulation-by-regions": "the same from the reconstruction's weights, half of the targets for some regions only",
}
BEGUN = ("manipulation", "manipulation-by-regions")
"""Tasks whose training goes on from that of the reconstruction."""


@dataclass(frozen=True)
class Run:
    """One training and its evaluation. The defaults of the optimisation are those published for Neural3DMM;
    `published_run` takes those of the run's own model.

    Attributes:
        dataset: name, optionally with a variant: ``mh-scan``, ``mh-scan@clean``.
        split: ``percentage``, ``identity``, or ``without:`` and an expression.
        model, preset: what is trained, and with which architecture.
        latent: size d of the code.
        loss: training loss.
        seed: of the initial weights and the order of the meshes.
        split_seed: of the split.
        test_share: of each person's meshes (percentage) or of the people (identity); 0 stands for the paper's.
        validation: training rows, the last ones, that are left out, as the released code does with 100.
        profile: see `PROFILES`.
        epochs: 0 stands for the profile's.
        batch_size, learning_rate, learning_rate_decay, weight_decay: of the optimiser; the decay is per epoch.
        optimizer: ``adam``, ``adamw``, or ``sgd`` with momentum; see `bench3dmm.step`.
        schedule: of the learning rate, ``exponential`` or ``cosine``; see `bench3dmm.train.Schedule`.
        final_learning_rate: where the cosine ends.
        warm_up: share of the epochs in which the learning rate first grows from 0.
        task: what is trained for; see `TASKS`.

    Raises:
        Bench3dmmError: for a value that is not of its type or out of range. Names of datasets, splits, models
            and losses are looked up by `check_names`, so that old results stay readable.
    """

    dataset: str
    split: str = "percentage"
    model: str = "neural3dmm"
    preset: str = "paper"
    latent: int = 16
    loss: str = "l1"
    seed: int = 0
    split_seed: int = 0
    test_share: float = 0.0
    validation: int = 0
    profile: str = "smoke"
    epochs: int = 0
    batch_size: int = 16
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.99
    weight_decay: float = 5e-5
    optimizer: str = "adam"
    schedule: str = "exponential"
    final_learning_rate: float = 0.0
    warm_up: float = 0.0
    task: str = "reconstruction"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _coerce(field.name, field.type, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        for name, least in (
            ("latent", 1),
            ("batch_size", 1),
            ("epochs", 0),
            ("seed", 0),
            ("split_seed", 0),
            ("validation", 0),
        ):
            if getattr(self, name) < least:
                raise Bench3dmmError(f"{name} must be {least} or more, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 < self.learning_rate_decay <= 1:
            raise Bench3dmmError(
                "learning_rate must be above 0, weight_decay 0 or more and learning_rate_decay in (0, 1]; got "
                f"{self.learning_rate}, {self.weight_decay}, {self.learning_rate_decay}"
            )
        if not 0 <= self.warm_up < 1:
            raise Bench3dmmError(f"warm_up is a share of the epochs, in [0, 1); got {self.warm_up}")
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise Bench3dmmError(
                f"final_learning_rate must be from 0 to learning_rate, {self.learning_rate}; "
                f"got {self.final_learning_rate}"
            )
        if not 0 <= self.test_share < 1:
            raise Bench3dmmError(f"test_share must be in [0, 1), got {self.test_share}")
        if self.task not in TASKS:
            raise UnknownNameError("task", self.task, TASKS)
        if self.profile not in PROFILES:
            raise UnknownNameError("profile", self.profile, PROFILES)

    @property
    def run_id(self) -> str:
        """First 12 hex digits of the sha256 over the canonical JSON of all fields.

        Without those of `ADDED` that have the value which was the only one before: results stored then stay found.
        """
        fields = {name: value for name, value in self.as_dict().items() if ADDED.get(name) != value}
        return hashlib.sha256(canonical_json(fields).encode()).hexdigest()[:12]

    @property
    def n_epochs(self) -> int:
        return self.epochs or PROFILES[self.profile].epochs

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def field_names(cls) -> list[str]:
        return [field.name for field in dataclasses.fields(cls)]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Run:
        """Raises Bench3dmmError for a missing, unknown or wrong field; one of `ADDED` may be missing."""
        names = cls.field_names()
        values = {**ADDED, **values}
        for name in values:
            if name not in names:
                raise UnknownNameError("field of a run", str(name), names)
        if missing := [name for name in names if name not in values]:
            raise Bench3dmmError(f"a run lacks the field {', '.join(missing)}")
        return cls(**values)


def _coerce(name: str, kind: str, value: Any) -> Any:
    if kind == "str" and isinstance(value, str) and value.strip():
        return value
    # Numbers may be NumPy's, as they come from arrays and frames; True is no number.
    if kind in ("int", "float") and not isinstance(value, bool | str):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if kind == "float" and math.isfinite(number):
            return number
        if kind == "int" and number.is_integer():
            return int(value)
    wanted = {"str": "a name", "int": "an integer", "float": "a finite number"}[kind]
    raise Bench3dmmError(f"{name} must be {wanted}, got {value!r}")


def published_run(**fields: Any) -> Run:
    """A run with the training its model was published with; fields that are given hold instead.

    Raises:
        UnknownNameError: no such model or preset.
    """
    from bench3dmm.models import published_training

    model, preset, task = (fields.get(name, getattr(Run, name)) for name in ("model", "preset", "task"))
    return Run(**{**published_training(model, preset, task), **fields})


def base_run(run: Run) -> Run | None:
    """The run whose weights a run begins with: of a manipulation, the reconstruction with its published training."""
    from bench3dmm.models import closed_form

    if run.task not in BEGUN or closed_form(run.model):
        return None
    return published_run(**{name: value for name, value in run.as_dict().items() if name not in (*TRAINING, "task")})


def run_command(run: Run) -> str:
    """What trains that run: ``bench3dmm run`` with the fields that differ from their defaults or the model's own."""
    values, plain = run.as_dict(), Run(run.dataset).as_dict()
    published = published_run(dataset=run.dataset, model=run.model, preset=run.preset, task=run.task).as_dict()
    given = [name for name in values if name == "dataset" or not values[name] == plain[name] == published[name]]
    options = (f"--{name.replace('_', '-')} {shlex.quote(str(values[name]))}" for name in given)
    return " ".join(["bench3dmm run", *options])


QUICKSTART = Run("mh-scan", latent=16, profile="quick")
"""What notebooks/00_quickstart.ipynb trains, and ``bench3dmm verify`` where no run is named."""


def check_names(run: Run) -> None:
    """Raises UnknownNameError for a split, model, preset, task, loss, optimiser or schedule that does not exist."""
    from bench3dmm.data.splits import check_split
    from bench3dmm.losses import check_loss
    from bench3dmm.models import check_model
    from bench3dmm.step import check_optimizer
    from bench3dmm.train import check_schedule

    check_split(run.split)
    check_model(run.model, run.preset, run.task)
    check_loss(run.loss)
    check_optimizer(run.optimizer)
    check_schedule(run.schedule)


def execute(
    run: Run,
    results_dir: str | Path = "results",
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
    *,
    dataset: Dataset | None = None,
) -> Result:
    """Train and evaluate a run and store its result, or load the result that is stored already.

    Writes ``<results_dir>/<profile>/<run_id>`` ``.safetensors`` (weights, normalisation and hierarchy), ``.npz``
    (arrays) and, last, ``.json``. While it trains, a checkpoint lies in ``<results_dir>/<profile>/.partial``, from
    which an interrupted run goes on.

    Args:
        run: what to train.
        device: see `bench3dmm.device.resolve_device`.
        force: train from the start even if a result or a checkpoint is stored.
        progress: show what happens on stderr.
        dataset: meshes to use instead of ``load_dataset(run.dataset)``; it must have that name.

    Raises:
        UnknownNameError, DataError, MeshError, TrainingError: each says what to change.
    """
    from bench3dmm.results import result_path

    check_names(run)
    path = result_path(run, results_dir)
    if path.exists() and not force:
        return _stored(path, dataset)
    if dataset is not None and dataset.name != run.dataset:
        raise DataError(f"the run is of dataset {run.dataset!r}, the dataset given is {dataset.name!r}")

    from bench3dmm.device import resolve_device

    torch_device = resolve_device(device)
    if dataset is None:
        from bench3dmm.data import load_dataset

        dataset = load_dataset(run.dataset, progress=progress)
    partial = path.parent / ".partial" / run.run_id
    if force:  # a forced run that is killed goes on without force: nothing of the old result may be taken for it
        path.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    result = _train_and_evaluate(run, dataset, torch_device, path, partial / "checkpoint.safetensors", progress)
    shutil.rmtree(partial, ignore_errors=True)
    return result


def _stored(path: Path, dataset: Dataset | None) -> Result:
    """The stored result, if it was measured on the data, and with the code, that its names stand for today."""
    from bench3dmm.data import recipe_sha256
    from bench3dmm.plugins import changed_since
    from bench3dmm.results import load_result

    result = load_result(path)
    made_from = result.provenance["dataset_recipe_sha256"]
    today = dataset.card.get("recipe_sha256") if dataset else recipe_sha256(result.run.dataset)
    other_content = dataset and not today and dataset.sha256 != result.provenance["dataset_sha256"]
    if made_from != today or other_content:
        raise DataError(f"{path}: measured on another version of {result.run.dataset}; run it again with --force")
    if changed_since(result.run.model, result.provenance):
        raise DataError(f"{path}: trained with another version of {result.run.model}'s code; run it again with --force")
    return result


def _train_and_evaluate(
    run: Run, dataset: Dataset, device: torch.device, path: Path, checkpoint: Path, progress: bool
) -> Result:
    import numpy as np

    from bench3dmm import provenance, train
    from bench3dmm.device import seeded
    from bench3dmm.inference import ready_to_infer
    from bench3dmm.mesh.coarsen import build_hierarchy
    from bench3dmm.models import build_model, fitted_numbers
    from bench3dmm.plugins import origins
    from bench3dmm.results import Result, save_result
    from bench3dmm.weights import save_weights

    started = time.perf_counter()
    train_rows, test_rows, hashes = _rows(run, dataset)
    hierarchy = build_hierarchy(dataset.template)
    hashes["hierarchy_sha256"] = hierarchy.sha256
    with seeded(run.seed):
        model = build_model(run.model, hierarchy, run.latent, preset=run.preset)
    normaliser = train.Normaliser.fit(dataset.vertices, train_rows, scale=getattr(model, "scale_coordinates", True))
    foreign = origins(run)
    base = base_run(run)
    begun = _begin_with(base, model, dataset, path, device, progress) if base else {}
    parameters = fitted_numbers(model)
    if progress:
        print(_headline(run, len(train_rows), len(test_rows), parameters, device), file=sys.stderr)

    model.to(device)
    losses, training_seconds = train.fit(
        model,
        train.load_normalised(dataset.vertices, train_rows, normaliser, device),
        _objective(run, model, dataset.template, device),
        train.Schedule.of(run),
        run.seed,
        checkpoint=checkpoint,
        fingerprint=canonical_json(
            {**hashes, **foreign, **begun, **run.as_dict(), "device": device.type, **provenance.versions()}
        ),
        label=run.run_id,
        progress=progress,
    )
    metrics, arrays = _measure(run, ready_to_infer(model), dataset, train_rows, test_rows, normaliser, device)
    record = {
        **hashes,
        **foreign,
        **begun,
        "seeds": {"seed": run.seed, "split_seed": run.split_seed},
        "epochs": len(losses),
        "train_meshes": len(train_rows),
        "test_meshes": len(test_rows),
        "parameters": parameters,
        **provenance.environment(device),
        "training_seconds": round(training_seconds, 3),  # over all sittings of an interrupted run
        "seconds": round(time.perf_counter() - started, 3),
    }
    result = Result(run, metrics, record, {**arrays, "loss": np.array(losses)})
    save_weights(path.with_suffix(".safetensors"), run, model, normaliser, hierarchy, dataset)
    save_result(result, path.parent.parent)
    if progress:
        print(f"{run.run_id}: mean error {metrics['mean_mm']:.3f} mm, in {path}", file=sys.stderr)
    return result


def _begin_with(
    base: Run, model: nn.Module, dataset: Dataset, path: Path, device: torch.device, progress: bool
) -> dict[str, Any]:
    """Give a model the weights of its base run, which is executed if it is not stored; what it was, for the record."""
    from bench3dmm.results import result_path
    from bench3dmm.storage import hash_file
    from bench3dmm.weights import load_model

    results_dir = path.parent.parent
    execute(base, results_dir, str(device), progress=progress, dataset=dataset)
    weights = result_path(base, results_dir).with_suffix(".safetensors")
    if not weights.exists():
        command = f"{run_command(base)} --force"
        raise DataError(f"{weights}: missing; a manipulation begins with these weights, and `{command}` trains them")
    trained, _ = load_model(weights, dataset=dataset)
    model.load_state_dict(trained.state_dict())
    return {"base": {"run_id": base.run_id, "weights_sha256": hash_file(weights)}}


def _objective(run: Run, model: nn.Module, template: Template, device: torch.device) -> Objective:
    from bench3dmm.composite import Composite
    from bench3dmm.losses import make_loss
    from bench3dmm.objective import Manipulation, Reconstruction

    loss = make_loss(run.loss, template, device)
    if run.task == Run.task:
        return Reconstruction(loss)
    by_regions = run.task == "manipulation-by-regions"
    return Manipulation(loss, run.n_epochs, Composite(model.partition, template, device) if by_regions else None)


def measure_again(
    run: Run, results_dir: str | Path = "results", device: str = "auto", *, dataset: Dataset | None = None
) -> Result:
    """Evaluate a stored run from its weights, and store what comes out in place of what was measured before.

    For measures that were added after a run was trained. The record keeps where it was trained, and says under
    ``measured`` where and by which code it was evaluated last.

    Raises:
        DataError: not stored, without weights, or of other data than today's.
    """
    from bench3dmm import provenance
    from bench3dmm.data import load_dataset
    from bench3dmm.device import resolve_device
    from bench3dmm.results import Result, load_result, result_path, save_result
    from bench3dmm.weights import load_model

    path = result_path(run, results_dir)
    stored = load_result(path)
    dataset = dataset or load_dataset(run.dataset)
    train_rows, test_rows, hashes = _rows(run, dataset)
    for name, value in hashes.items():
        if stored.provenance[name] != value:
            raise DataError(f"{path}: its {name} is not today's: it was measured on other data; run it with --force")
    torch_device = resolve_device(device)
    model, normaliser = load_model(path, device, dataset=dataset)
    metrics, arrays = _measure(run, model, dataset, train_rows, test_rows, normaliser, torch_device)
    record = {**stored.provenance, "measured": provenance.environment(torch_device)}
    result = Result(run, metrics, record, {**arrays, "loss": stored.arrays["loss"]})
    save_result(result, results_dir)
    return result


def training_rows(run: Run, dataset: Dataset) -> np.ndarray:
    """The rows of a dataset that a run trains on, sorted."""
    return _rows(run, dataset)[0]


def _rows(run: Run, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, dict[str, str | None]]:
    """The rows a run trains and tests on, and the hashes of what they are rows of."""
    from bench3dmm.data.splits import make_split

    split = make_split(run.split, dataset.samples, run.split_seed, run.test_share)
    train_rows, test_rows = rows_of_profile(split.train, split.test, PROFILES[run.profile])
    if run.validation >= len(train_rows):
        raise DataError(f"validation = {run.validation} leaves nothing of {len(train_rows)} training meshes")
    hashes = {
        "dataset_sha256": dataset.sha256,
        "dataset_recipe_sha256": dataset.card.get("recipe_sha256"),
        "split_sha256": split.sha256,
    }
    return train_rows[: len(train_rows) - run.validation], test_rows, hashes


def _measure(
    run: Run,
    model: nn.Module,
    dataset: Dataset,
    train_rows: np.ndarray,
    test_rows: np.ndarray,
    normaliser: Normaliser,
    device: torch.device,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Everything that is measured of a trained model: metrics and arrays."""
    from bench3dmm.evaluate import evaluate
    from bench3dmm.shape_model import measure_shape_model

    metrics, arrays = evaluate(
        model,
        dataset.vertices,
        dataset.samples,
        test_rows,
        normaliser,
        device,
        dataset.template,
        reconstructions=_kept_reconstructions(run),
    )
    shapes = measure_shape_model(model, dataset.vertices, train_rows, normaliser, device)
    metrics |= {
        "compactness": shapes.compactness,
        "specificity_mm": float(shapes.specificity.mean()),
        "specificity_sd_mm": float(shapes.specificity.std(ddof=1)),
    }
    arrays["specificity"] = shapes.specificity
    if run.task != Run.task:
        from bench3dmm.manipulation import measure_manipulation

        edits, edit_arrays = measure_manipulation(
            model, dataset.vertices, dataset.samples, test_rows, dataset.template, normaliser, device
        )
        metrics, arrays = {**metrics, **edits}, {**arrays, **edit_arrays}
    return metrics, arrays


def _kept_reconstructions(run: Run) -> int:
    """How many reconstructions a result keeps: what figures show, because results are to fit into a repository."""
    from bench3dmm.data.splits import SPLITS
    from bench3dmm.evaluate import RECONSTRUCTIONS

    if run.split not in SPLITS:
        return 0
    if run.model == Run.model:  # of the replicated paper
        return RECONSTRUCTIONS
    return 1 if run.seed == 0 else 0


def rows_of_profile(train: np.ndarray, test: np.ndarray, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """The rows a profile uses, taken evenly from a split's sorted rows."""
    from bench3dmm.evaluate import even_positions

    def thin(rows: np.ndarray, at_most: int | None) -> np.ndarray:
        return rows if at_most is None else rows[even_positions(len(rows), at_most)]

    return thin(train, profile.max_train), thin(test, profile.max_test)


def _headline(run: Run, n_train: int, n_test: int, n_parameters: int, device: torch.device) -> str:
    return (
        f"{run.run_id}: {run.model} ({run.preset}), d = {run.latent}, on {run.dataset}, {run.split} split; "
        f"{n_train} training and {n_test} test meshes, {n_parameters:,} parameters, {device}"
    )
