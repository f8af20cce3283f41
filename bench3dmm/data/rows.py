"""Which rows of a dataset a run trains and tests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import DataError
from bench3dmm.record.profiles import PROFILES, Profile
from bench3dmm.record.run import Run

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset


def even_positions(count: int, at_most: int) -> np.ndarray:
    """Up to ``at_most`` of the positions 0 … count - 1, evenly spaced, first and last included."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64))


def training_rows(run: Run, dataset: Dataset) -> np.ndarray:
    """The rows of a dataset that a run trains on, sorted."""
    return rows_of(run, dataset)[0]


def rows_of(run: Run, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, dict[str, str | None]]:
    """The rows a run trains and tests on, and the hashes of what they are rows of."""
    from bench3dmm.data.splits import make_split

    split = make_split(run.split, dataset.samples, run.split_seed, run.test_share)
    train_rows, test_rows = rows_of_profile(split.train, split.test, PROFILES[run.profile])
    if run.validation >= len(train_rows):
        raise DataError(f"validation = {run.validation} leaves nothing of {len(train_rows)} training meshes")
    hashes = {
        "dataset_sha256": dataset.sha256,
        "dataset_recipe_sha256": dataset.card.get("recipe_sha256"),
        "split_sha256": split.sha256,
    }
    return train_rows[: len(train_rows) - run.validation], test_rows, hashes


def rows_of_profile(train: np.ndarray, test: np.ndarray, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """The rows a profile uses, taken evenly from a split's sorted rows."""

    def thin(rows: np.ndarray, at_most: int | None) -> np.ndarray:
        return rows if at_most is None else rows[even_positions(len(rows), at_most)]

    return thin(train, profile.max_train), thin(test, profile.max_test)
