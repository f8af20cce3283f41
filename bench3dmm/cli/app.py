"""The ``bench3dmm`` command: its commands in order, and how errors end."""

from __future__ import annotations

import inspect

import typer
from typer.models import CommandInfo

from bench3dmm.cli import bench, data, listing, models, notebooks, results, run
from bench3dmm.cli.show import EXIT_FAILED, EXIT_USAGE
from bench3dmm.errors import Bench3dmmError, UnknownNameError
from bench3dmm.system.stops import heed

ORDER = (
    "run",
    "list",
    "sweep",
    "verify",
    "check",
    "evaluate",
    "rank",
    "report",
    "notebooks",
    "export",
    "reconstruct",
    "bench",
)
"""Of the commands in ``--help``: first what one begins with."""

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


def _in_order(*groups: typer.Typer) -> list[CommandInfo]:
    """The commands of all groups, each of which must have its place in `ORDER`."""
    commands = (command for group in groups for command in group.registered_commands)
    return sorted(commands, key=lambda command: ORDER.index(str(command.name)))


def _flow_help(application: typer.Typer) -> None:
    """Take the source's line breaks out of the paragraphs of all commands' help, which typer would keep."""
    for command in application.registered_commands:
        text = command.help or inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    for group in application.registered_groups:
        if group.typer_instance is not None:
            _flow_help(group.typer_instance)


app.registered_commands = _in_order(*(file.commands for file in (bench, listing, models, notebooks, results, run)))
app.add_typer(data.commands, name="data")
_flow_help(app)


def main() -> None:
    """Entry point: errors of this library are one line on stderr and an exit code; SIGTERM is as orderly as Ctrl-C."""
    heed()
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
