"""Train and evaluate a run, as its task says, and store its result; or load the result that is stored already."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.data.normaliser import Normaliser
from bench3dmm.data.registry import load_dataset, recipe_sha256
from bench3dmm.data.splits import check_split
from bench3dmm.errors import DataError, ShortOfMemoryError
from bench3dmm.models.interface import fitted_numbers, ready_to_infer
from bench3dmm.models.registry import build_model, check_factors, check_model, hierarchy_for
from bench3dmm.record.run import Run
from bench3dmm.runs import provenance
from bench3dmm.runs.claims import Claim, claimed
from bench3dmm.runs.results import Result, load_result, result_path, save_result
from bench3dmm.system.device import resolve_device, seeded
from bench3dmm.system.machine import start_peak_memory
from bench3dmm.system.memory import free_memory, is_out_of_memory
from bench3dmm.system.stops import check_stop
from bench3dmm.system.storage import canonical_json, hash_arrays
from bench3dmm.tasks.published import base_run, run_command
from bench3dmm.tasks.registry import check_task, get_task
from bench3dmm.training.checkpoint import Checkpoint
from bench3dmm.training.fit import Training, load_normalised
from bench3dmm.training.losses import check_loss
from bench3dmm.training.schedule import Schedule, check_schedule
from bench3dmm.training.step import check_optimizer
from bench3dmm.training.weights import load_model, save_weights, weights_for

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.training.shared import Shared


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
    wait: bool = True,
    told: Callable[[int], object] = lambda epoch: None,
) -> Result:
    """Train and evaluate a run and store its result, or load the result that is stored already.

    Writes ``<results_dir>/<profile>/<run_id>`` ``.safetensors`` (weights, normalisation and hierarchy), ``.npz``
    (arrays) and, last, ``.json``. While it trains, a checkpoint lies in ``<results_dir>/<profile>/.partial``, from
    which an interrupted run goes on, and a claim that keeps others from the same run.

    Args:
        run: what to train.
        device: see `bench3dmm.system.device.resolve_device`.
        force: train from the start even if a result or a checkpoint is stored.
        progress: show what happens on stderr.
        dataset: meshes to use instead of ``load_dataset(run.dataset)``; it must have that name.
        at_once: how many trainings share the machine, for the record: times of such runs say little.
        wait: for whoever else trains the run now; else BusyError.
        told: hears how many epochs are done.

    Raises:
        UnknownNameError, DataError, MeshError, TrainingError: each says what to change.
    """
    steps = execute_by_steps(
        run, results_dir, device, force, progress, dataset=dataset, at_once=at_once, wait=wait, told=told
    )
    try:
        while True:
            check_stop()
            next(steps)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()  # interrupted here, it would keep its claim for as long as somebody keeps the traceback


def execute_by_steps(
    run: Run,
    results_dir: str | Path = "results",
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
    *,
    dataset: Dataset | None = None,
    at_once: int = 1,
    wait: bool = True,
    told: Callable[[int], object] = lambda epoch: None,
    shared: Shared | None = None,
) -> Generator[None, None, Result]:
    """`execute`, which stops after each step of the training, for whoever trains several runs in turn.

    Args:
        shared: with the trainings beside it; instead of ``at_once``.
    """
    check_names(run)
    path = result_path(run, results_dir)
    if path.exists() and not force:
        return _stored(path, dataset)
    if dataset is not None and dataset.name != run.dataset:
        raise DataError(f"the run is of dataset {run.dataset!r}, the dataset given is {dataset.name!r}")

    torch_device = resolve_device(device)
    with claimed(path, wait=wait, say=_say if progress else None) as claim:
        if path.exists() and not force:  # whoever had the claim before stored it
            return _stored(path, dataset)
        dataset = dataset or load_dataset(run.dataset, progress=progress)
        partial = path.parent / ".partial" / run.run_id
        if force:  # a forced run that is killed goes on without force: nothing of the old result may be taken for it
            with claim.writing():
                path.unlink(missing_ok=True)
                shutil.rmtree(partial, ignore_errors=True)
        place = _Place(path, partial / "checkpoint.safetensors", torch_device, claim, progress, wait, told)
        try:
            result = yield from _train_and_evaluate(run, dataset, place, shared, at_once)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            said = str(error).partition("\n")[0] or type(error).__name__
        else:
            with claim.writing():
                shutil.rmtree(partial, ignore_errors=True)
            return result
    raise ShortOfMemoryError(
        f"{run.run_id}: out of memory before or after its training: {free_memory(torch_device)} ({said}); "
        f"{'--device cpu, or ' if torch_device.type == 'cuda' else ''}stop what else is running"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class _Place:
    """Where a run is trained, and where what comes out goes."""

    path: Path
    checkpoint: Path
    device: torch.device
    claim: Claim
    progress: bool
    wait: bool
    told: Callable[[int], object]


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
    with claimed(path) as claim:
        model, normaliser = load_model(path, device, dataset=dataset)
        metrics, arrays = task.measure(run, model, dataset, rows, normaliser, torch_device)
        record = {**stored.provenance, "measured": provenance.environment(torch_device)}
        result = Result(run, metrics, record, {**arrays, "loss": stored.arrays["loss"]})
        with claim.writing():
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
    run: Run, dataset: Dataset, place: _Place, shared: Shared | None, at_once: int
) -> Generator[None, None, Result]:
    started, path, device = time.perf_counter(), place.path, place.device
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
        **(_begin_with(base, model, dataset, place) if base else {}),
    }
    parameters = fitted_numbers(model)
    if place.progress:
        _say(_headline(run, len(rows.train), len(rows.test), parameters, device))

    model.to(device)
    meshes = _meshes(dataset, rows.train, normaliser, device, shared)
    training = Training(
        model,
        meshes,
        task.objective(run, model, dataset, rows, device),
        Schedule.of(run),
        run.seed,
        checkpoint=Checkpoint(
            place.checkpoint,
            canonical_json({**depends_on, **run.as_dict(), "device": device.type, **provenance.versions()}),
            provenance.sitting(device),
            place.claim.writing,
        ),
        label=run.run_id,
        progress=place.progress,
        capture=shared.card.capture if shared else None,
        at_once=lambda: shared.at_once if shared else at_once,
        told=place.told,
    )
    yield from training.steps()
    del meshes
    if shared:
        shared.card.wait()  # measuring need not keep to this lane
    metrics, arrays = task.measure(run, ready_to_infer(model), dataset, rows, normaliser, device)
    record = {
        **depends_on,
        "seeds": {"seed": run.seed, "split_seed": run.split_seed},
        "epochs": len(training.losses),
        "train_meshes": len(rows.train),
        "test_meshes": len(rows.test),
        "parameters": parameters,
        **provenance.environment(device),
        "sittings": training.sittings,
        "trained_at_once": max(sitting["trained_at_once"] for sitting in training.sittings),
        "training_seconds": round(training.seconds, 3),  # over all sittings of an interrupted run
        "seconds": round(time.perf_counter() - started, 3),
    }
    with place.claim.writing():
        weights = save_weights(path.with_suffix(".safetensors"), run, model, normaliser, hierarchy, dataset)
        record["tensors_sha256"] = weights.tensors_sha256
        result = Result(run, metrics, record, {**arrays, "loss": np.array(training.losses)})
        save_result(result, path.parent.parent)
    if place.progress:
        measure = task.headline
        value = f"mean {measure.label} {measure.of(metrics):.3f} {measure.unit}".rstrip()
        _say(f"{run.run_id}: {value}, in {path}")
    return result


def _meshes(
    dataset: Dataset, rows: np.ndarray, normaliser: Normaliser, device: torch.device, shared: Shared | None
) -> torch.Tensor:
    """The training meshes, normalised, on the device; shared with trainings on the same ones.

    Raises:
        ShortOfMemoryError: they do not fit there.
    """

    def load() -> torch.Tensor:
        return load_normalised(dataset.vertices, rows, normaliser, device)

    try:
        if shared is None:
            return load()
        return shared.meshes(hash_arrays(rows, normaliser.mean, normaliser.deviation, salt=dataset.sha256), load)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    size = 4 * len(rows) * math.prod(dataset.vertices.shape[1:]) / 1e9
    elsewhere = "--device cpu, or " if device.type == "cuda" else ""
    raise ShortOfMemoryError(
        f"out of memory: the {len(rows):,} training meshes take {size:.2f} GB, {free_memory(device)}; "
        f"{elsewhere}a profile with fewer meshes"
    )


def _begin_with(base: Run, model: nn.Module, dataset: Dataset, place: _Place) -> dict[str, Any]:
    """Give a model the weights of its base run, which is executed if it is not stored; what it was, for the record.

    Of results stored before tensors had a hash of their own, the record keeps ``weights_sha256``, of the base's file.
    """
    results_dir = place.path.parent.parent
    execute(base, results_dir, str(place.device), progress=place.progress, dataset=dataset, wait=place.wait)
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
