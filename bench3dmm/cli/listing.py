"""What there is to choose, and what is stored: list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bench3dmm.cli.show import ERRORS, SORTED, error_cells, print_runs
from bench3dmm.errors import PluginError, UnknownNameError
from bench3dmm.record.grid import shown_value
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run

commands = typer.Typer()


@commands.command("list")
def list_names(
    what: Annotated[
        str | None,
        typer.Argument(help="datasets, splits, models, presets, losses, profiles, tasks, experiments or results."),
    ] = None,
    results_dir: Annotated[Path, typer.Option(help="For: list results.")] = Path("results"),
) -> None:
    """Show what can be chosen, or the stored results."""
    kinds: dict[str, Callable[[], list[tuple[str, str]]]] = {
        "datasets": _datasets,
        "splits": _splits,
        "models": _models,
        "presets": _presets,
        "losses": _losses,
        "profiles": _profiles,
        "tasks": _tasks,
        "experiments": _experiments,
    }
    if what == "results":
        _list_results(results_dir)
    elif what is None:
        for kind, described in kinds.items():
            pairs = ((name, note) for name, note in described() if "@" not in name)
            names = (f"{name} ({note})" if kind == "presets" else name for name, note in pairs)
            typer.echo(f"{kind + ':':<13}{', '.join(names)}")
    elif what in kinds:
        lines = kinds[what]()
        width = max(14, 2 + max(len(name) for name, _ in lines))
        for name, description in lines:
            typer.echo(f"{name:<{width}}{description}".rstrip())
    else:
        raise UnknownNameError("thing to list", what, [*kinds, "results"])


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
        if not whose:
            return model_summary(name)
        package = f"from {whose['package'] or whose['module']} {whose['version'] or ''}".strip()
        return f"{model_summary(name)} ({package})".strip()

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
    from bench3dmm.tasks.registry import TASKS

    return list(TASKS.items())


def _experiments() -> list[tuple[str, str]]:
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
    errors = error_cells(frame)
    print_runs([runs[place] for place in order], ERRORS, [errors[place] for place in order])
