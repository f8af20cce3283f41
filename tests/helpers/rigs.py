"""The generated people's rig, bound to one of them, and what moves it."""

from __future__ import annotations

import numpy as np

from bench3dmm.data.synthetic.makehuman import recipe, shared_rig, stream, subjects
from bench3dmm.data.synthetic.rig import MECHANISMS

ALL = frozenset(MECHANISMS)


def bound_rig(name: str = "mh-scan", person: int = 0, mechanisms: frozenset[str] = ALL):
    made = recipe(name)
    subject = subjects(made)[person]
    return shared_rig().bind(subject, mechanisms, stream(made, "traits", subject.name))


def activation(batch: int = 1, **channels: float) -> np.ndarray:
    names = shared_rig().channels
    values = np.zeros((batch, len(names), 2))
    for name, value in channels.items():
        values[:, names.index(name)] = np.asarray(value).reshape(-1, 1)
    return values


def still(batch: int = 1) -> np.ndarray:
    return np.zeros((batch, 3))
