"""The command line. Heavy imports wait until a command needs them, so that ``--help`` is quick."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3dmm.errors import Bench3dmmError, DataError, PluginError, UnknownNameError
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run
from bench3dmm.runs.verify import QUICKSTART
from bench3dmm.tasks.published import published_run
from bench3dmm.tasks.registry import TASKS

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.checks.suite import Check


EXIT_FAILED, EXIT_USAGE = 1, 2


_OWN = "the model's"


SORTED = ["profile", "dataset", "split", "model", "preset", "latent", "loss", "epochs", "seed"]


ERRORS = ["mean (mm)", "median (mm)"]


app = typer.Typer(
    name="bench3dmm",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "A reproducibility benchmark for neural 3D morphable face models.\n\n"
        "[bold]Start here[/bold]\n\n"
        "  bench3dmm list                                    what there is\n\n"
        "  bench3dmm run --dataset mh-scan --profile smoke   one small training\n\n"
        "  bench3dmm list results                            what is stored\n\n"
        "[bold]Exit codes[/bold]: 0 done; 1 the run failed, one line on stderr says why; "
        "2 wrong usage or an unknown name; 130 interrupted."
    ),
)


data_app = typer.Typer(no_args_is_help=True, help="Look at the datasets, generate them ahead of time, import your own.")


import_app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Import data of your own: COMA, the registered BU3DFE, or any registered meshes.\n\n"
        "Every mesh is checked (vertices, connectivity, NaN, size), converted to mm and copied into the cache "
        "($BENCH3DMM_CACHE, or the user's cache folder). Nothing is uploaded, and nothing written anywhere else. "
        "An import that is stopped goes on when the same command is given again. See docs/licensed-data.md."
    ),
)


app.add_typer(data_app, name="data")


data_app.add_typer(import_app, name="import")


_RUN_HELP = (
    "Train one model, evaluate it on the test split, store the result.\n\n"
    "Writes to RESULTS_DIR/PROFILE: RUN_ID.json (run, metrics in mm, provenance), RUN_ID.npz (error histogram, "
    "mean error of each test mesh, six reconstructions) and RUN_ID.safetensors (weights).\n\n"
    "RUN_ID is a hash of the options that define the run. A stored run is shown, not trained again. A killed run "
    "goes on from its last epoch when the same command is given again."
)


_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm run --dataset mh-scan --profile smoke\n\n"
    "  bench3dmm run --dataset mh-scan --model pca --latent 64 --profile quick\n\n"
    "  bench3dmm run --dataset mh-seq@clean --split identity --profile paper"
)


_SWEEP_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm sweep paper --profile smoke --results-dir /tmp/results\n\n"
    "  bench3dmm sweep splits --dry-run\n\n"
    "  bench3dmm sweep paper --coma coma --bu3dfe bu3dfe --profile paper"
)


_REPORT_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm report --profile quick\n\n"
    "  bench3dmm report --profile paper --coma coma --bu3dfe bu3dfe --output licensed.html"
)


_RANK_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm rank --dataset mh-scan --split percentage\n\n"
    "  bench3dmm rank --latent 16 --model pca --model mine.models:build --results-dir my-results"
)


_VERIFY_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm verify                  about a minute on two cores\n\n"
    "  bench3dmm verify 3337e236e8e6     a run of `bench3dmm list results`"
)


_CHECK_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm check neural3dmm --preset release\n\n"
    "  bench3dmm check my_module:build --latent 64     of my_module.py in this folder"
)


_EVALUATE_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm evaluate --results-dir /tmp/results\n\n"
    "  bench3dmm evaluate 3337e236e8e6   a run of `bench3dmm list results`"
)


_NOTEBOOKS_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm notebooks --profile smoke --results-dir /tmp/results\n\n"
    "  bench3dmm notebooks --only 01_datasets --only 04_split_comparison --bu3dfe bu3dfe"
)


_BENCH_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm bench compare layers --rounds 5     two minutes\n\n"
    "  bench3dmm bench --output-dir my-machine       everything"
)


_EXPORT_EXAMPLES = (
    "[bold]Example[/bold]\n\n"
    "  bench3dmm export 3337e236e8e6 --output my-model\n\n"
    "[bold]Then, in Python[/bold]\n\n"
    "  import bench3dmm\n\n"
    "  model = bench3dmm.load('my-model')\n\n"
    "  codes = model.encode(meshes)     # (N, V, 3) in mm -> (N, d); see also decode and reconstruct"
)


_RECONSTRUCT_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm reconstruct my-model faces --output reconstructed\n\n"
    "  bench3dmm reconstruct my-model faces --output reconstructed --unit m --codes"
)


SHOWN_MESHES = 20


@app.command(help=_RUN_HELP, epilog=_EXAMPLES)
def run(
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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")] = "auto",
    results_dir: Annotated[Path, typer.Option(help="Where results are written.")] = Path("results"),
    force: Annotated[bool, typer.Option("--force", help="Train again even if the result is stored.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
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
            **{name: value for name, value in training.items() if value is not None},
        )
    except UnknownNameError:
        raise
    except Bench3dmmError as error:
        raise typer.BadParameter(str(error)) from None
    from bench3dmm.runs.execute import execute
    from bench3dmm.runs.results import result_path

    result = execute(settings, results_dir, device, force, progress=not quiet)
    table = _table("", "meshes", "mean", "median", "std", "p95 (mm)")
    rows = {**result.metrics["by_expression"], "all": result.metrics}
    for name, values in rows.items():
        errors = (f"{values[key]:.3f}" for key in ("mean_mm", "median_mm", "std_mm", "p95_mm"))
        table.add_row(name, str(values["meshes"]), *errors)
    _print(table)
    typer.echo(str(result_path(settings, results_dir)))


@app.command("list")
def list_names(
    what: Annotated[
        str | None, typer.Argument(help="datasets, splits, models, presets, losses, profiles, tasks or results.")
    ] = None,
    results_dir: Annotated[Path, typer.Option(help="For: list results.")] = Path("results"),
) -> None:
    """Show what can be chosen, or the stored results."""
    kinds = {
        "datasets": _datasets,
        "splits": _splits,
        "models": _models,
        "presets": _presets,
        "losses": _losses,
        "profiles": _profiles,
        "tasks": _tasks,
    }
    if what == "results":
        _list_results(results_dir)
    elif what is None:
        for kind, lines in kinds.items():
            names = (f"{name} ({note})" if kind == "presets" else name for name, note in lines() if "@" not in name)
            typer.echo(f"{kind + ':':<10}{', '.join(names)}")
    elif what in kinds:
        lines = kinds[what]()
        width = max(14, 2 + max(len(name) for name, _ in lines))
        for name, description in lines:
            typer.echo(f"{name:<{width}}{description}".rstrip())
    else:
        raise UnknownNameError("thing to list", what, [*kinds, "results"])


@data_app.command("info")
def data_info(name: Annotated[str, typer.Argument(help="Dataset, or NAME@VARIANT.")]) -> None:
    """Size, people, expressions and origin of a dataset; generates it if it is not in the cache."""
    from bench3dmm.data.registry import load_dataset

    dataset = load_dataset(name, progress=True)
    samples = dataset.samples
    template = dataset.template
    typer.echo(f"{dataset.name}: {len(dataset):,} registered meshes of {samples['subject'].nunique()} subjects")
    typer.echo(f"template: {template.n_vertices:,} vertices, {len(template.faces):,} faces")
    typer.echo(f"sha256: {dataset.sha256}")
    for key, value in {**dataset.card, **dataset.card.get("recipe", {})}.items():
        if key not in ("sha256", "shape", "recipe"):
            typer.echo(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    table = _table("expression", "meshes", "subjects")
    for expression, group in samples.groupby("expression", sort=True):
        table.add_row(str(expression), f"{len(group):,}", str(group["subject"].nunique()))
    _print(table)


@data_app.command("build")
def data_build(name: Annotated[str, typer.Argument(help="Dataset, or NAME@VARIANT.")]) -> None:
    """Generate a dataset into the cache ($BENCH3DMM_CACHE, or the user's cache folder)."""
    from bench3dmm.data.registry import load_dataset
    from bench3dmm.system.storage import cache_dir

    dataset = load_dataset(name, progress=True)
    typer.echo(f"{dataset.name}: {len(dataset):,} meshes, sha256 {dataset.sha256[:12]}…, in {cache_dir()}")


_TEMPLATE = Annotated[Path | None, typer.Option(help="PLY or OBJ with the connectivity; else the first mesh's.")]


_LANDMARKS = Annotated[Path | None, typer.Option(help="Vertex ids in a .txt, .json or .npy; for the weighted loss.")]


_ONE_BASED = Annotated[
    bool | None, typer.Option("--one-based/--zero-based", help="From what landmark ids count.", show_default=False)
]


_UNIT = Annotated[
    str | None, typer.Option(help="Of the meshes: mm, cm, dm, m or inch; recognised by size if not given.")
]


_LARGEST = Annotated[bool, typer.Option("--largest-component", help="Only the largest connected part of each mesh.")]


_REPLACE = Annotated[bool, typer.Option("--replace", help="Replace an import of that name by other data.")]


_QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


_COMA_EXAMPLES = "[bold]Example[/bold]\n\n  bench3dmm data import coma --source ~/COMA_data"


_BU3DFE_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm data import bu3dfe --source ~/BU3DFE\n\n"
    "  bench3dmm data import bu3dfe --source ~/BU3DFE --array ~/BU3DFE/dataset.npy --one-based"
)


_MESHES_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm data import meshes --name mine --source faces\n\n"
    "  bench3dmm data import meshes --name mine --source faces --samples faces/table.csv\n\n"
    "  bench3dmm data import meshes --name mine --array faces.npy --template face.obj --samples table.csv"
)


@import_app.command("coma", epilog=_COMA_EXAMPLES)
def import_coma_command(
    source: Annotated[Path, typer.Option(help="The folder that holds the subjects' folders.")],
    template: _TEMPLATE = None,
    landmarks: _LANDMARKS = None,
    one_based: _ONE_BASED = None,
    unit: _UNIT = None,
    largest_component: _LARGEST = False,
    replace: _REPLACE = False,
    quiet: _QUIET = False,
) -> None:
    """COMA, as the dataset coma. Get it, with a licence, from coma.is.tue.mpg.de.

    Layout of DIR, the raw download: SUBJECT/EXPRESSION/*.ply, e.g.
    FaceTalk_170725_00137_TA/bareteeth/bareteeth.000001.ply, in metres. Meshes per expression are compared with the
    paper's Table 1 and every difference is listed.
    """
    from bench3dmm.data.imports.coma import import_coma
    from bench3dmm.data.imports.plans import Options

    options = Options(template, landmarks, one_based, unit, largest_component, replace, not quiet)
    _imported(import_coma(source, options))


@import_app.command("bu3dfe", epilog=_BU3DFE_EXAMPLES)
def import_bu3dfe_command(
    source: Annotated[Path, typer.Option(help="The folder that holds the files.")],
    array: Annotated[Path | None, typer.Option(help="The array, if several or none is found.")] = None,
    template: Annotated[Path | None, typer.Option(help="The PLY or OBJ, if several or none is found.")] = None,
    landmarks: Annotated[Path | None, typer.Option(help="The vertex ids, if several or none is found.")] = None,
    identities: Annotated[Path | None, typer.Option(help="The list, if several or none is found.")] = None,
    without_landmarks: Annotated[
        bool, typer.Option("--without-landmarks", help="Import without; the weighted loss then refuses.")
    ] = False,
    one_based: Annotated[
        bool | None,
        typer.Option(
            "--one-based/--zero-based",
            help="From what landmark ids count, if symmetry cannot tell.",
            show_default=False,
        ),
    ] = None,
    unit: _UNIT = None,
    largest_component: _LARGEST = False,
    replace: _REPLACE = False,
    quiet: _QUIET = False,
) -> None:
    """The registered BU3DFE, as the dataset bu3dfe. The scans are licensed by Binghamton University.

    DIR holds, under any names: an array (.npy, N × V × 3: 1779 × 6704 × 3, metres), a template (OBJ or PLY of V
    vertices), landmarks (a list of vertex ids), and identities (a text file, one a row of the array, such as
    F0001_AN01WH: subject, expression, level). Each is found by what it is. Meshes per expression are compared with the
    paper's Table 2 and every difference is listed.
    """
    from bench3dmm.data.imports.bu3dfe import import_bu3dfe
    from bench3dmm.data.imports.plans import Options

    options = Options(template, landmarks, one_based, unit, largest_component, replace, not quiet)
    _imported(import_bu3dfe(source, options, array=array, identities=identities, without_landmarks=without_landmarks))


@import_app.command("meshes", epilog=_MESHES_EXAMPLES)
def import_meshes_command(
    name: Annotated[str, typer.Option(help="What the dataset shall be called.")],
    source: Annotated[Path | None, typer.Option(help="The folder that holds the PLY or OBJ files.")] = None,
    array: Annotated[Path | None, typer.Option(help="Instead of a folder: a .npy of shape (N, V, 3).")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="CSV: file, subject, expression, maybe level (0 to 1) and frame; a row a mesh.")
    ] = None,
    template: _TEMPLATE = None,
    landmarks: _LANDMARKS = None,
    one_based: _ONE_BASED = None,
    unit: _UNIT = None,
    largest_component: _LARGEST = False,
    replace: _REPLACE = False,
    quiet: _QUIET = False,
) -> None:
    """Any registered meshes: all with the same vertices and faces, in the same order.

    Either DIR/SUBJECT/EXPRESSION/*.ply (or .obj); or any folder with --samples, whose column file names the meshes
    below DIR; or an array with --template and --samples (without the column file).
    """
    from bench3dmm.data.imports.meshes import import_meshes
    from bench3dmm.data.imports.plans import Options

    options = Options(template, landmarks, one_based, unit, largest_component, replace, not quiet)
    _imported(import_meshes(name, source, options, array=array, samples=samples))


def _imported(dataset) -> None:
    from bench3dmm.data.cache import imported_dir

    folder = imported_dir() / dataset.name
    typer.echo(f"{dataset.name}: {len(dataset):,} meshes, sha256 {dataset.sha256[:12]}…, in {folder}")


@app.command("sweep", epilog=_SWEEP_EXAMPLES)
def run_sweep(
    name: Annotated[
        str,
        typer.Argument(
            help="paper, or one of: datasets, splits, weighted-loss, ledger, convergence, peers, common-training, "
            "extrapolation."
        ),
    ],
    coma: Annotated[str, typer.Option(help="The dataset in COMA's place.")] = "mh-seq",
    bu3dfe: Annotated[str, typer.Option(help="The dataset in BU3DFE's place.")] = "mh-scan",
    profile: Annotated[str, typer.Option(help="smoke, quick or paper.")] = "quick",
    seeds: Annotated[int, typer.Option(min=1, help="How many: 0, 1, …")] = 3,
    jobs: Annotated[int, typer.Option(min=0, help="Trainings at once; 0: one a core, on a GPU one.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")] = "auto",
    results_dir: Annotated[Path, typer.Option(help="Where results are written.")] = Path("results"),
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say which runs there are, and which are stored, stale (dataset changed) or missing."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Train also what is stored.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train every run of an experiment that is not stored yet; a killed sweep goes on where it was.

    datasets (Fig. 4), splits (Figs. 5 to 8) and weighted-loss (Figs. 6 and 9) are the paper's own; ledger measures
    where its text and its released code differ, convergence how far a profile is from converged. paper is all of these.

    peers trains every model at four latent sizes, as it was published, common-training CoMA and SpiralNet++ as
    Neural3DMM, extrapolation leaves out each expression in turn; lamm and manipulation train LAMM in its two stages.
    Hours on two cores.
    """
    from bench3dmm.data.registry import check_datasets
    from bench3dmm.papers.registry import experiment
    from bench3dmm.runs.stored import stored_state
    from bench3dmm.runs.sweep import sweep

    check_datasets(coma, bu3dfe)
    runs = experiment(name, coma, bu3dfe, profile, range(seeds))
    if dry_run:
        _print_runs(runs, ["state"], [[stored_state(run, results_dir)] for run in runs])
        return
    frame = sweep(runs, results_dir, device, force, progress=not quiet, jobs=jobs)
    _print_runs(runs, ERRORS, _errors(frame))


@app.command("verify", epilog=_VERIFY_EXAMPLES)
def verify_runs(
    run_ids: Annotated[list[str] | None, typer.Argument(help="Stored runs; if none, the quickstart's.")] = None,
    results_dir: Annotated[Path, typer.Option(help="Where runs are stored.")] = Path("results"),
    again_dir: Annotated[Path, typer.Option(help="Where the repetitions go.")] = Path("output/again"),
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Relative, of the stored mean error, instead of the rule above.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train stored runs again, from nothing, and hold what comes out to what is stored.

    The same machine and versions give equal bits; elsewhere rounding makes a run differ as another seed would. A mean
    error agrees within the range of the stored seeds of its configuration, widened by half of it on either side, or
    within 3 % of the stored one. Ends with exit code 1 where one differs by more.
    """
    from bench3dmm.errors import TrainingError
    from bench3dmm.runs.stored import stored_run
    from bench3dmm.runs.verify import DIFFERS, verify

    chosen = [stored_run(run_id, results_dir) for run_id in run_ids or [QUICKSTART.run_id]]
    compared = [verify(run, results_dir, again_dir, device, not quiet) for run in chosen]
    table = _table("run_id", "run", "stored (mm)", "again (mm)", "difference", "allowed (mm)", "outcome", "measured on")
    for one in compared:
        stored, again = (f"{result.metrics['mean_mm']:.4f}" for result in (one.stored, one.again))
        run = one.stored.run
        what = f"{run.dataset}, {run.split}, {run.model}, d = {run.latent}, seed {run.seed}"
        low, high = one.allowed(tolerance)
        allowed, outcome = f"{low:.4f} to {high:.4f}", one.outcome(tolerance)
        device_then = str(one.stored.provenance["device"])
        table.add_row(run.run_id, what, stored, again, f"{100 * one.relative:+.2f} %", allowed, outcome, device_then)
    _print(table)
    if failed := [one.stored.run.run_id for one in compared if one.outcome(tolerance) == DIFFERS]:
        raise TrainingError(f"{', '.join(failed)}: the mean error differs by more than is allowed, see the table")


@app.command("check", epilog=_CHECK_EXAMPLES)
def check(
    model: Annotated[str, typer.Argument(help="A name of `bench3dmm list models`, or MODULE:FUNCTION.")],
    preset: Annotated[str, typer.Option(help="If empty, the model's default.")] = "",
    latent: Annotated[int, typer.Option(min=1, help="Size d of the code in most checks.")] = 16,
) -> None:
    """Can a model take part? Seconds of checks on two small faces, each with what is wrong and how to mend it.

    Shapes, latent size, seed, gradient, training, saving, batches, dtype, device. Ends with exit code 1 where one
    fails. How to write a model: docs/your-own-model.md.
    """
    from bench3dmm.checks.models import check_model
    from bench3dmm.checks.suite import FAILED

    checks = check_model(model, preset, latent)
    _print(_checks_table(checks))
    failed = [one.name for one in checks if one.outcome == FAILED]
    if failed:
        typer.echo(f"\n{model} cannot take part yet: {', '.join(failed)} failed")
        raise typer.Exit(EXIT_FAILED)
    typer.echo(f"\n{model} can take part: bench3dmm run --dataset mh-scan --model {model} --profile smoke")


def _checks_table(checks: Sequence[Check]):
    """A row a check, its sentence broken into lines."""
    from rich.text import Text

    table = _table("check", "outcome")
    table.add_column("seen")
    for one in checks:
        table.add_row(one.name, one.outcome, Text(one.sentence))
    return table


@app.command("evaluate", epilog=_EVALUATE_EXAMPLES)
def evaluate_again(
    run_ids: Annotated[list[str] | None, typer.Argument(help="Stored runs; if none, all that have weights.")] = None,
    results_dir: Annotated[Path, typer.Option(help="Where runs are stored.")] = Path("results"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure stored runs again, from their weights, with the evaluator of today; nothing is trained.

    For measures that were added after a run was trained. Arrays and metrics of each are replaced; its record keeps
    where it was trained and says where it was measured.
    """
    from tqdm import tqdm

    from bench3dmm.runs.execute import measure_again
    from bench3dmm.runs.results import read_document, result_path
    from bench3dmm.runs.stored import stored_run

    weights = sorted(results_dir.glob("*/*.safetensors"))
    ids = run_ids or [path.stem for path in weights if path.with_suffix(".json").exists()]
    if not ids:
        raise DataError(f"{results_dir} holds no run with weights; they are written by bench3dmm run and sweep")
    runs = [stored_run(run_id, results_dir) for run_id in ids]
    cells = []
    for run in tqdm(runs, unit="run", disable=quiet or not sys.stderr.isatty()):
        before = read_document(result_path(run, results_dir))["metrics"]["mean_mm"]
        cells.append([f"{before:.4f}", f"{measure_again(run, results_dir, device).metrics['mean_mm']:.4f}"])
    _print_runs(runs, ["before (mm)", "now (mm)"], cells)


@app.command("rank", epilog=_RANK_EXAMPLES)
def rank(
    dataset: Annotated[list[str] | None, typer.Option(help="Only these; may be given several times.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only these; may be given several times.")] = None,
    profile: Annotated[str, typer.Option(help="smoke, quick or paper.")] = "quick",
    latent: Annotated[list[int] | None, typer.Option(help="Only these sizes of the code.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only these models.")] = None,
    results_dir: Annotated[Path, typer.Option(help="Where runs are stored.")] = Path("results"),
) -> None:
    """Rank the models whose runs are stored, by mean error, where persons and seeds can tell them apart.

    Two models are compared on the same test meshes by a 95 % bootstrap interval of the difference of their mean
    errors; one that holds 0 is a tie. A rank is 1 + the number of models that are better; = marks one that is shared.
    A model with fewer than three seeds has none, unless it is fitted in closed form. Runs of the protocol that all
    share take part: the profile's epochs, plain L1, the paper's splits.
    """
    from bench3dmm.papers.comparison.tables import rank_frame, rank_note
    from bench3dmm.runs.stored import stored_competitors
    from bench3dmm.statistics.headline import headline
    from bench3dmm.statistics.ranking import rankings

    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    wanted = {"dataset": dataset, "split": split, "latent": latent, "model": model}
    found = rankings(stored_competitors(results_dir, profile, **{name: given or () for name, given in wanted.items()}))
    found = [one for one in found if len(one.standings) > 1] or found  # what stands alone is ranked with nothing
    for sentence in headline(found):
        typer.echo(sentence)
    for place in dict.fromkeys(one.place for one in found):
        group = [one for one in found if one.place == place]
        frame = rank_frame(group).reset_index()
        table = _table(*frame.columns)
        for row in frame.itertuples(index=False):
            table.add_row(*map(str, row))
        typer.echo(f"\n{place}, profile {profile}")
        _print(table)
        typer.echo(rank_note(group))


@app.command("report", epilog=_REPORT_EXAMPLES)
def report(
    profile: Annotated[str, typer.Option(help="smoke, quick or paper.")] = "quick",
    coma: Annotated[str, typer.Option(help="The dataset in COMA's place.")] = "mh-seq",
    bu3dfe: Annotated[str, typer.Option(help="The dataset in BU3DFE's place.")] = "mh-scan",
    seeds: Annotated[int, typer.Option(min=1, help="How many: 0, 1, …")] = 3,
    results_dir: Annotated[Path, typer.Option(help="Where runs are stored.")] = Path("results"),
    output: Annotated[Path, typer.Option(help="The web page to write.")] = Path("report.html"),
) -> None:
    """Write one page of all that is stored: figures, tables, claims with verdicts, provenance.

    Nothing is trained; what is missing is said in its place, with the command that trains it. The web page holds its
    pictures; beside it come the same as Markdown (report.md, with its pictures in report_files/) and the verdicts for
    programs (report.json).
    """
    from bench3dmm.pages.report import write_report
    from bench3dmm.papers.setup import Setup

    for path in write_report(Setup(coma, bu3dfe, profile, tuple(range(seeds))), results_dir, output):
        typer.echo(str(path))


@app.command("notebooks", epilog=_NOTEBOOKS_EXAMPLES)
def run_all_notebooks(
    profile: Annotated[str, typer.Option(help="smoke, quick or paper.")] = "quick",
    output_dir: Annotated[Path, typer.Option(help="Executed notebooks, web pages and figures.")] = Path("output"),
    results_dir: Annotated[Path, typer.Option(help="Where runs are stored and looked for.")] = Path("results"),
    coma: Annotated[str | None, typer.Option(help="The dataset in COMA's place.")] = None,
    bu3dfe: Annotated[str | None, typer.Option(help="The dataset in BU3DFE's place.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many: 0, 1, …")] = None,
    jobs: Annotated[int | None, typer.Option(min=0, help="Trainings at once; 0: one a core, on a GPU one.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A notebook, such as 04_split_comparison; may be given several times.")
    ] = None,
) -> None:
    """Execute the notebooks of a checkout through papermill; runs that are stored are not trained again.

    Datasets, seeds, jobs and device are passed on to the notebooks that have such a parameter; where they are not
    given, each notebook's own defaults hold.
    """
    from bench3dmm.data.registry import check_datasets
    from bench3dmm.pages.notebooks import run_notebooks

    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    check_datasets(*filter(None, (coma, bu3dfe)))
    given = {"coma": coma, "bu3dfe": bu3dfe, "seeds": seeds, "jobs": jobs, "device": device}
    options = {name: value for name, value in given.items() if value is not None}
    written = run_notebooks(profile, output_dir, results_dir, only=only or (), options=options)
    typer.echo("\nDone. Look at")
    for path in written:
        typer.echo(f"  {path.with_suffix('.html')}   (a web page)")
        typer.echo(f"  {path}   (the notebook)")
    typer.echo(f"  {output_dir.resolve() / 'figures'}   (PNG and PDF)")
    typer.echo(f"  {results_dir.resolve()}   (numbers, with their provenance)")


@app.command("export", epilog=_EXPORT_EXAMPLES)
def export_model(
    run_id: Annotated[str, typer.Argument(help="A stored run of this machine, see: bench3dmm list results.")],
    results_dir: Annotated[Path, typer.Option(help="Where runs are stored.")] = Path("results"),
    output: Annotated[Path | None, typer.Option(help="The folder; exported/RUN_ID if not given.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Numbers of 16 bits: half the size, hardly less exact.")] = False,
) -> None:
    """Write a trained model as a folder that loads anywhere: model.safetensors and model.json.

    The first holds weights, normalisation, hierarchy and template; the second says what they are: run, errors, hashes,
    versions, device, dates. Both are needed, and refused where one was edited.
    """
    from bench3dmm.apply.exported import export

    folder = export(run_id, results_dir, output, half=half)
    for path in sorted(folder.glob("model.*")):
        typer.echo(f"{path}   {path.stat().st_size / 1e6:.2f} MB")


@app.command("reconstruct", epilog=_RECONSTRUCT_EXAMPLES)
def reconstruct(
    model: Annotated[Path, typer.Argument(help="What bench3dmm export wrote: the folder, or either of its files.")],
    folder: Annotated[
        Path, typer.Argument(help="PLY and OBJ files, in dense correspondence with the model's template.")
    ],
    output: Annotated[Path, typer.Option(help="A new folder, for meshes of the same names and errors.csv.")],
    unit: _UNIT = None,
    codes: Annotated[bool, typer.Option("--codes", help="Write codes.csv, too: the latent code of each mesh.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")] = "auto",
    quiet: _QUIET = False,
) -> None:
    """Reconstruct every mesh below a folder by a trained model, and say how far off it is.

    Meshes are written with the names, formats and unit they were read with. A file of another topology is refused by
    name, before anything is written.
    """
    import bench3dmm
    from bench3dmm.apply.reconstruct import reconstruct_folder
    from bench3dmm.record.grid import shown_value

    loaded = bench3dmm.load(model, device)
    done = reconstruct_folder(loaded, folder, output, unit=unit, codes=codes, progress=not quiet)
    order = range(len(done.files))
    if len(order) > SHOWN_MESHES:
        order = done.errors[:, 0].argsort()[: -SHOWN_MESHES - 1 : -1]
        typer.echo(f"the {SHOWN_MESHES} meshes with the largest mean error:")
    table = _table("file", "mean", "median", "p95", "max (mm)")
    for row in order:
        table.add_row(done.files[row], *(f"{error:.3f}" for error in done.errors[row]))
    _print(table)
    run = loaded.run
    known = ", ".join(f"{name} {shown_value(run, name)}" for name in ("dataset", "split", "profile", "epochs", "seed"))
    typer.echo(f"{len(done.files):,} meshes in {done.unit}: mean error {done.errors[:, 0].mean():.3f} mm")
    typer.echo(f"{run.model}, d = {run.latent}, on its own test meshes: {loaded.metrics['mean_mm']:.3f} mm ({known})")
    typer.echo(f"{output}: meshes, errors.csv{', codes.csv' * codes}")


@app.command("bench", epilog=_BENCH_EXAMPLES)
def bench(
    sections: Annotated[list[str] | None, typer.Argument(help="Which of them; all if none.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")] = "auto",
    rounds: Annotated[int, typer.Option(min=3, help="Of the comparison; each side is timed in turns.")] = 12,
    output_dir: Annotated[Path, typer.Option(help="For bench.json and the pictures.")] = Path("output/bench"),
) -> None:
    """Measure speed and memory: against the published formulation, and against what this machine can do.

    compare: training step and forward pass, timed in turns in one run. peers: every model beside Neural3DMM. lamm:
    meshes a second and training memory, beside spiral models. layers: each layer beside its floor. scaling: time and
    memory over vertices (1,000 to 100,000), batch and latent size. together: several trainings at once. around:
    start-up, hierarchy, evaluation. All take about half an hour on two cores; the first time, the hierarchies of large
    meshes are built. Sections that DIR holds and that are not measured now are kept, with the machine they are of.
    """
    from bench3dmm.bench import SECTIONS, run_bench, save_bench
    from bench3dmm.bench.report import tables

    record = run_bench(sections or SECTIONS, device, rounds, keep=lambda sofar: save_bench(sofar, output_dir))
    for title, columns, rows in tables(record):
        table = _table(*columns)
        for row in rows:
            table.add_row(*row)
        typer.echo(f"\n{title}")
        _print(table)
    typer.echo(f"\n{output_dir / 'bench.json'}, with pictures beside it")


def _datasets() -> list[tuple[str, str]]:
    from bench3dmm.data.cache import imported_note
    from bench3dmm.data.registry import dataset_names, variant_names

    notes = {
        "mh-seq": "synthetic CC0 expression sequences, structured like COMA: 12 people, 20,466 meshes",
        "mh-scan": "synthetic CC0 scans, structured like BU3DFE: 100 people, 1,779 meshes",
    }
    variants = [("NAME@VARIANT", f"either without its noise or some mechanisms: {', '.join(variant_names())}")]
    return [(name, notes.get(name) or imported_note(name)) for name in dataset_names()] + variants


def _splits() -> list[tuple[str, str]]:
    from bench3dmm.data.splits import split_names

    notes = {"percentage": "90/10 within each identity", "identity": "92/8 of the identities"}
    without = ("without:EXPRESSION", "all meshes of one expression are tested, e.g. without:fear")
    return [*((name, notes.get(name, "")) for name in split_names()), without]


def _models() -> list[tuple[str, str]]:
    from bench3dmm.models.registry import model_names, model_origin, model_summary

    def note(name: str) -> str:
        """Of somebody else's model also whose it is, or why it cannot be used."""
        try:
            whose = model_origin(name)
        except PluginError as error:
            return f"cannot be used: {error}"
        package = whose and f"from {whose['package'] or whose['module']} {whose['version'] or ''}".strip()
        return " ".join(filter(None, [model_summary(name), package and f"({package})"]))

    return [(name, note(name)) for name in model_names()]


def _presets() -> list[tuple[str, str]]:
    from bench3dmm.models.registry import model_names, preset_names

    presets = []
    for name in model_names():
        try:
            presets.append((name, ", ".join(preset_names(name))))
        except PluginError:  # `list models` says why
            continue
    return presets


def _losses() -> list[tuple[str, str]]:
    from bench3dmm.training.losses import LOSSES

    return [(name, (weights.__doc__ or "").partition("\n")[0]) for name, weights in LOSSES.items()]


def _profiles() -> list[tuple[str, str]]:
    def size(at_most: int | None) -> str:
        return "all" if at_most is None else f"at most {at_most:,}"

    return [
        (name, f"{p.epochs} epochs, {size(p.max_train)} training and {size(p.max_test)} test meshes")
        for name, p in PROFILES.items()
    ]


def _tasks() -> list[tuple[str, str]]:
    return list(TASKS.items())


def _list_results(results_dir: Path) -> None:
    from bench3dmm.record.grid import shown_value
    from bench3dmm.runs.results import load_results

    frame = load_results(results_dir)
    if frame.empty:
        typer.echo(f"no results in {results_dir}")
        return
    rows = frame.to_dict("records")
    runs = [Run(**{name: row[name] for name in Run.field_names()}) for row in rows]
    order = sorted(range(len(runs)), key=lambda place: [shown_value(runs[place], name) for name in SORTED])
    errors = _errors(frame)
    _print_runs([runs[place] for place in order], ERRORS, [errors[place] for place in order])


def _errors(frame: pd.DataFrame) -> list[list[str]]:
    return [[f"{row.mean_mm:.3f}", f"{row.median_mm:.3f}"] for row in frame.itertuples()]


def _print_runs(runs: Sequence[Run], header: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A row a run: every field in which the runs differ, then the cells; above them what the runs share."""
    from bench3dmm.record.grid import shown_value, varying_fields

    varying = varying_fields(runs)
    shared = [name for name in SORTED if name not in varying]
    if shared:
        typer.echo("each run: " + ", ".join(f"{name} {shown_value(runs[0], name)}" for name in shared))
    table = _table("run_id", *varying, *header)
    for run, row in zip(runs, cells, strict=True):
        table.add_row(run.run_id, *(f"{shown_value(run, name)}" for name in varying), *row)
    _print(table)


def _table(*columns: str):
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(table) -> None:
    from rich.console import Console

    # A pipe has no width of its own: do not cut what a script may read.
    Console(width=None if sys.stdout.isatty() else 400, highlight=False).print(table)


def _flow_help(application: typer.Typer) -> None:
    """Take the source's line breaks out of the paragraphs of all commands' help, which typer would keep."""
    for command in application.registered_commands:
        text = command.help or inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    for group in application.registered_groups:
        _flow_help(group.typer_instance)


_flow_help(app)


def main() -> None:
    """Entry point: errors of this library are one line on stderr and an exit code."""
    try:
        app()
    except UnknownNameError as error:
        _fail(error, EXIT_USAGE)
    except Bench3dmmError as error:
        _fail(error, EXIT_FAILED)
    except OSError as error:  # a full disk, a folder that cannot be written
        _fail(error, EXIT_FAILED)


def _fail(message: object, code: int) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text(f"error: {message}", style="red"))
    raise SystemExit(code)
