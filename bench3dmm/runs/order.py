"""In which order a sweep of several jobs begins its runs: the longest first, so that none is left alone at the end."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.models.registry import closed_form
from bench3dmm.record.run import Run
from bench3dmm.runs.results import read_document

LONGEST, GIVEN = "longest", "given"
ORDERS = (LONGEST, GIVEN)
KEYS: tuple[Callable[[Run], tuple[object, ...]], ...] = (
    lambda run: (run.dataset, run.model, run.preset, run.task, run.latent),
    lambda run: (run.dataset, run.model, run.preset, run.task),
    lambda run: (run.model, run.preset, run.task),
    lambda run: (run.model,),
)
"""What runs have in common that take about as long an epoch, the most alike first."""


def check_order(order: str) -> None:
    """Raises UnknownNameError, with the nearest name."""
    if order not in ORDERS:
        raise UnknownNameError("order", order, ORDERS)


def by_length(runs: Sequence[Run], results_dir: str | Path, order: str = LONGEST) -> list[Run]:
    """Runs as a sweep should begin them.

    How long a run takes is told by stored ones of its profile, per epoch; one that nothing is known of comes first.
    """
    if order == GIVEN:
        return list(runs)
    seconds = expected_seconds(runs, results_dir)
    return sorted(runs, key=lambda run: -seconds[run])


def expected_seconds(runs: Sequence[Run], results_dir: str | Path) -> dict[Run, float]:
    """How long each takes alone on the machine, by stored runs of its profile; infinite where none tells."""
    known = _known(results_dir, {run.profile for run in runs})
    return {run: _seconds(run, known) for run in runs}


def _known(results_dir: str | Path, profiles: set[str]) -> dict[tuple[object, ...], list[float]]:
    """By what runs have in common, the seconds an epoch of stored ones; not of those that shared the machine."""
    known: dict[tuple[object, ...], list[float]] = {}
    for profile in profiles:
        for path in (Path(results_dir) / profile).glob("*.json"):
            try:
                document = read_document(path)
            except DataError:  # whose own business says so
                continue
            made, run = document["provenance"], Run.from_dict(document["run"])
            if made.get("trained_at_once", 1) > 1 or "training_seconds" not in made:
                continue
            seconds = made["training_seconds"] / max(made["epochs"], 1)
            for key in KEYS:
                known.setdefault((profile, *key(run)), []).append(seconds)
    return known


def _seconds(run: Run, known: dict[tuple[object, ...], list[float]]) -> float:
    epochs = 1 if closed_form(run.model) else run.n_epochs
    alike = (known.get((run.profile, *key(run))) for key in KEYS)
    found = next(filter(None, alike), None)
    return math.inf if found is None else epochs * statistics.median(found)
