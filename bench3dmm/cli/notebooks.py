"""The notebooks of a checkout: notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench3dmm.cli.options import Bu3dfe, Coma, Device, Jobs, Profile, Seeds
from bench3dmm.errors import UnknownNameError
from bench3dmm.record.profiles import PROFILES

commands = typer.Typer()

_NOTEBOOKS_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm notebooks --profile smoke --results-dir /tmp/results\n\n"
    "  bench3dmm notebooks --only 01_datasets --only 04_split_comparison --bu3dfe bu3dfe"
)


@commands.command("notebooks", epilog=_NOTEBOOKS_EXAMPLES)
def run_all_notebooks(
    profile: Profile = "quick",
    output_dir: Annotated[Path, typer.Option(help="Executed notebooks, web pages and figures.")] = Path("output"),
    results_dir: Annotated[Path, typer.Option(help="Where runs are stored and looked for.")] = Path("results"),
    coma: Coma[str | None] = None,
    bu3dfe: Bu3dfe[str | None] = None,
    seeds: Seeds[int | None] = None,
    jobs: Jobs[int | None] = None,
    device: Device[str | None] = None,
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
