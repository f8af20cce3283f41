"""A run: one training as a flat record of scalars.

The same names are the keys of a stored result's JSON, the flags of ``bench3dmm run`` and the parameters of the
notebooks.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench3dmm.errors import Bench3dmmError, UnknownNameError
from bench3dmm.record.profiles import PROFILES
from bench3dmm.system.storage import canonical_json

ADDED = {
    "optimizer": "adam",
    "schedule": "exponential",
    "final_learning_rate": 0.0,
    "warm_up": 0.0,
    "task": "reconstruction",
    "factors": "auto",
}
"""Fields that runs did not have at first, and the value that all of them had without saying so."""

TRAINING = (
    "optimizer",
    "learning_rate",
    "learning_rate_decay",
    "weight_decay",
    "batch_size",
    "schedule",
    "final_learning_rate",
    "warm_up",
)
"""Fields of a run that a model's published training may set."""


@dataclass(frozen=True)
class Run:
    """One training and its evaluation. The defaults of the optimisation are those published for Neural3DMM;
    `published_run` takes those of the run's own model.

    Attributes:
        dataset: name, optionally with a variant: ``mh-scan``, ``mh-scan@clean``.
        split: ``percentage``, ``identity``, or ``without:`` and an expression.
        model, preset: what is trained, and with which architecture.
        latent: size d of the code.
        loss: training loss.
        seed: of the initial weights and the order of the meshes.
        split_seed: of the split.
        test_share: of each person's meshes (percentage) or of the people (identity); 0 stands for the paper's.
        validation: training rows, the last ones, that are left out, as the released code does with 100.
        profile: see `PROFILES`.
        epochs: 0 stands for the profile's.
        batch_size, learning_rate, learning_rate_decay, weight_decay: of the optimiser; the decay is per epoch.
        optimizer: ``adam``, ``adamw``, or ``sgd`` with momentum; see `bench3dmm.training.step`.
        schedule: of the learning rate, ``exponential`` or ``cosine``; see `bench3dmm.training.schedule.Schedule`.
        final_learning_rate: where the cosine ends.
        warm_up: share of the epochs in which the learning rate first grows from 0.
        task: what is trained for; see `bench3dmm.tasks`.
        factors: by which each level of the hierarchy has fewer vertices than the one before, such as ``4,4,4,2``; auto:
            they follow the template, see `bench3dmm.mesh.hierarchy.factors_for`.

    Raises:
        Bench3dmmError: for a value that is not of its type or out of range. Names of datasets, splits, models
            and losses are looked up by `check_names`, so that old results stay readable.
    """

    dataset: str
    split: str = "percentage"
    model: str = "neural3dmm"
    preset: str = "paper"
    latent: int = 16
    loss: str = "l1"
    seed: int = 0
    split_seed: int = 0
    test_share: float = 0.0
    validation: int = 0
    profile: str = "smoke"
    epochs: int = 0
    batch_size: int = 16
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.99
    weight_decay: float = 5e-5
    optimizer: str = "adam"
    schedule: str = "exponential"
    final_learning_rate: float = 0.0
    warm_up: float = 0.0
    task: str = "reconstruction"
    factors: str = "auto"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _coerce(field.name, str(field.type), getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        for name, least in (
            ("latent", 1),
            ("batch_size", 1),
            ("epochs", 0),
            ("seed", 0),
            ("split_seed", 0),
            ("validation", 0),
        ):
            if getattr(self, name) < least:
                raise Bench3dmmError(f"{name} must be {least} or more, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 < self.learning_rate_decay <= 1:
            raise Bench3dmmError(
                "learning_rate must be above 0, weight_decay 0 or more and learning_rate_decay in (0, 1]; got "
                f"{self.learning_rate}, {self.weight_decay}, {self.learning_rate_decay}"
            )
        if not 0 <= self.warm_up < 1:
            raise Bench3dmmError(f"warm_up is a share of the epochs, in [0, 1); got {self.warm_up}")
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise Bench3dmmError(
                f"final_learning_rate must be from 0 to learning_rate, {self.learning_rate}; "
                f"got {self.final_learning_rate}"
            )
        if not 0 <= self.test_share < 1:
            raise Bench3dmmError(f"test_share must be in [0, 1), got {self.test_share}")
        if self.profile not in PROFILES:
            raise UnknownNameError("profile", self.profile, PROFILES)
        told = self.level_factors
        object.__setattr__(self, "factors", "auto" if told is None else ",".join(f"{factor:g}" for factor in told))

    @property
    def run_id(self) -> str:
        """First 12 hex digits of the sha256 over the canonical JSON of all fields.

        Without those of `ADDED` that have the value which was the only one before: results stored then stay found.
        """
        fields = {name: value for name, value in self.as_dict().items() if ADDED.get(name) != value}
        return hashlib.sha256(canonical_json(fields).encode()).hexdigest()[:12]

    @property
    def n_epochs(self) -> int:
        return self.epochs or PROFILES[self.profile].epochs

    @property
    def level_factors(self) -> tuple[float, ...] | None:
        """The factors as numbers; None where they follow the template."""
        return None if self.factors.strip() == "auto" else tuple(map(self._factor, self.factors.split(",")))

    def _factor(self, text: str) -> float:
        if re.fullmatch(r"\s*\d{1,4}(\.\d{1,2}0*)?\s*", text) and float(text) >= 1:
            return float(text)
        raise Bench3dmmError(
            f"factors must be auto or a number for each level, separated by commas, each 1 or more and of two decimals "
            f"at most, such as 4,4,4,2; got {self.factors!r}"
        )

    def has(self, **fields: Any) -> bool:
        """Whether all of these fields have these values."""
        return all(getattr(self, name) == value for name, value in fields.items())

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def field_names(cls) -> list[str]:
        return [field.name for field in dataclasses.fields(cls)]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Run:
        """Raises Bench3dmmError for a missing, unknown or wrong field; one of `ADDED` may be missing."""
        names = cls.field_names()
        values = {**ADDED, **values}
        for name in values:
            if name not in names:
                raise UnknownNameError("field of a run", str(name), names)
        if missing := [name for name in names if name not in values]:
            raise Bench3dmmError(f"a run lacks the field {', '.join(missing)}")
        return cls(**values)


def _coerce(name: str, kind: str, value: Any) -> Any:
    if kind == "str" and isinstance(value, str) and value.strip():
        return value
    # Numbers may be NumPy's, as they come from arrays and frames; True is no number.
    if kind in ("int", "float") and not isinstance(value, bool | str):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if kind == "float" and math.isfinite(number):
            return number
        if kind == "int" and number.is_integer():
            return int(value)
    wanted = {"str": "a name", "int": "an integer", "float": "a finite number"}[kind]
    raise Bench3dmmError(f"{name} must be {wanted}, got {value!r}")
