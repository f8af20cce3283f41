"""Train and evaluate a run, as its task says, and store its result; or load the result that is stored already."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.data.normaliser import Normaliser
from bench3dmm.data.registry import load_dataset, recipe_sha256
from bench3dmm.data.splits import check_split
from bench3dmm.errors import DataError
from bench3dmm.models.interface import fitted_numbers, ready_to_infer
from bench3dmm.models.registry import build_model, check_factors, check_model, hierarchy_for
from bench3dmm.record.run import Run
from bench3dmm.runs import provenance
from bench3dmm.runs.results import Result, load_result, result_path, save_result
from bench3dmm.system.device import resolve_device, seeded
from bench3dmm.system.machine import start_peak_memory
from bench3dmm.system.storage import canonical_json
from bench3dmm.tasks.published import base_run, run_command
from bench3dmm.tasks.registry import check_task, get_task
from bench3dmm.training.fit import fit, load_normalised
from bench3dmm.training.losses import check_loss
from bench3dmm.training.schedule import Schedule, check_schedule
from bench3dmm.training.step import check_optimizer
from bench3dmm.training.weights import load_model, save_weights, weights_for

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench3dmm.data.dataset import Dataset


def check_names(run: Run) -> None:
    """Raises UnknownNameError for a split, model, preset, task, loss, optimiser or schedule that does not exist, and
    Bench3dmmError for factors that the model has no use for."""
    check_split(run.split)
    check_model(run.model, run.preset)
    check_factors(run.model, run.factors)
    check_task(run.task, run.model)
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
    at_once: int = 1,
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
        at_once: how many trainings share the machine, for the record: times of such runs say little.

    Raises:
        UnknownNameError, DataError, MeshError, TrainingError: each says what to change.
    """
    check_names(run)
    path = result_path(run, results_dir)
    if path.exists() and not force:
        return _stored(path, dataset)
    if dataset is not None and dataset.name != run.dataset:
        raise DataError(f"the run is of dataset {run.dataset!r}, the dataset given is {dataset.name!r}")

    torch_device = resolve_device(device)
    dataset = dataset or load_dataset(run.dataset, progress=progress)
    partial = path.parent / ".partial" / run.run_id
    if force:  # a forced run that is killed goes on without force: nothing of the old result may be taken for it
        path.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    result = _train_and_evaluate(
        run, dataset, torch_device, path, partial / "checkpoint.safetensors", progress, at_once
    )
    shutil.rmtree(partial, ignore_errors=True)
    return result


def measure_again(
    run: Run, results_dir: str | Path = "results", device: str = "auto", *, dataset: Dataset | None = None
) -> Result:
    """Evaluate a stored run from its weights, and store what comes out in place of what was measured before.

    For measures that were added after a run was trained. The record keeps where it was trained, and says under
    ``measured`` where and by which code it was evaluated last.

    Raises:
        DataError: not stored, without weights, or of other data than today's.
    """
    path = result_path(run, results_dir)
    stored = load_result(path)
    dataset = dataset or load_dataset(run.dataset)
    task = get_task(run.task)
    rows = task.rows(run, dataset)
    for name, value in rows.hashes.items():
        if stored.provenance[name] != value:
            raise DataError(f"{path}: its {name} is not today's: it was measured on other data; run it with --force")
    torch_device = resolve_device(device)
    model, normaliser = load_model(path, device, dataset=dataset)
    metrics, arrays = task.measure(run, model, dataset, rows, normaliser, torch_device)
    record = {**stored.provenance, "measured": provenance.environment(torch_device)}
    result = Result(run, metrics, record, {**arrays, "loss": stored.arrays["loss"]})
    save_result(result, results_dir)
    return result


def _stored(path: Path, dataset: Dataset | None) -> Result:
    """The stored result, if it was measured on the data, and with the code, that its names stand for today."""
    result = load_result(path)
    made_from = result.provenance["dataset_recipe_sha256"]
    today = dataset.card.get("recipe_sha256") if dataset else recipe_sha256(result.run.dataset)
    other_content = dataset and not today and dataset.sha256 != result.provenance["dataset_sha256"]
    if made_from != today or other_content:
        raise DataError(f"{path}: measured on another version of {result.run.dataset}; run it again with --force")
    if changed := provenance.changed_since(result.run, result.provenance):
        raise DataError(f"{path}: trained with another version of {changed}'s code; run it again with --force")
    return result


def _train_and_evaluate(
    run: Run, dataset: Dataset, device: torch.device, path: Path, checkpoint: Path, progress: bool, at_once: int
) -> Result:
    started = time.perf_counter()
    start_peak_memory(device)
    task = get_task(run.task)
    rows = task.rows(run, dataset)
    hierarchy = hierarchy_for(run.model, dataset.template, run.level_factors)
    with seeded(run.seed):
        model = build_model(run.model, hierarchy, run.latent, preset=run.preset)
    normaliser = Normaliser.fit(dataset.vertices, rows.train, scale=getattr(model, "scale_coordinates", True))
    base = base_run(run)
    depends_on = {
        **rows.hashes,
        "hierarchy_sha256": hierarchy.sha256,
        **provenance.origins(run),
        **(_begin_with(base, model, dataset, path, device, progress) if base else {}),
    }
    parameters = fitted_numbers(model)
    if progress:
        print(_headline(run, len(rows.train), len(rows.test), parameters, device), file=sys.stderr)

    model.to(device)
    losses, training_seconds = fit(
        model,
        load_normalised(dataset.vertices, rows.train, normaliser, device),
        task.objective(run, model, dataset, rows, device),
        Schedule.of(run),
        run.seed,
        checkpoint=checkpoint,
        fingerprint=canonical_json(
            {**depends_on, **run.as_dict(), "device": device.type, **provenance.versions()},
        ),
        label=run.run_id,
        progress=progress,
    )
    metrics, arrays = task.measure(run, ready_to_infer(model), dataset, rows, normaliser, device)
    record = {
        **depends_on,
        "seeds": {"seed": run.seed, "split_seed": run.split_seed},
        "epochs": len(losses),
        "train_meshes": len(rows.train),
        "test_meshes": len(rows.test),
        "parameters": parameters,
        **provenance.environment(device),
        "trained_at_once": at_once,
        "training_seconds": round(training_seconds, 3),  # over all sittings of an interrupted run
        "seconds": round(time.perf_counter() - started, 3),
    }
    weights = save_weights(path.with_suffix(".safetensors"), run, model, normaliser, hierarchy, dataset)
    record["tensors_sha256"] = weights.tensors_sha256
    result = Result(run, metrics, record, {**arrays, "loss": np.array(losses)})
    save_result(result, path.parent.parent)
    if progress:
        measure = task.headline
        value = f"mean {measure.label} {measure.of(metrics):.3f} {measure.unit}".rstrip()
        print(f"{run.run_id}: {value}, in {path}", file=sys.stderr)
    return result


def _begin_with(
    base: Run, model: nn.Module, dataset: Dataset, path: Path, device: torch.device, progress: bool
) -> dict[str, Any]:
    """Give a model the weights of its base run, which is executed if it is not stored; what it was, for the record.

    Of results stored before tensors had a hash of their own, the record keeps ``weights_sha256``, of the base's file.
    """
    results_dir = path.parent.parent
    execute(base, results_dir, str(device), progress=progress, dataset=dataset)
    weights = result_path(base, results_dir).with_suffix(".safetensors")
    if not weights.exists():
        command = f"{run_command(base)} --force"
        raise DataError(f"{weights}: missing; the run begins with these weights, and `{command}` trains them")
    trained = weights_for(weights, dataset)
    model.load_state_dict(trained.build().state_dict())
    return {"base": {"run_id": base.run_id, "tensors_sha256": trained.tensors_sha256}}


def _headline(run: Run, n_train: int, n_test: int, n_parameters: int, device: torch.device) -> str:
    return (
        f"{run.run_id}: {run.model} ({run.preset}), d = {run.latent}, on {run.dataset}, {run.split} split; "
        f"{n_train} training and {n_test} test meshes, {n_parameters:,} parameters, {device}"
    )
