"""What models are trained for. A task is one file of this folder with one registered class

    @register
    class MyTask(Task):
        name = "my-task"
        measures = (Measure("mean_mm", "error", required=True), ...)   # the first one is the headline
        def objective(self, run, model, dataset, rows, device): ...
        def measure(self, run, model, dataset, rows, normaliser, device): ...
        def scores(self, arrays): ...

see `task` for what else it may say: what a run begins with, its rows, baselines, what it asks of models. It may as well
stand in somebody else's package, which declares it in the entry point group ``bench3dmm.tasks``.

Who lives here: `reconstruction`, `manipulation` (three variants); `task` (what a task is), `registry` (tasks by name),
`published` (runs with a model's published training, and what they begin with); `parts`, what they are made of.
"""

from __future__ import annotations

from bench3dmm.tasks.published import base_run, published_run, reconstruction_of, run_command
from bench3dmm.tasks.registry import get_task, register, task_names
from bench3dmm.tasks.task import HIGHER, LOWER, Baseline, Measure, Scores, Task

__all__ = [
    "HIGHER",
    "LOWER",
    "Baseline",
    "Measure",
    "Scores",
    "Task",
    "base_run",
    "get_task",
    "published_run",
    "reconstruction_of",
    "register",
    "run_command",
    "task_names",
]
