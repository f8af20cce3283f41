"""Which rows of a dataset a run trains and tests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.data.splits import make_split
from bench3dmm.errors import DataError
from bench3dmm.record.profiles import PROFILES, Profile
from bench3dmm.record.run import Run

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Rows:
    """Row numbers of a dataset, ascending.

    Attributes:
        train, test: (n,) and (m,).
        hashes: of what they are rows of: ``dataset_sha256``, ``dataset_recipe_sha256`` and ``split_sha256``.
    """

    train: np.ndarray
    test: np.ndarray
    hashes: dict[str, str | None]


def rows_of(run: Run, dataset: Dataset) -> Rows:
    """The rows that a run's split and profile give it.

    Raises:
        DataError: nothing is left to train on.
    """
    split = make_split(run.split, dataset.samples, run.split_seed, run.test_share)
    train, test = rows_of_profile(split.train, split.test, PROFILES[run.profile])
    if run.validation >= len(train):
        raise DataError(f"validation = {run.validation} leaves nothing of {len(train)} training meshes")
    hashes = {
        "dataset_sha256": dataset.sha256,
        "dataset_recipe_sha256": dataset.card.get("recipe_sha256"),
        "split_sha256": split.sha256,
    }
    return Rows(train[: len(train) - run.validation], test, hashes)


def training_rows(run: Run, dataset: Dataset) -> np.ndarray:
    """The rows of a dataset that a run trains on, ascending."""
    return rows_of(run, dataset).train


def rows_of_profile(train: np.ndarray, test: np.ndarray, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """The rows a profile uses, taken evenly from a split's sorted rows."""

    def thin(rows: np.ndarray, at_most: int | None) -> np.ndarray:
        return rows if at_most is None else rows[even_positions(len(rows), at_most)]

    return thin(train, profile.max_train), thin(test, profile.max_test)


def even_positions(count: int, at_most: int) -> np.ndarray:
    """Up to ``at_most`` of the positions 0 … count - 1, evenly spaced, first and last included."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64))
