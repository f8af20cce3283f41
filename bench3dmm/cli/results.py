"""Commands that read stored results: rank, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench3dmm.cli.options import Bu3dfe, Coma, Profile, ResultsRead, Seeds
from bench3dmm.cli.show import new_table, print_table
from bench3dmm.errors import UnknownNameError
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run

commands = typer.Typer()

_RANK_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm rank --dataset mh-scan --split percentage\n\n"
    "  bench3dmm rank --latent 16 --model pca --model mine.models:build --results-dir my-results"
)


@commands.command("rank", epilog=_RANK_EXAMPLES)
def rank(
    dataset: Annotated[list[str] | None, typer.Option(help="Only these; may be given several times.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only these; may be given several times.")] = None,
    profile: Profile = "quick",
    latent: Annotated[list[int] | None, typer.Option(help="Only these sizes of the code.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only these models.")] = None,
    task: Annotated[str, typer.Option(help="What the models were trained for; see: bench3dmm list tasks.")] = Run.task,
    results_dir: ResultsRead = Path("results"),
) -> None:
    """Rank the models whose runs are stored, by mean error, or what else their task is ranked by, where persons and
    seeds can tell them apart.

    Two models are compared on the same test meshes by a 95 % bootstrap interval of the difference of their mean
    errors, or of that other measure; one that holds 0 is a tie. A rank is 1 + the number of models that are better; =
    marks one that is shared. A model with fewer than three seeds has none, unless it is fitted in closed form. Runs of
    the protocol that all share take part: the profile's epochs, plain L1, the paper's splits.
    """
    from bench3dmm.runs.stored import stored_competitors
    from bench3dmm.statistics.headline import headline
    from bench3dmm.statistics.ranking import rankings
    from bench3dmm.tasks.registry import get_task
    from bench3dmm.view.rankings import rank_frame, rank_note

    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    wanted = {"dataset": dataset, "split": split, "latent": latent, "model": model}
    get_task(task)  # which knows the names
    asked = {name: given or () for name, given in wanted.items()}
    found = rankings(stored_competitors(results_dir, profile, task, **asked))
    found = [one for one in found if len(one.standings) > 1] or found  # what stands alone is ranked with nothing
    for sentence in headline(found):
        typer.echo(sentence)
    for place in dict.fromkeys(one.place for one in found):
        group = [one for one in found if one.place == place]
        frame = rank_frame(group).reset_index()
        table = new_table(*frame.columns)
        for row in frame.itertuples(index=False):
            table.add_row(*map(str, row))
        typer.echo(f"\n{place}, profile {profile}")
        print_table(table)
        typer.echo(rank_note(group))


_REPORT_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm report --profile quick\n\n"
    "  bench3dmm report --profile paper --coma coma --bu3dfe bu3dfe --output licensed.html"
)


@commands.command("report", epilog=_REPORT_EXAMPLES)
def report(
    profile: Profile = "quick",
    coma: Coma[str] = "mh-seq",
    bu3dfe: Bu3dfe[str] = "mh-scan",
    seeds: Seeds[int] = 3,
    results_dir: ResultsRead = Path("results"),
    output: Annotated[Path, typer.Option(help="The web page to write.")] = Path("report.html"),
    templates: Annotated[Path | None, typer.Option(help="Folder of your own templates and style for it.")] = None,
) -> None:
    """Write one page of all that is stored: figures, tables, claims with verdicts, provenance.

    Nothing is trained; what is missing is said in its place, with the command that trains it. The web page holds its
    pictures; beside it come the same as Markdown (report.md, with its pictures in report_files/) and the verdicts for
    programs (report.json).
    """
    from bench3dmm.pages.report import write_report
    from bench3dmm.papers.setup import Setup

    setup = Setup(coma, bu3dfe, profile, tuple(range(seeds)))
    for path in write_report(setup, results_dir, output, templates):
        typer.echo(str(path))
