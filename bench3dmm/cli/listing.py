"""What there is to choose, and what is stored: list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from bench3dmm.cli.show import SORTED, print_runs, score_columns
from bench3dmm.errors import PluginError, UnknownNameError
from bench3dmm.record.grid import shown_value
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run

commands = typer.Typer()

Lines = list[tuple[str, str]]
"""Names, each with what is to be said of it."""


def _datasets() -> Lines:
    from bench3dmm.data.cache import imported_note
    from bench3dmm.data.registry import dataset_names, variant_names

    notes = {
        "mh-seq": "synthetic CC0 expression sequences, structured like COMA: 12 people, 20,466 meshes",
        "mh-scan": "synthetic CC0 scans, structured like BU3DFE: 100 people, 1,779 meshes",
    }
    variants = [("NAME@VARIANT", f"either without its noise or some mechanisms: {', '.join(variant_names())}")]
    return [(name, notes.get(name) or imported_note(name)) for name in dataset_names()] + variants


def _splits() -> Lines:
    from bench3dmm.data.splits import split_names

    notes = {"percentage": "90/10 within each identity", "identity": "92/8 of the identities"}
    without = ("without:EXPRESSION", "all meshes of one expression are tested, e.g. without:fear")
    return [*((name, notes.get(name, "")) for name in split_names()), without]


def _described(names: Iterable[str], note: Callable[[str], str]) -> Lines:
    """Names with a line about each; of somebody else's that is broken, why it cannot be used."""
    described = []
    for name in names:
        try:
            described.append((name, note(name)))
        except PluginError as error:
            described.append((name, f"cannot be used: {error}"))
    return described


def _models() -> Lines:
    from bench3dmm.models.registry import model_names, model_origin, model_summary

    def note(name: str) -> str:
        """Of somebody else's model also whose it is."""
        whose = model_origin(name)
        if not whose:
            return model_summary(name)
        package = f"from {whose['package'] or whose['module']} {whose['version'] or ''}".strip()
        return f"{model_summary(name)} ({package})".strip()

    return _described(model_names(), note)


def _presets() -> Lines:
    from bench3dmm.models.registry import model_names, preset_names

    presets = []
    for name in model_names():
        try:
            presets.append((name, ", ".join(preset_names(name))))
        except PluginError:  # `list models` says why
            continue
    return presets


def _losses() -> Lines:
    from bench3dmm.training.losses import LOSSES

    return [(name, (weights.__doc__ or "").partition("\n")[0]) for name, weights in LOSSES.items()]


def _profiles() -> Lines:
    def size(at_most: int | None) -> str:
        return "all" if at_most is None else f"at most {at_most:,}"

    return [
        (name, f"{p.epochs} epochs, {size(p.max_train)} training and {size(p.max_test)} test meshes")
        for name, p in PROFILES.items()
    ]


def _tasks() -> Lines:
    from bench3dmm.tasks.registry import get_task, task_names

    return _described(task_names(), lambda name: get_task(name).summary)


def _experiments() -> Lines:
    from bench3dmm.papers.registry import experiments

    return [(name, experiment.summary) for name, experiment in experiments().items()]


def _list_results(results_dir: Path) -> None:
    from bench3dmm.runs.results import load_results

    frame = load_results(results_dir)
    if frame.empty:
        typer.echo(f"no results in {results_dir}")
        return
    rows = frame.to_dict("records")
    runs = [Run(**{name: row[name] for name in Run.field_names()}) for row in rows]
    order = sorted(range(len(runs)), key=lambda place: [shown_value(runs[place], name) for name in SORTED])
    header, cells = score_columns(frame)
    print_runs([runs[place] for place in order], header, [cells[place] for place in order])


KINDS: dict[str, Callable[[], Lines]] = {
    "datasets": _datasets,
    "splits": _splits,
    "models": _models,
    "presets": _presets,
    "losses": _losses,
    "profiles": _profiles,
    "tasks": _tasks,
    "experiments": _experiments,
}


@commands.command("list")
def list_names(
    what: Annotated[str | None, typer.Argument(help=f"{', '.join(KINDS)} or results.")] = None,
    results_dir: Annotated[Path, typer.Option(help="For: list results.")] = Path("results"),
) -> None:
    """Show what can be chosen, or the stored results."""
    if what == "results":
        _list_results(results_dir)
    elif what is None:
        for kind, described in KINDS.items():
            lines = ((name, note) for name, note in described() if "@" not in name)
            names = (f"{name} ({note})" if kind == "presets" else name for name, note in lines)
            typer.echo(f"{kind + ':':<13}{', '.join(names)}")
    elif what in KINDS:
        listed = KINDS[what]()
        width = max(14, 2 + max(len(name) for name, _ in listed))
        for name, description in listed:
            typer.echo(f"{name:<{width}}{description}".rstrip())
    else:
        raise UnknownNameError("thing to list", what, [*KINDS, "results"])
