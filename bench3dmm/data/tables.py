"""Whose mesh each row of a dataset is and what it shows; of an embedded set without making its meshes."""

from __future__ import annotations

import functools

import numpy as np

from bench3dmm.errors import Bench3dmmError


def persons(dataset: str) -> np.ndarray | None:
    """(N,) whose mesh each row of a dataset is; None where the dataset is not at hand.

    Of an embedded set without making its meshes.
    """
    try:
        return _persons(dataset)
    except Bench3dmmError:  # not remembered: it may be imported later
        return None


@functools.cache
def _persons(dataset: str) -> np.ndarray:
    from bench3dmm.data.registry import load_dataset
    from bench3dmm.data.synthetic.makehuman import SETS, recipe, sample_table

    if dataset.partition("@")[0] in SETS:
        return sample_table(recipe(dataset))["subject"].to_numpy(str)
    return load_dataset(dataset, progress=False).samples["subject"].to_numpy(str)


def expressions_of(dataset: str) -> list[str]:
    """The expressions of a dataset, sorted; of an embedded one without making its meshes."""
    from bench3dmm.data.registry import load_dataset
    from bench3dmm.data.synthetic.makehuman import SETS, recipe, sample_table

    embedded = dataset.partition("@")[0] in SETS
    samples = sample_table(recipe(dataset)) if embedded else load_dataset(dataset).samples
    return sorted(samples["expression"].unique())
