"""How fast it is, and how much memory it takes: bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench3dmm.cli.options import Device
from bench3dmm.cli.show import new_table, print_table

commands = typer.Typer()

_BENCH_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm bench compare layers --rounds 5     two minutes\n\n"
    "  bench3dmm bench --output-dir my-machine       everything"
)


@commands.command("bench", epilog=_BENCH_EXAMPLES)
def bench(
    sections: Annotated[list[str] | None, typer.Argument(help="Which of them; all if none.")] = None,
    device: Device[str] = "auto",
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
        table = new_table(*columns)
        for row in rows:
            table.add_row(*row)
        typer.echo(f"\n{title}")
        print_table(table)
    typer.echo(f"\n{output_dir / 'bench.json'}, with pictures beside it")
