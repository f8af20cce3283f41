"""Train/test splits: by percentage within each identity or by whole identities (the paper, section 4.1), or without
one expression (the extrapolation experiment of CoMA: Ranjan et al., ECCV 2018)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.system.storage import canonical_json, hash_arrays

if TYPE_CHECKING:
    import pandas as pd

TEST_SHARE = 0.10  # percentage split: of each identity's meshes
HELD_OUT_SHARE = 0.08  # identity split: of the identities (8 of 100)
WITHOUT = "without:"  # and an expression, all meshes of which are tested


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the training and test meshes.

    Attributes:
        name, seed: what made it.
        train, test: (n,) and (m,) int64, ascending; disjoint, together every row.
    """

    name: str
    seed: int
    train: np.ndarray
    test: np.ndarray

    @cached_property
    def sha256(self) -> str:
        return hash_arrays(self.train, self.test, salt=canonical_json([self.name, self.seed]))


def split_names() -> list[str]:
    return sorted(SPLITS)


def check_split(name: str) -> None:
    """Raises UnknownNameError, with the nearest known split; whether a set has the expression is seen with the set."""
    leaves_one_out = name.startswith(WITHOUT) and len(name) > len(WITHOUT)
    if name not in SPLITS and not leaves_one_out:
        raise UnknownNameError("split", name, [*SPLITS, f"{WITHOUT}EXPRESSION"])


def make_split(name: str, samples: pd.DataFrame, seed: int = 0, test_share: float = 0.0) -> Split:
    """Split a dataset's rows.

    Each identity's meshes are put in the order subject, expression, level, frame first, so the same meshes are
    drawn whatever order the rows come in.

    Args:
        name: ``percentage`` (90/10 within each identity, at least one mesh on each side), ``identity``
            (8 % of the identities, at least one, are held out) or ``without:EXPRESSION`` (its meshes are tested, all
            others trained on; nothing is drawn).
        samples: the dataset's table, with a column ``subject``, for the last also ``expression``.
        seed: of the draw.
        test_share: instead of the 10 % or 8 %; 0 keeps those.

    Raises:
        UnknownNameError: with the nearest known split or expression.
        DataError: if the table is too small to split, or lacks a column; for a share of a split without one.
    """
    check_split(name)
    if name not in SPLITS:
        return _without(name, samples, seed, test_share)
    by_subject = _rows_by_subject(samples)
    draw, share = SPLITS[name]
    test = np.sort(draw(by_subject, test_share or share, np.random.default_rng(seed)))
    train = np.setdiff1d(np.arange(len(samples)), test)
    return Split(name, seed, train, test)


def _without(name: str, samples: pd.DataFrame, seed: int, test_share: float) -> Split:
    if "expression" not in samples:
        raise DataError(f"the samples have no column 'expression', which the split {name} needs")
    if test_share:
        raise DataError(f"the split {name} tests all meshes of one expression: it takes no test_share")
    expression = name.removeprefix(WITHOUT)
    tested = samples["expression"].to_numpy(str) == expression
    if not tested.any():
        raise UnknownNameError("expression", expression, sorted(set(samples["expression"])))
    if tested.all():
        raise DataError(f"all meshes are {expression}: the split {name} leaves none for training")
    return Split(name, seed, np.flatnonzero(~tested), np.flatnonzero(tested))


def _percentage(by_subject: dict[str, np.ndarray], share: float, rng: np.random.Generator) -> np.ndarray:
    test = []
    for subject, rows in by_subject.items():
        if len(rows) < 2:
            raise DataError(f"subject {subject} has {len(rows)} mesh: a percentage split needs two of each subject")
        size = min(max(1, round(share * len(rows))), len(rows) - 1)
        test.append(rng.permutation(rows)[:size])
    return np.concatenate(test)


def _identity(by_subject: dict[str, np.ndarray], share: float, rng: np.random.Generator) -> np.ndarray:
    subjects = list(by_subject)
    if len(subjects) < 2:
        raise DataError(f"{len(subjects)} subject: an identity split needs at least two")
    held_out = rng.permutation(len(subjects))[: max(1, round(share * len(subjects)))]
    return np.concatenate([by_subject[subjects[i]] for i in held_out])


SPLITS: dict[str, tuple[Callable[[dict[str, np.ndarray], float, np.random.Generator], np.ndarray], float]] = {
    "percentage": (_percentage, TEST_SHARE),
    "identity": (_identity, HELD_OUT_SHARE),
}
"""What draws the test rows, and the paper's share."""


def _rows_by_subject(samples: pd.DataFrame) -> dict[str, np.ndarray]:
    """Row numbers of each subject in natural order (S2 before S10), each subject's rows in content order."""
    if "subject" not in samples:
        raise DataError("the samples have no column 'subject', which a split needs")
    keys = [column for column in ("expression", "level", "frame") if column in samples]
    ordered = samples.reset_index(drop=True).sort_values(keys, kind="stable") if keys else samples
    groups = {
        str(name): rows.to_numpy(np.int64) for name, rows in ordered.groupby("subject", sort=False).groups.items()
    }
    return {name: groups[name] for name in sorted(groups, key=natural_key)}


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sort key that reads runs of digits as numbers."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text) if part]
