"""Train and evaluate a run and store its result."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.data.rows import rows_of
from bench3dmm.errors import DataError
from bench3dmm.record.run import Run
from bench3dmm.system.storage import canonical_json
from bench3dmm.tasks.published import base_run, run_command

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.data.normaliser import Normaliser
    from bench3dmm.mesh.template import Template
    from bench3dmm.runs.results import Result
    from bench3dmm.training.objective import Objective


def check_names(run: Run) -> None:
    """Raises UnknownNameError for a split, model, preset, task, loss, optimiser or schedule that does not exist."""
    from bench3dmm.data.splits import check_split
    from bench3dmm.models.registry import check_model
    from bench3dmm.training.losses import check_loss
    from bench3dmm.training.schedule import check_schedule
    from bench3dmm.training.step import check_optimizer

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
        device: see `bench3dmm.system.device.resolve_device`.
        force: train from the start even if a result or a checkpoint is stored.
        progress: show what happens on stderr.
        dataset: meshes to use instead of ``load_dataset(run.dataset)``; it must have that name.

    Raises:
        UnknownNameError, DataError, MeshError, TrainingError: each says what to change.
    """
    from bench3dmm.runs.results import result_path

    check_names(run)
    path = result_path(run, results_dir)
    if path.exists() and not force:
        return _stored(path, dataset)
    if dataset is not None and dataset.name != run.dataset:
        raise DataError(f"the run is of dataset {run.dataset!r}, the dataset given is {dataset.name!r}")

    from bench3dmm.system.device import resolve_device

    torch_device = resolve_device(device)
    if dataset is None:
        from bench3dmm.data.registry import load_dataset

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
    from bench3dmm.data.registry import recipe_sha256
    from bench3dmm.runs.provenance import changed_since
    from bench3dmm.runs.results import load_result

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

    from bench3dmm import train
    from bench3dmm.mesh.hierarchy import build_hierarchy
    from bench3dmm.models.interface import fitted_numbers, ready_to_infer
    from bench3dmm.models.registry import build_model
    from bench3dmm.runs import provenance
    from bench3dmm.runs.provenance import origins
    from bench3dmm.runs.results import Result, save_result
    from bench3dmm.system.device import seeded
    from bench3dmm.training.weights import save_weights

    started = time.perf_counter()
    train_rows, test_rows, hashes = rows_of(run, dataset)
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
    from bench3dmm.runs.results import result_path
    from bench3dmm.system.storage import hash_file
    from bench3dmm.training.weights import load_model

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
    from bench3dmm.tasks.manipulation import Manipulation
    from bench3dmm.tasks.parts.composite import Composite
    from bench3dmm.training.losses import make_loss
    from bench3dmm.training.objective import Reconstruction

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
    from bench3dmm.data.registry import load_dataset
    from bench3dmm.runs import provenance
    from bench3dmm.runs.results import Result, load_result, result_path, save_result
    from bench3dmm.system.device import resolve_device
    from bench3dmm.training.weights import load_model

    path = result_path(run, results_dir)
    stored = load_result(path)
    dataset = dataset or load_dataset(run.dataset)
    train_rows, test_rows, hashes = rows_of(run, dataset)
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
    from bench3dmm.tasks.parts.errors import evaluate
    from bench3dmm.tasks.parts.shape_model import measure_shape_model

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
        from bench3dmm.tasks.parts.edits import measure_manipulation

        edits, edit_arrays = measure_manipulation(
            model, dataset.vertices, dataset.samples, test_rows, dataset.template, normaliser, device
        )
        metrics, arrays = {**metrics, **edits}, {**arrays, **edit_arrays}
    return metrics, arrays


def _kept_reconstructions(run: Run) -> int:
    """How many reconstructions a result keeps: what figures show, because results are to fit into a repository."""
    from bench3dmm.data.splits import SPLITS
    from bench3dmm.tasks.parts.errors import RECONSTRUCTIONS

    if run.split not in SPLITS:
        return 0
    if run.model == Run.model:  # of the replicated paper
        return RECONSTRUCTIONS
    return 1 if run.seed == 0 else 0


def _headline(run: Run, n_train: int, n_test: int, n_parameters: int, device: torch.device) -> str:
    return (
        f"{run.run_id}: {run.model} ({run.preset}), d = {run.latent}, on {run.dataset}, {run.split} split; "
        f"{n_train} training and {n_test} test meshes, {n_parameters:,} parameters, {device}"
    )
