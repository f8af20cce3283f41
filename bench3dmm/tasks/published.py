"""Runs with the training that a model was published with, what they begin with, and what trains them."""

from __future__ import annotations

import shlex
from typing import Any

from bench3dmm.models.registry import closed_form, published_training
from bench3dmm.record.run import TRAINING, Run
from bench3dmm.tasks.registry import check_task, get_task


def published_run(**fields: Any) -> Run:
    """A run with the training its model was published with; fields that are given hold instead.

    Raises:
        UnknownNameError: no such model, preset or task.
    """
    model, preset, task = (fields.get(name, getattr(Run, name)) for name in ("model", "preset", "task"))
    check_task(task, model)
    return Run(**{**published_training(model, preset, task), **fields})


def base_run(run: Run) -> Run | None:
    """The run whose weights a run begins with; None for new ones, and for a model that is fitted in closed form."""
    return None if closed_form(run.model) else get_task(run.task).base(run)


def reconstruction_of(run: Run) -> Run:
    """The reconstruction, with its published training, that otherwise has a run's fields: a task may begin with it."""
    return published_run(**{name: value for name, value in run.as_dict().items() if name not in (*TRAINING, "task")})


def run_command(run: Run) -> str:
    """What trains that run: ``bench3dmm run`` with the fields that differ from their defaults or the model's own."""
    values, plain = run.as_dict(), Run(run.dataset).as_dict()
    published = published_run(dataset=run.dataset, model=run.model, preset=run.preset, task=run.task).as_dict()
    given = [name for name in values if name == "dataset" or not values[name] == plain[name] == published[name]]
    options = (f"--{name.replace('_', '-')} {shlex.quote(str(values[name]))}" for name in given)
    return " ".join(["bench3dmm run", *options])
