"""Many runs: which of them make which table or figure, and a sweep that trains what is not stored yet."""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.data.splits import WITHOUT
from bench3dmm.errors import Bench3dmmError, DataError, PluginError, TrainingError, UnknownNameError
from bench3dmm.results import Result, read_document, result_path, to_frame
from bench3dmm.run import PROFILES, Run, check_names, execute, published_run

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.data.dataset import Dataset

LATENTS = (8, 16, 64, 256, 512)  # of Fig. 5
COMA_LATENTS = (8, 16, 64)  # of Fig. 4
WEIGHTED_LATENT = 512  # section 4.4.3
CONVERGENCE_LATENTS = (16, 64, 256)
CONVERGENCE_TIMES = (1 / 6, 1 / 3, 2 / 3, 1, 2, 4)  # the profile's epochs
SEEDS = (0, 1, 2)
PEERS = ("pca", "coma", "spiralnet", "neural3dmm")
PEER_LATENTS = (8, 16, 64, 256)
NEW_PEOPLE_LATENTS = (16, 64)  # of the peers on the identity split
COMMON_TRAINING_LATENT = 16
EXTRAPOLATION_LATENT = 8  # of CoMA's own experiment
LAMM_LATENT = 256  # of its paper
LONGER = 4  # times the profile's epochs, to see whether edits still improve
WEIGHTED_DECAY = 2.2e-6  # the usual 5e-5 times 0.044, the mean of equation 6's weights on mh-scan
RELEASED_TEST_SHARE = 0.0764  # 136 of BU3DFE's 1,779 meshes
RELEASED_VALIDATION = 100  # training rows


def grid(**axes: Any) -> list[Run]:
    """Runs of all combinations: each field of `Run` is a value or a list of values; the first varies slowest.

    >>> [run.latent for run in grid(dataset="mh-scan", latent=[8, 16], seed=[0, 1])]
    [8, 8, 16, 16]
    """
    values = [v if isinstance(v, list | tuple | range) else [v] for v in axes.values()]
    return [Run(**dict(zip(axes, chosen, strict=True))) for chosen in itertools.product(*values)]


# --- the paper's experiments ------------------------------------------------------------------------------------


def _datasets_compared(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """COMA against BU3DFE over the latent size (Fig. 4)."""
    return [
        *grid(dataset=coma, latent=COMA_LATENTS, **common),
        *grid(dataset=bu3dfe, latent=COMA_LATENTS, **common),
    ]


def _splits_compared(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Percentage against identity split on BU3DFE over the latent size (Figs. 5 to 8)."""
    return grid(dataset=bu3dfe, split=["percentage", "identity"], latent=LATENTS, **common)


def _weighted_loss(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Weighted against plain L1 at d = 512, both splits (Figs. 6 and 9)."""
    losses = ["l1", "weighted-l1"]
    return grid(dataset=bu3dfe, split=["percentage", "identity"], latent=WEIGHTED_LATENT, loss=losses, **common)


def _ledger(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Where the paper's text and its released code differ, one switch at a time (docs/ledger.md)."""
    base = {"dataset": bu3dfe, "latent": 16, **common}
    weighted = {**base, "latent": WEIGHTED_LATENT}
    return [
        *grid(**base),
        *grid(**base, preset="release"),
        *grid(**base, validation=RELEASED_VALIDATION),
        *grid(**base, test_share=RELEASED_TEST_SHARE),
        *grid(**weighted, loss=["weighted-l1", "weighted-l1-released"]),
        *grid(**weighted, loss="weighted-l1", weight_decay=WEIGHTED_DECAY),
    ]


def _convergence(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """How far a profile is from converged: error against epochs for three latent sizes, first seed."""
    common = {**common, "seed": common["seed"][:1]}
    epochs = _convergence_epochs(common["profile"])
    return grid(dataset=bu3dfe, latent=CONVERGENCE_LATENTS, epochs=epochs, **common)


def _peers(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Every model over the latent size: known people on both sets, new ones on the one that has enough of them."""
    return [
        *peer_runs(bu3dfe, "percentage", **common),
        *peer_runs(coma, "percentage", **common),
        *peer_runs(bu3dfe, "identity", latents=NEW_PEOPLE_LATENTS, **common),
    ]


def _common_training(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """Peers that were published with another training than Neural3DMM, with Neural3DMM's: is it the architecture?"""
    return grid(dataset=bu3dfe, latent=COMMON_TRAINING_LATENT, model=["coma", "spiralnet"], **common)


def _extrapolation(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """CoMA's extrapolation: each expression left out in turn, d = 8, first seed (Ranjan et al. 2018, Table 3)."""
    first = {**common, "seed": common["seed"][:1], "latents": [EXTRAPOLATION_LATENT]}
    return [run for name in expressions_of(coma) for run in peer_runs(coma, f"{WITHOUT}{name}", **first)]


def _lamm(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """LAMM on the peers' protocol; at its own latent size also the Mixer, and the released code's targets."""
    small = lamm_preset(common["profile"])
    own = [LAMM_LATENT]
    return [
        *lamm_runs(bu3dfe, small, PEER_LATENTS, **common),
        *lamm_runs(coma, small, PEER_LATENTS, **common),
        *lamm_runs(bu3dfe, small, NEW_PEOPLE_LATENTS, split="identity", **common),
        *lamm_runs(bu3dfe, f"{small}-mixer", own, **common),
        *lamm_runs(coma, f"{small}-mixer", own, **common),
        *lamm_runs(bu3dfe, f"{small}-full-targets", own, **common),
    ]


def _manipulation(coma: str, bu3dfe: str, **common: Any) -> list[Run]:
    """The manipulation task: LAMM with either backbone, also trained by regions, and PCA.

    On one set also without the first stage, and either training once for longer.
    """
    small = lamm_preset(common["profile"])
    own = [LAMM_LATENT]
    longer = LONGER * PROFILES[common["profile"]].epochs
    task = {"task": "manipulation", "profile": common["profile"]}
    edited = {**common, **task}
    by_regions = {**common, "task": "manipulation-by-regions"}
    on_both = [
        run
        for dataset in (bu3dfe, coma)
        for run in (
            *lamm_runs(dataset, small, own, **edited),
            *lamm_runs(dataset, f"{small}-mixer", own, **edited),
            *lamm_runs(dataset, small, own, **by_regions),
            published_run(dataset=dataset, model="pca", latent=LAMM_LATENT, **task),
        )
    ]
    return [
        *on_both,
        *lamm_runs(bu3dfe, small, own, **{**common, "task": "manipulation-from-scratch"}),
        *(
            run
            for trained in (edited, by_regions)
            for run in lamm_runs(bu3dfe, small, own, **{**trained, "seed": common["seed"][:1]}, epochs=longer)
        ),
    ]


def lamm_preset(profile: str) -> str:
    """The size of LAMM that a profile trains: the published one where there is a GPU to expect."""
    return "paper" if profile == "paper" else "small"


def lamm_runs(
    dataset: str,
    preset: str,
    latents: Sequence[int],
    *,
    split: str = "percentage",
    profile: str = "quick",
    seed: Sequence[int] = SEEDS,
    task: str = "reconstruction",
    epochs: int = 0,
) -> list[Run]:
    """LAMM with its published training, by latent size and seed."""
    fields = {"dataset": dataset, "split": split, "model": "lamm", "preset": preset, "profile": profile}
    fields |= {"task": task, "epochs": epochs}
    return [published_run(**fields, latent=latent, seed=s) for latent, s in itertools.product(latents, seed)]


def peer_runs(
    dataset: str,
    split: str = "percentage",
    *,
    profile: str = "quick",
    seed: Sequence[int] = SEEDS,
    models: Sequence[str] = PEERS,
    latents: Sequence[int] = PEER_LATENTS,
) -> list[Run]:
    """Models on one protocol, each with the training it was published with; by latent size, model and seed.

    One that is fitted in closed form is the same for every seed, and is run for the first alone.
    """
    from bench3dmm.models import closed_form

    return [
        published_run(dataset=dataset, split=split, model=model, latent=latent, profile=profile, seed=s)
        for latent, model in itertools.product(latents, models)
        for s in (seed[:1] if closed_form(model) else seed)
    ]


def expressions_of(dataset: str) -> list[str]:
    """The expressions of a dataset, sorted; of an embedded one without making its meshes."""
    from bench3dmm.data import load_dataset
    from bench3dmm.data.makehuman import SETS, recipe, sample_table

    embedded = dataset.partition("@")[0] in SETS
    samples = sample_table(recipe(dataset)) if embedded else load_dataset(dataset).samples
    return sorted(samples["expression"].unique())


def _convergence_epochs(profile: str) -> list[int]:
    """Each length once; the profile's own stays 0, so that its run is the one the other experiments have."""
    own = PROFILES[profile].epochs
    lengths = [max(1, round(own * times)) for times in CONVERGENCE_TIMES]
    return [0 if length == own else length for length in dict.fromkeys(lengths)]


EXPERIMENTS: dict[str, Callable[..., list[Run]]] = {
    "datasets": _datasets_compared,
    "splits": _splits_compared,
    "weighted-loss": _weighted_loss,
    "ledger": _ledger,
    "convergence": _convergence,
    "peers": _peers,
    "common-training": _common_training,
    "extrapolation": _extrapolation,
    "lamm": _lamm,
    "manipulation": _manipulation,
}
FIGURES = ("datasets", "splits", "weighted-loss")  # what the paper's own figures show and its claims are about
PAPER = (*FIGURES, "ledger", "convergence")  # what `paper` stands for


def experiment_names() -> list[str]:
    return ["paper", *EXPERIMENTS]


def experiment(
    name: str,
    coma: str = "mh-seq",
    bu3dfe: str = "mh-scan",
    profile: str = "quick",
    seeds: Sequence[int] = SEEDS,
) -> list[Run]:
    """The runs of an experiment, each once.

    Args:
        name: one of `experiment_names`; ``paper`` is all of them together.
        coma, bu3dfe: the datasets that take the places of COMA and BU3DFE.

    Raises:
        UnknownNameError: with the nearest known experiment or profile.
    """
    if name not in experiment_names():
        raise UnknownNameError("experiment", name, experiment_names())
    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    parts = PAPER if name == "paper" else (name,)
    chosen = [run for part in parts for run in EXPERIMENTS[part](coma, bu3dfe, profile=profile, seed=list(seeds))]
    return list(dict.fromkeys(chosen))


def check_datasets(*names: str) -> None:
    """Refuse misspelt datasets and variants, without loading anything.

    Those of the paper are known even where they are not imported: results on them may come from elsewhere.

    Raises:
        UnknownNameError: with the nearest known name.
    """
    from bench3dmm.data import LICENSED, dataset_names, foreign_loader, recipe_sha256
    from bench3dmm.data.makehuman import SETS

    known = [*dataset_names(), *LICENSED]
    for name in names:
        if foreign_loader(name) is not None:
            continue
        if name not in known and name.partition("@")[0] not in SETS:
            raise UnknownNameError("dataset", name, known)
        if name not in LICENSED:
            recipe_sha256(name)  # knows the variants


# --- what is stored, and what tells runs apart --------------------------------------------------------------------


def stored_state(run: Run, results_dir: str | Path = "results") -> str:
    """``missing``, ``stored``, or ``stale``: of another version of its dataset, or of a foreign model, than today's.

    A result whose dataset and model are not here to compare with counts as stored.

    Raises:
        DataError: the stored file is broken.
    """
    from bench3dmm.data import recipe_sha256
    from bench3dmm.plugins import changed_since

    path = result_path(run, results_dir)
    if not path.exists():
        return "missing"
    made = read_document(path)["provenance"]
    made_from = made["dataset_recipe_sha256"]
    try:
        today = recipe_sha256(run.dataset)
    except (DataError, PluginError):
        today = None
    return "stored" if today in (None, made_from) and not changed_since(run.model, made) else "stale"


def shown_value(run: Run, field: str) -> object:
    """A field as tables show it: how many epochs, not that they are the profile's."""
    return run.n_epochs if field == "epochs" else getattr(run, field)


def varying_fields(runs: Iterable[Run]) -> list[str]:
    """The fields in which runs differ, in the order of `Run`'s."""
    runs = list(runs)
    return [name for name in Run.field_names() if len({shown_value(run, name) for run in runs}) > 1]


# --- sweeps -----------------------------------------------------------------------------------------------------


def sweep(
    runs: Iterable[Run],
    results_dir: str | Path = "results",
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
    *,
    jobs: int = 1,
    datasets: Mapping[str, Dataset] | None = None,
) -> pd.DataFrame:
    """Execute runs, skipping those stored; an interrupted sweep goes on where it was.

    Args:
        runs: repeated ones are executed once.
        force: train those that are stored again.
        jobs: trainings at once, each in a process with its share of the cores; 0: one a core, on a GPU one.
        datasets: meshes by name, instead of `load_dataset`'s; only with one job.

    Returns:
        One row a run, in the order given; see `bench3dmm.results.to_frame`.

    Raises:
        TrainingError: after the last run, if some failed: which, and why. The others are stored.
    """
    runs = list(dict.fromkeys(runs))
    for run in runs:
        check_names(run)
    missing = [run for run in runs if force or not result_path(run, results_dir).exists()]
    jobs = min(jobs if jobs > 0 else _default_jobs(device), len(missing)) if missing else 0
    failures: dict[Run, str] = {}
    if progress:
        at_once = f"; {jobs} trainings at once" if jobs > 1 and not datasets else ""
        print(f"{len(runs) - len(missing)} of {len(runs)} runs are stored{at_once}", file=sys.stderr)
    if jobs > 1 and not datasets:
        failures = _train_at_once(missing, runs, results_dir, device, force, progress, jobs)
        force = False
    results: list[Result] = []
    for number, run in enumerate(runs, 1):
        if run in failures:
            continue
        stored = result_path(run, results_dir).exists() and not force
        if progress and not stored:
            print(f"[{number}/{len(runs)}] {run.run_id} {_differences(run, runs)}: training", file=sys.stderr)
        try:
            given = (datasets or {}).get(run.dataset)
            results.append(execute(run, results_dir, device, force, progress, dataset=given))
        except Bench3dmmError as error:
            failures[run] = str(error)
    if failures:
        lines = [f"{run.run_id} ({_differences(run, runs)}): {reason}" for run, reason in failures.items()]
        raise TrainingError(f"{len(failures)} of {len(runs)} runs failed:\n" + "\n".join(lines))
    return to_frame(results)


def _default_jobs(device: str) -> int:
    from bench3dmm.device import resolve_device, usable_cores

    return 1 if resolve_device(device).type == "cuda" else usable_cores()


def _train_at_once(
    missing: Sequence[Run],
    runs: Sequence[Run],
    results_dir: str | Path,
    device: str,
    force: bool,
    progress: bool,
    jobs: int,
) -> dict[Run, str]:
    """Train in processes that end with the sweep; returns why runs failed."""
    from bench3dmm.data import load_dataset
    from bench3dmm.device import usable_cores

    for name in dict.fromkeys(run.dataset for run in missing):
        load_dataset(name, progress=progress)  # generated once, not by every process
    failures: dict[Run, str] = {}
    threads = max(1, usable_cores() // jobs)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, _use_threads, (threads,)) as pool:
        started = {pool.submit(_train_one, run, str(results_dir), device, force): run for run in missing}
        try:
            for number, done in enumerate(concurrent.futures.as_completed(started), 1):
                run = started[done]
                try:
                    line = done.result()
                except Bench3dmmError as error:
                    failures[run], line = str(error), "failed"
                except concurrent.futures.process.BrokenProcessPool:
                    failures[run] = line = "its process died: too little memory for so many jobs?"
                if progress:
                    label = f"[{number}/{len(missing)}] {run.run_id} {_differences(run, runs)}"
                    print(f"{label}: {line}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return failures


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def _train_one(run: Run, results_dir: str, device: str, force: bool) -> str:
    started = time.perf_counter()
    result = execute(run, results_dir, device, force, progress=False)
    return f"{result.metrics['mean_mm']:.3f} mm, {time.perf_counter() - started:.0f} s"


def _differences(run: Run, runs: Sequence[Run]) -> str:
    """The fields in which the runs of a sweep differ."""
    return ", ".join(f"{name}={shown_value(run, name)}" for name in varying_fields(runs)) or run.dataset
