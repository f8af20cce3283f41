"""Synthetic people: a neutral head from ancestry, sex, age, build and local shape controls."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench3dmm.data.synthetic.head import Head

ANCESTRIES = ("african", "asian", "caucasian")
ANCESTRY_CONCENTRATION = 0.35  # of a symmetric Dirichlet: mostly one ancestry, often mixed
AGE_RANGE = (18.0, 70.0)
YOUNG_AGE, OLD_AGE = 25.0, 90.0  # ages of MakeHuman's `young` and `old` targets

# Names of the two ends of a local control, negative end first.
ENDS = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)
CONTROL_SPREAD = 0.42 * 0.45  # standard deviation of a control before its folder's factor
FOLDER_SPREAD = {"head": 0.6, "neck": 0.6, "asym": 0.35, "ear": 0.8}
SIDE_CORRELATION = 0.9


@dataclass(frozen=True, eq=False)
class Subject:
    """One person.

    Attributes:
        name: e.g. ``F0007``; sex: ``F`` or ``M``; age: years.
        ancestry: (3,) non-negative, sums to one; see `ANCESTRIES`.
        muscle, weight: in [0, 1], 0.5 is average.
        shape: (S, 3) mm, neutral skin and eyeball helpers in the asset pack's order.
    """

    name: str
    sex: str
    age: float
    ancestry: np.ndarray
    muscle: float
    weight: float
    shape: np.ndarray


@lru_cache(maxsize=1)
def controls(head: Head) -> dict[str, list[tuple[str | None, str | None]]]:
    """Local controls by name without a side: positive and negative target of each side, None where there is none."""
    found: dict[str, dict[str, list[str | None]]] = defaultdict(lambda: defaultdict(lambda: [None, None]))
    for name in head.names:
        kind, _, short = name.partition("/")
        if kind != "local":
            continue
        stem, _, end = short.rpartition("-")
        side = ""
        if short.startswith(("l-", "r-")):
            side, stem = stem[0], stem[2:]
        elif short.startswith("asym-"):  # asym-<part>-<index>-<side>: the same change on either side
            side, end = end, "out"
        pair = next((pair for pair in ENDS if end in pair), None)
        if pair is None:  # one-ended shapes such as head-oval
            stem, end, pair = f"{stem}-{end}", "out", ("in", "out")
        found[stem][side][1 - pair.index(end)] = name
    return {
        stem: [(positive, negative) for _, (positive, negative) in sorted(sides.items())]
        for stem, sides in sorted(found.items())
    }


def sample_subject(head: Head, name: str, sex: str, rng: np.random.Generator) -> Subject:
    """Draw a person of a given sex."""
    age = float(rng.uniform(*AGE_RANGE))
    ancestry = rng.dirichlet(np.full(len(ANCESTRIES), ANCESTRY_CONCENTRATION))
    muscle, weight = (float(np.clip(rng.normal(0.5, 0.18), 0.0, 1.0)) for _ in range(2))
    shape = head.base + macro_shape(head, sex, age, ancestry, muscle, weight)
    for stem, sides in controls(head).items():
        spread = CONTROL_SPREAD * next(
            (factor for start, factor in FOLDER_SPREAD.items() if stem.startswith(start)), 1.0
        )
        common = rng.normal()
        for positive, negative in sides:
            value = SIDE_CORRELATION * common + np.sqrt(1 - SIDE_CORRELATION**2) * rng.normal()
            value = float(np.clip(spread * value, -0.42, 0.42))
            if target := positive if value > 0 else negative:
                shape += abs(value) * head.target(f"{target}")
    return Subject(name, sex, age, ancestry, muscle, weight, shape)


def macro_shape(head: Head, sex: str, age: float, ancestry: np.ndarray, muscle: float, weight: float) -> np.ndarray:
    """(S, 3) displacement of MakeHuman's macro targets, multilinear in its arguments."""
    gender = {"F": "female", "M": "male"}[sex]
    old = float(np.clip((age - YOUNG_AGE) / (OLD_AGE - YOUNG_AGE), 0.0, 1.0))
    ages = {"young": 1 - old, "old": old}

    def thirds(value: float, noun: str) -> dict[str, float]:
        low, high = max(0.0, 1 - 2 * value), max(0.0, 2 * value - 1)
        return {f"min{noun}": low, f"average{noun}": 1 - low - high, f"max{noun}": high}

    total = np.zeros_like(head.base)
    for age_name, age_weight in ages.items():
        for race, share in zip(ANCESTRIES, ancestry, strict=True):
            total += share * age_weight * head.target(f"macro/{race}-{gender}-{age_name}")
        for muscle_name, muscle_weight in thirds(muscle, "muscle").items():
            for weight_name, weight_weight in thirds(weight, "weight").items():
                name = f"macro/universal-{gender}-{age_name}-{muscle_name}-{weight_name}"
                factor = age_weight * muscle_weight * weight_weight
                if factor and name in head.row:  # the all-average target is empty and not in the pack
                    total += factor * head.target(name)
    return total
