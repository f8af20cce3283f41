"""How many meshes the paper's two datasets hold per expression (Tables 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset


TABLE1: dict[str, int] = {
    "bareteeth": 1946,
    "cheeks_in": 1396,
    "eyebrow": 2283,
    "high_smile": 1878,
    "lips_back": 1694,
    "lips_up": 1511,
    "mouth_down": 2363,
    "mouth_extreme": 793,
    "mouth_middle": 1997,
    "mouth_open": 674,
    "mouth_side": 1778,
    "mouth_up": 2153,
}
"""COMA, 12 subjects, 20,466 meshes (the paper's Table 1)."""

TABLE1_PERCENT: dict[str, float] = {
    "bareteeth": 9.50,
    "cheeks_in": 6.82,
    "eyebrow": 11.15,
    "high_smile": 9.17,
    "lips_back": 8.27,
    "lips_up": 7.38,
    "mouth_down": 11.54,
    "mouth_extreme": 3.87,
    "mouth_middle": 9.75,
    "mouth_open": 3.29,
    "mouth_side": 8.68,
    "mouth_up": 10.51,
}
"""As printed, which is cut off after two decimals, not rounded: they sum to 99.93."""

TABLE2: dict[str, int] = {
    "neutral": 57,
    "angry": 158,
    "disgust": 351,
    "fear": 349,
    "happy": 347,
    "sad": 161,
    "surprise": 356,
}
"""BU3DFE as registered by the authors, 100 subjects, 1,779 meshes (the paper's Table 2)."""

TABLE2_PERCENT: dict[str, float] = {
    "neutral": 3.2,
    "angry": 8.88,
    "disgust": 19.73,
    "fear": 19.62,
    "happy": 19.51,
    "sad": 9.05,
    "surprise": 20.01,
}
"""As printed, which is rounded."""

PAPER_TABLES = {"Table 1": (TABLE1, TABLE1_PERCENT), "Table 2": (TABLE2, TABLE2_PERCENT)}
"""Counts and printed percentages."""


def table_of(dataset: Dataset) -> tuple[str, list[str]]:
    """The paper's table that has a dataset's expressions, with all of its own; none, with the dataset's, sorted."""
    found = set(dataset.samples["expression"])
    for table, (paper, _) in PAPER_TABLES.items():
        if found <= set(paper):
            return table, list(paper)
    return "", sorted(found)
