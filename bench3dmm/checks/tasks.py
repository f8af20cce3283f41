"""Can a task take part? What `execute`, rankings and results ask of one, each as a check, on small people.

A model is built, fitted or trained for a few steps by the task's own objective, and measured; whether it does well is
not asked.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from bench3dmm.checks.subject import FACTORS, SIZES, NotAsked, Wrong
from bench3dmm.checks.suite import FAILED, SKIPPED, Check, outcome_of
from bench3dmm.data.dataset import Dataset, content_sha256
from bench3dmm.data.normaliser import Normaliser
from bench3dmm.data.rows import Rows
from bench3dmm.data.synthetic.sizes import face
from bench3dmm.errors import Bench3dmmError, PluginError
from bench3dmm.models.interface import has_closed_form, ready_to_infer
from bench3dmm.models.registry import (
    build_model,
    closed_form,
    hierarchy_for,
    model_names,
    model_origin,
    preset_names,
    task_names,
)
from bench3dmm.record.run import Run
from bench3dmm.system.device import seeded
from bench3dmm.tasks.published import base_run, published_run
from bench3dmm.tasks.registry import get_task
from bench3dmm.tasks.task import HIGHER, LOWER, Task
from bench3dmm.training.fit import fit, load_normalised
from bench3dmm.training.objective import Objective
from bench3dmm.training.schedule import Schedule

PEOPLE, EXPRESSIONS, LEVELS = 12, ("happy", "sad"), (0.5, 1.0)
LATENT, EPOCHS = 8, 2
CPU = torch.device("cpu")


def check_task(name: str) -> list[Check]:
    """Every check of one task, in the order in which its author would mend it.

    Raises:
        UnknownNameError, PluginError: no such task, or its package cannot be imported.
    """
    subject = _Subject(get_task(name), name)
    checks: list[Check] = []
    for label, ask in CHECKS.items():
        if broken := next((one.name for one in checks if one.outcome == FAILED), None):
            checks.append(Check(label, SKIPPED, f"not tried: mend {broken!r} first"))
        else:
            checks.append(outcome_of(label, ask, subject))
    return checks


# --- what is checked, and on what -------------------------------------------------------------------------------


@functools.cache
def people() -> Dataset:
    """Small faces: twelve persons, each neutral and with two expressions at two levels."""
    template = face(SIZES[0])
    rng = np.random.default_rng(0)
    phases = template.vertices @ rng.normal(0, 0.03, (3, 8)) + rng.uniform(0, 6, 8)
    modes = np.sin(phases)[:, :, None] * rng.normal(0, 1, (8, 3))  # (V, 8, 3)
    persons, moves = modes[:, : 8 - len(EXPRESSIONS)], modes[:, 8 - len(EXPRESSIONS) :]
    rows, meshes = [], []
    for person in range(PEOPLE):
        own = np.einsum("k,vkc->vc", rng.normal(0, 2, persons.shape[1]), persons)
        gain = rng.uniform(0.8, 1.2)
        shown = [("neutral", 0.0), *itertools.product(EXPRESSIONS, LEVELS)]
        for expression, level in shown:
            moved = 3 * level * gain * moves[:, EXPRESSIONS.index(expression)] if level else 0
            noise = rng.normal(0, 0.05, own.shape)
            rows.append({"subject": f"S{person}", "expression": expression, "level": level, "frame": 0})
            meshes.append(template.vertices + own + moved + noise)
    dataset = Dataset("people", template, np.array(meshes, dtype=np.float32), pd.DataFrame(rows), "", {})
    return dataclasses.replace(dataset, sha256=content_sha256(dataset))


@dataclass(frozen=True)
class _Subject:
    task: Task
    name: str

    @functools.cached_property
    def run(self) -> Run:
        """Of the first model that may take part and is trained; else of the first that may."""
        able = [model for model in model_names() if self._takes(model)]
        if not able:
            raise NotAsked("no model here takes part in it: register one for it, or set any_model")
        model = next((one for one in able if not closed_form(one)), able[0])
        presets = preset_names(model)
        preset = "small" if "small" in presets else presets[0]
        fields: dict[str, Any] = {"model": model, "preset": preset, "latent": LATENT, "task": self.name}
        return published_run(dataset="people", epochs=EPOCHS, **fields)

    def _takes(self, model: str) -> bool:
        try:
            return (self.task.any_model and model_origin(model) is None) or self.task.name in task_names(model)
        except PluginError:  # of a broken package
            return False

    @functools.cached_property
    def rows(self) -> Rows:
        return self.task.rows(self.run, people())

    def build(self) -> tuple[nn.Module, Normaliser, torch.Tensor]:
        dataset = people()
        with seeded(0):
            hierarchy = hierarchy_for(self.run.model, dataset.template, FACTORS)
            model = build_model(self.run.model, hierarchy, LATENT, preset=self.run.preset)
        scale = getattr(model, "scale_coordinates", True)
        normaliser = Normaliser.fit(dataset.vertices, self.rows.train, scale=scale)
        return model, normaliser, load_normalised(dataset.vertices, self.rows.train, normaliser, CPU)

    def objective(self, model: nn.Module) -> Objective:
        return self.task.objective(self.run, model, people(), self.rows, CPU)

    @functools.cached_property
    def measured(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        model, normaliser, meshes = self.build()
        fit(model, meshes, self.objective(model), Schedule.of(self.run), 0, progress=False)
        return self.task.measure(self.run, ready_to_infer(model.eval()), people(), self.rows, normaliser, CPU)


# --- the checks: each says what was seen, or raises ---------------------------------------------------------------


def _facts(s: _Subject) -> str:
    """A task must say what it measures: labels, units, which way is better."""
    if not s.task.summary:
        raise Wrong("it has no summary: one line for `bench3dmm list tasks`")
    keys = [measure.key for measure in s.task.measures]
    if repeated := {key for key in keys if keys.count(key) > 1}:
        raise Wrong(f"two measures have the key {', '.join(sorted(repeated))}")
    if wrong := [m.key for m in s.task.measures if m.better not in (LOWER, HIGHER)]:
        raise Wrong(f"better of {', '.join(wrong)} must be {LOWER!r} or {HIGHER!r}")
    if not s.task.headline.required:
        raise Wrong(f"the headline {s.task.headline.key} must be required: every result is ranked by it")
    names = [one.name for one in s.task.baselines]
    if len(set(names)) < len(names):
        raise Wrong(f"two baselines are called the same: {', '.join(names)}")
    heading = s.task.headline.heading
    return f"{len(keys)} measures, ranked by the {heading}, {s.task.headline.better} is better; {len(names)} baselines"


def _begins(s: _Subject) -> str:
    """What a run begins with must be a run of the same data and model."""
    base = base_run(s.run)
    if base is None:
        return "begins with new weights"
    fields = ("dataset", "split", "model", "preset", "latent", "seed", "split_seed", "profile")
    if other := [name for name in fields if getattr(base, name) != getattr(s.run, name)]:
        raise Wrong(f"it begins with a run that differs in {', '.join(other)}: its weights would be of something else")
    if base.task == s.run.task:
        raise Wrong("it begins with a run of its own task")
    return f"begins with the weights of {base.task}"


def _rows(s: _Subject) -> str:
    """Rows to train and test on must be ascending, disjoint rows of the dataset."""
    train, test = s.rows.train, s.rows.test
    for what, rows in (("train", train), ("test", test)):
        if not len(rows) or (np.diff(rows) <= 0).any() or rows[0] < 0 or rows[-1] >= len(people()):
            raise Wrong(f"rows.{what} must be ascending row numbers of the dataset, at least one")
    if len(np.intersect1d(train, test)):
        raise Wrong("some rows are trained and tested on")
    if missing := {"dataset_sha256", "dataset_recipe_sha256", "split_sha256"} - s.rows.hashes.keys():
        raise Wrong(f"rows.hashes lack {', '.join(sorted(missing))}: see bench3dmm.data.rows.rows_of")
    return f"{len(train)} to train and {len(test)} to test on"


def _objective(s: _Subject) -> str:
    """Examples must depend on seed and epoch alone, and their value be a finite scalar with a gradient."""
    model, _, meshes = s.build()
    if has_closed_form(model):
        raise NotAsked("the only model that takes part is fitted in closed form")
    objective = s.objective(model)
    first, again = (objective.examples(len(meshes), 0, 1) for _ in range(2))
    if not all(torch.equal(a, b) for a, b in zip(first, again, strict=True)):
        raise Wrong("examples(count, seed, epoch) gave two answers to one question: draw from seed and epoch alone")
    if all(torch.equal(a, b) for a, b in zip(first, objective.examples(len(meshes), 1, 1), strict=True)):
        raise Wrong("examples do not depend on the seed: at least their order must")
    if len({len(one) for one in first}) != 1:
        raise Wrong(f"examples are tensors with one entry an example, not of lengths {[len(one) for one in first]}")
    batch = [one[:4] for one in first]
    value = objective.value(model.train(), meshes, *batch)
    if value.dim() or not value.isfinite() or not value.requires_grad:
        raise Wrong("value(model, meshes, *examples) must be a finite scalar with a gradient")
    return f"{len(first[0])} examples an epoch"


def _measures(s: _Subject) -> str:
    """What is measured must be what the task says it measures."""
    metrics, arrays = s.measured
    try:
        s.task.check_result(metrics, arrays)
    except Bench3dmmError as error:
        raise Wrong(f"measure gave no result of this task: {error}") from None
    given = [one.key for one in s.task.measures if one.of(metrics) == one.of(metrics)]
    return f"{', '.join(given[:4])}{' …' if len(given) > 4 else ''}"


def _scores(s: _Subject) -> str:
    """Scores of test items must average to the headline, each with its row; those of baselines likewise."""
    metrics, arrays = s.measured
    scores = s.task.scores(arrays)
    if scores.values.ndim != 1 or scores.values.shape != scores.rows.shape or not len(scores.rows):
        raise Wrong(f"scores are (m,) values and rows, not {scores.values.shape} and {scores.rows.shape}")
    if not np.isin(scores.rows, s.rows.test).all():
        raise Wrong("some scores are of rows that are not test rows")
    headline, mean = s.task.headline.of(metrics), float(np.mean(scores.values, dtype=np.float64))
    if not np.isclose(mean, headline, rtol=1e-3):
        raise Wrong(f"the mean of the scores is {mean:.6g}, the headline {s.task.headline.key} is {headline:.6g}")
    known = {one.name for one in s.task.baselines}
    for name, values in s.task.baseline_scores(arrays).items():
        if name not in known or values.shape != scores.values.shape:
            raise Wrong(f"the scores of baseline {name!r} must be (m,), and it must be among baselines")
    return f"{len(scores.values)} test items"


CHECKS: dict[str, Callable[[Any], str]] = {
    "facts": _facts,
    "begins": _begins,
    "rows": _rows,
    "objective": _objective,
    "measures": _measures,
    "scores": _scores,
}
