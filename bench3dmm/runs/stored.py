"""What is stored in a results folder: which runs, in which state, for comparison with which others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench3dmm.data.registry import recipe_sha256
from bench3dmm.errors import DataError, PluginError, UnknownNameError
from bench3dmm.record.run import Run
from bench3dmm.runs.claims import holder_of
from bench3dmm.runs.provenance import changed_since
from bench3dmm.runs.results import Result, load_result, read_document, result_path
from bench3dmm.system.words import listed


def stored_results(runs: Iterable[Run], results_dir: str | Path = "results") -> list[Result]:
    """The results of those runs that are stored.

    Raises:
        DataError: naming one that is broken, or is of another version of its dataset or model than today's.
    """
    results = []
    for run in runs:
        path, state = result_path(run, results_dir), stored_state(run, results_dir)
        if state == "stale":
            raise DataError(
                f"{path}: measured on another version of {run.dataset}, or of {run.model}, than is installed; "
                "delete it, or sweep again with --force"
            )
        if state == "stored":
            results.append(load_result(path))
    return results


def check_comparable(what: str, results: Sequence[Result]) -> None:
    """Refuse results on one dataset and split that were not measured on one version of it. Raises DataError."""
    versions: dict[tuple[str, str], set] = {}
    for result in results:
        measured_on = tuple(result.provenance.get(key) for key in ("dataset_recipe_sha256", "split_sha256"))
        versions.setdefault((result.run.dataset, result.run.split), set()).add(measured_on)
    for (dataset, split), found in versions.items():
        if len(found) > 1:
            raise DataError(
                f"{what}: the runs on {dataset}, {split} split, were measured on {len(found)} versions of it; "
                "delete the older ones and sweep again"
            )


def stored_state(run: Run, results_dir: str | Path = "results") -> str:
    """``missing``, ``stored``, or ``stale``: of another version of its dataset, or of a foreign model, than today's.

    A result whose dataset and model are not here to compare with counts as stored.

    Raises:
        DataError: the stored file is broken.
    """
    path = result_path(run, results_dir)
    if not path.exists():
        return "missing"
    made = read_document(path)["provenance"]
    made_from = made["dataset_recipe_sha256"]
    try:
        today = recipe_sha256(run.dataset)
    except (DataError, PluginError):
        today = None
    return "stored" if today in (None, made_from) and not changed_since(run, made) else "stale"


def shown_state(run: Run, results_dir: str | Path = "results") -> str:
    """`stored_state`, or who trains what is missing."""
    state = stored_state(run, results_dir)
    holder = holder_of(result_path(run, results_dir)) if state == "missing" else None
    return f"in training: {holder}" if holder else state


def stored_competitors(
    results_dir: str | Path, profile: str, task: str = Run.task, **wanted: Sequence[Any]
) -> list[Result]:
    """The stored results of a task that take part in rankings, of whatever models, by dataset, split and model.

    Args:
        wanted: values that a field of `Run` may have, e.g. ``latent=[8, 16]``; none for any.

    Raises:
        DataError: none is stored, or one that is was measured on another version of its dataset.
    """
    paths = sorted((Path(results_dir) / profile).glob("*.json"))
    runs = [Run.from_dict(read_document(path)["run"]) for path in paths]
    asked = {name: values for name, values in wanted.items() if values}
    chosen = [run for run in runs if on_protocol(run, task) and all(getattr(run, n) in asked[n] for n in asked)]
    if not chosen:
        said = ", ".join(f"{name} {listed(values)}" for name, values in asked.items())
        raise DataError(
            f"{Path(results_dir) / profile}: no run of {task} to rank is stored{f' with {said}' if said else ''}; "
            "`bench3dmm list results` shows what there is, `bench3dmm list experiments` what a sweep trains"
        )
    chosen.sort(key=lambda run: (run.dataset, run.split != Run.split, run.split, run.model))
    return stored_results(chosen, results_dir)


SHARED = ("epochs", "loss", "validation", "test_share", "split_seed", "factors")


def on_protocol(run: Run, task: str = Run.task) -> bool:
    """Whether a run is one of a model on the protocol that all share: that task, its profile's epochs, plain L1, the
    paper's split with all of its training meshes, the template's own factors."""
    return run.task == task and all(getattr(run, name) == getattr(Run, name) for name in SHARED)


def stored_run(run_id: str, results_dir: str | Path = "results") -> Run:
    """The run that is stored under an id.

    Raises:
        DataError: there are no results at all.
        UnknownNameError: no such result, with the nearest id.
    """
    paths = {path.stem: path for path in sorted(Path(results_dir).glob("*/*.json"))}
    if not paths:
        raise DataError(
            f"{results_dir} holds no results: name the folder that does with --results-dir, or train with bench3dmm run"
        )
    if run_id not in paths:
        raise UnknownNameError(f"result in {results_dir}", run_id, paths)
    return load_result(paths[run_id]).run
