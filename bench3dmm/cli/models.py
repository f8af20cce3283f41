"""Commands on models: check a new one, export a trained one, reconstruct meshes by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3dmm.cli.options import Device, Quiet, ResultsRead, Unit
from bench3dmm.cli.show import EXIT_FAILED, new_table, print_table
from bench3dmm.record.grid import shown_value

if TYPE_CHECKING:
    from rich.table import Table

    from bench3dmm.checks.suite import Check

commands = typer.Typer()

_CHECK_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm check neural3dmm --preset release\n\n"
    "  bench3dmm check my_module:build --latent 64     of my_module.py in this folder\n\n"
    "  bench3dmm check lamm --task manipulation        also what that task asks\n\n"
    "  bench3dmm check --task my_module:TASK           a task of your own"
)


@commands.command("check", epilog=_CHECK_EXAMPLES)
def check(
    model: Annotated[
        str | None, typer.Argument(help="A name of `bench3dmm list models`, or MODULE:FUNCTION.", show_default=False)
    ] = None,
    task: Annotated[
        str, typer.Option(help="Also what this task asks of a model; without a model, the task itself is checked.")
    ] = "",
    preset: Annotated[str, typer.Option(help="If empty, the model's default.")] = "",
    latent: Annotated[int, typer.Option(min=1, help="Size d of the code in most checks.")] = 16,
) -> None:
    """Can a model take part? Seconds of checks on two small faces, each with what is wrong and how to mend it.

    Shapes, latent size, seed, gradient, training, saving, batches, dtype, device, and what its task asks. Ends with
    exit code 1 where one fails. How to write a model: docs/your-own-model.md; a task: CONTRIBUTING.md.
    """
    from bench3dmm.checks.models import check_model
    from bench3dmm.checks.suite import FAILED
    from bench3dmm.checks.tasks import check_task

    if not (model or task):
        raise typer.BadParameter("name a model, or a task by --task")
    name = model or task
    checks = check_model(model, preset, latent, task) if model else check_task(task)
    print_table(_checks_table(checks))
    failed = [one.name for one in checks if one.outcome == FAILED]
    if failed:
        typer.echo(f"\n{name} cannot take part yet: {', '.join(failed)} failed")
        raise typer.Exit(EXIT_FAILED)
    options = " ".join(filter(None, [f"--model {model}" if model else "", f"--task {task}" if task else ""]))
    typer.echo(f"\n{name} can take part: bench3dmm run --dataset mh-scan {options} --profile smoke")


def _checks_table(checks: Sequence[Check]) -> Table:
    """A row a check, its sentence broken into lines."""
    from rich.text import Text

    table = new_table("check", "outcome")
    table.add_column("seen")
    for one in checks:
        table.add_row(one.name, one.outcome, Text(one.sentence))
    return table


_EXPORT_EXAMPLES = (
    "[bold]Example[/bold]\n\n"
    "  bench3dmm export 3337e236e8e6 --output my-model\n\n"
    "[bold]Then, in Python[/bold]\n\n"
    "  import bench3dmm\n\n"
    "  model = bench3dmm.load('my-model')\n\n"
    "  codes = model.encode(meshes)     # (N, V, 3) in mm -> (N, d); see also decode and reconstruct"
)


@commands.command("export", epilog=_EXPORT_EXAMPLES)
def export_model(
    run_id: Annotated[str, typer.Argument(help="A stored run of this machine, see: bench3dmm list results.")],
    results_dir: ResultsRead = Path("results"),
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


_RECONSTRUCT_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm reconstruct my-model faces --output reconstructed\n\n"
    "  bench3dmm reconstruct my-model faces --output reconstructed --unit m --codes"
)

SHOWN_MESHES = 20


@commands.command("reconstruct", epilog=_RECONSTRUCT_EXAMPLES)
def reconstruct(
    model: Annotated[Path, typer.Argument(help="What bench3dmm export wrote: the folder, or either of its files.")],
    folder: Annotated[
        Path, typer.Argument(help="PLY and OBJ files, in dense correspondence with the model's template.")
    ],
    output: Annotated[Path, typer.Option(help="A new folder, for meshes of the same names and errors.csv.")],
    unit: Unit = None,
    codes: Annotated[bool, typer.Option("--codes", help="Write codes.csv, too: the latent code of each mesh.")] = False,
    device: Device[str] = "auto",
    quiet: Quiet = False,
) -> None:
    """Reconstruct every mesh below a folder by a trained model, and say how far off it is.

    Meshes are written with the names, formats and unit they were read with. A file of another topology is refused by
    name, before anything is written.
    """
    from bench3dmm.apply.exported import load
    from bench3dmm.apply.reconstruct import reconstruct_folder

    loaded = load(model, device)
    done = reconstruct_folder(loaded, folder, output, unit=unit, codes=codes, progress=not quiet)
    order = list(range(len(done.files)))
    if len(order) > SHOWN_MESHES:
        order = done.errors[:, 0].argsort()[: -SHOWN_MESHES - 1 : -1].tolist()
        typer.echo(f"the {SHOWN_MESHES} meshes with the largest mean error:")
    table = new_table("file", "mean", "median", "p95", "max (mm)")
    for row in order:
        table.add_row(done.files[row], *(f"{error:.3f}" for error in done.errors[row]))
    print_table(table)
    run = loaded.run
    known = ", ".join(f"{name} {shown_value(run, name)}" for name in ("dataset", "split", "profile", "epochs", "seed"))
    typer.echo(f"{len(done.files):,} meshes in {done.unit}: mean error {done.errors[:, 0].mean():.3f} mm")
    typer.echo(f"{run.model}, d = {run.latent}, on its own test meshes: {loaded.metrics['mean_mm']:.3f} mm ({known})")
    typer.echo(f"{output}: meshes, errors.csv{', codes.csv' * codes}")
