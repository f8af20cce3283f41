"""Commands that train, or measure what was trained: run, sweep, verify, evaluate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench3dmm.cli.options import Bu3dfe, Coma, Device, Jobs, Profile, Quiet, ResultsRead, ResultsWritten, Seeds
from bench3dmm.cli.show import new_table, print_result, print_runs, print_table, score_columns
from bench3dmm.errors import Bench3dmmError, DataError, TrainingError, UnknownNameError

commands = typer.Typer()

_OWN = "the model's"

_RUN_HELP = (
    "Train one model, evaluate it on the test split, store the result.\n\n"
    "Writes to RESULTS_DIR/PROFILE: RUN_ID.json (run, metrics in mm, provenance), RUN_ID.npz (error histogram, "
    "mean error of each test mesh, six reconstructions) and RUN_ID.safetensors (weights).\n\n"
    "RUN_ID is a hash of the options that define the run. A stored run is shown, not trained again. A killed run "
    "goes on from its last epoch when the same command is given again."
)

_RUN_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm run --dataset mh-scan --profile smoke\n\n"
    "  bench3dmm run --dataset mh-scan --model pca --latent 64 --profile quick\n\n"
    "  bench3dmm run --dataset mh-seq@clean --split identity --profile paper"
)


@commands.command("run", help=_RUN_HELP, epilog=_RUN_EXAMPLES)
def run_one(
    dataset: Annotated[
        str, typer.Option(help="Dataset, or a variant of it as NAME@VARIANT, or your own as MODULE:FUNCTION.")
    ],
    split: Annotated[
        str, typer.Option(help="percentage (known people), identity (new) or without:EXPRESSION.")
    ] = "percentage",
    model: Annotated[
        str, typer.Option(help="See: bench3dmm list models; or your own as MODULE:FUNCTION.")
    ] = "neural3dmm",
    preset: Annotated[str, typer.Option(help="Architecture; see: bench3dmm list presets.")] = "paper",
    latent: Annotated[int, typer.Option(help="Size d of the latent code.")] = 16,
    loss: Annotated[str, typer.Option(help="l1, or weighted-l1: vertices near landmarks count more.")] = "l1",
    profile: Annotated[
        str, typer.Option(help="smoke (2 epochs), quick (30), paper (300 epochs, all meshes).")
    ] = "smoke",
    seed: Annotated[int, typer.Option(help="Of initial weights and shuffling.")] = 0,
    split_seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    test_share: Annotated[
        float, typer.Option(help="Share of meshes (percentage) or people (identity) in the test set; 0: the paper's.")
    ] = 0.0,
    validation: Annotated[int, typer.Option(help="Last training meshes left out, as the released code does.")] = 0,
    epochs: Annotated[int, typer.Option(help="Instead of the profile's; 0 keeps those.")] = 0,
    task: Annotated[str, typer.Option(help="What it is trained for; see: bench3dmm list tasks.")] = "reconstruction",
    factors: Annotated[
        str, typer.Option(help="Fewer vertices level by level, such as 4,4,4,2; auto: as the template has vertices.")
    ] = "auto",
    optimizer: Annotated[str | None, typer.Option(help="adam, adamw, or sgd with momentum.", show_default=_OWN)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Meshes a step.", show_default=_OWN)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="In the first epoch.", show_default=_OWN)] = None,
    learning_rate_decay: Annotated[
        float | None, typer.Option(help="Factor after each epoch.", show_default=_OWN)
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="L2, of the optimiser.", show_default=_OWN)] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Of the learning rate: exponential or cosine.", show_default=_OWN)
    ] = None,
    final_learning_rate: Annotated[float | None, typer.Option(help="Where the cosine ends.", show_default=_OWN)] = None,
    warm_up: Annotated[
        float | None, typer.Option(help="Share of the epochs in which the rate grows from 0.", show_default=_OWN)
    ] = None,
    device: Device[str] = "auto",
    results_dir: ResultsWritten = Path("results"),
    force: Annotated[bool, typer.Option("--force", help="Train again even if the result is stored.")] = False,
    quiet: Quiet = False,
) -> None:
    from bench3dmm.runs.execute import execute
    from bench3dmm.runs.results import result_path
    from bench3dmm.tasks.published import published_run

    training = {
        "optimizer": optimizer,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "learning_rate_decay": learning_rate_decay,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "final_learning_rate": final_learning_rate,
        "warm_up": warm_up,
    }
    try:
        settings = published_run(
            dataset=dataset,
            split=split,
            model=model,
            preset=preset,
            latent=latent,
            loss=loss,
            seed=seed,
            split_seed=split_seed,
            test_share=test_share,
            validation=validation,
            profile=profile,
            epochs=epochs,
            task=task,
            factors=factors,
            **{name: value for name, value in training.items() if value is not None},
        )
    except UnknownNameError:
        raise
    except Bench3dmmError as error:
        raise typer.BadParameter(str(error)) from None
    result = execute(settings, results_dir, device, force, progress=not quiet)
    print_result(result)
    typer.echo(str(result_path(settings, results_dir)))


_SWEEP_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm sweep paper --profile smoke --results-dir /tmp/results\n\n"
    "  bench3dmm sweep splits --dry-run\n\n"
    "  bench3dmm sweep paper --coma coma --bu3dfe bu3dfe --profile paper"
)


@commands.command("sweep", epilog=_SWEEP_EXAMPLES)
def run_sweep(
    name: Annotated[str, typer.Argument(help="An experiment of `bench3dmm list experiments`.")],
    coma: Coma[str] = "mh-seq",
    bu3dfe: Bu3dfe[str] = "mh-scan",
    profile: Profile = "quick",
    seeds: Seeds[int] = 3,
    jobs: Jobs[int] = 0,
    order: Annotated[str, typer.Option(help="With several jobs: longest first, or as given.")] = "longest",
    device: Device[str] = "auto",
    results_dir: ResultsWritten = Path("results"),
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say which runs there are: stored, stale (dataset changed), in training or missing."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Train also what is stored.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train every run of an experiment that is not stored yet; a killed sweep goes on where it was.

    An experiment is the list of runs that figures, tables and claims of a paper, or a comparison of models, are drawn
    from. --dry-run says first which runs those are. Most take hours on two cores.
    """
    from bench3dmm.data.registry import check_datasets
    from bench3dmm.papers.registry import experiment
    from bench3dmm.runs.stored import shown_state
    from bench3dmm.runs.sweep import sweep

    check_datasets(coma, bu3dfe)
    runs = experiment(name, coma, bu3dfe, profile, range(seeds))
    if dry_run:
        print_runs(runs, ["state"], [[shown_state(run, results_dir)] for run in runs])
        return
    frame = sweep(runs, results_dir, device, force, progress=not quiet, jobs=jobs, order=order)
    print_runs(runs, *score_columns(frame))


_VERIFY_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm verify                  about a minute on two cores\n\n"
    "  bench3dmm verify 3337e236e8e6     a run of `bench3dmm list results`"
)


@commands.command("verify", epilog=_VERIFY_EXAMPLES)
def verify_runs(
    run_ids: Annotated[list[str] | None, typer.Argument(help="Stored runs; if none, the quickstart's.")] = None,
    results_dir: ResultsRead = Path("results"),
    again_dir: Annotated[Path, typer.Option(help="Where the repetitions go.")] = Path("output/again"),
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Relative, of the stored value, instead of the rule above.")
    ] = None,
    device: Device[str] = "auto",
    quiet: Quiet = False,
) -> None:
    """Train stored runs again, from nothing, and hold what comes out to what is stored.

    The same machine and versions give equal bits; elsewhere rounding makes a run differ as another seed would. The
    mean error, or what else a run's task is ranked by, agrees within the range of the stored seeds of its
    configuration, widened by half of it on either side, or within 3 % of the stored one. Ends with exit code 1 where
    one differs by more.
    """
    from bench3dmm.runs.stored import stored_run
    from bench3dmm.runs.verify import DIFFERS, QUICKSTART, verify
    from bench3dmm.tasks.registry import get_task

    chosen = [stored_run(run_id, results_dir) for run_id in run_ids or [QUICKSTART.run_id]]
    compared = [verify(run, results_dir, again_dir, device, not quiet) for run in chosen]
    table = new_table("run_id", "run", "measure", "stored", "again", "difference", "allowed", "outcome", "measured on")
    for one in compared:
        stored, again = f"{one.stored.score:.4f}", f"{one.again.score:.4f}"
        run = one.stored.run
        what = f"{run.dataset}, {run.split}, {run.model}, d = {run.latent}, seed {run.seed}"
        low, high = one.allowed(tolerance)
        allowed, outcome = f"{low:.4f} to {high:.4f}", one.outcome(tolerance)
        device_then = str(one.stored.provenance["device"])
        measure = get_task(run.task).headline.heading
        table.add_row(
            run.run_id, what, measure, stored, again, f"{100 * one.relative:+.2f} %", allowed, outcome, device_then
        )
    print_table(table)
    if failed := [one.stored.run.run_id for one in compared if one.outcome(tolerance) == DIFFERS]:
        raise TrainingError(f"{', '.join(failed)}: what came out differs by more than is allowed, see the table")


_EVALUATE_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm evaluate --results-dir /tmp/results\n\n"
    "  bench3dmm evaluate 3337e236e8e6   a run of `bench3dmm list results`"
)


@commands.command("evaluate", epilog=_EVALUATE_EXAMPLES)
def evaluate_again(
    run_ids: Annotated[list[str] | None, typer.Argument(help="Stored runs; if none, all that have weights.")] = None,
    results_dir: ResultsRead = Path("results"),
    device: Device[str] = "auto",
    quiet: Quiet = False,
) -> None:
    """Measure stored runs again, from their weights, with the evaluator of today; nothing is trained.

    For measures that were added after a run was trained. Arrays and metrics of each are replaced; its record keeps
    where it was trained and says where it was measured.
    """
    from tqdm import tqdm

    from bench3dmm.runs.execute import measure_again
    from bench3dmm.runs.results import read_document, result_path
    from bench3dmm.runs.stored import stored_run
    from bench3dmm.tasks.registry import get_task

    weights = sorted(results_dir.glob("*/*.safetensors"))
    ids = run_ids or [path.stem for path in weights if path.with_suffix(".json").exists()]
    if not ids:
        raise DataError(f"{results_dir} holds no run with weights; they are written by bench3dmm run and sweep")
    runs = [stored_run(run_id, results_dir) for run_id in ids]
    cells = []
    for run in tqdm(runs, unit="run", disable=quiet or not sys.stderr.isatty()):
        measure = get_task(run.task).headline
        before = measure.of(read_document(result_path(run, results_dir))["metrics"])
        now = measure_again(run, results_dir, device).score
        cells.append([measure.heading, f"{before:.4f}", f"{now:.4f}"])
    print_runs(runs, ["measure", "before", "now"], cells)
