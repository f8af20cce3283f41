"""The paper's numbers, digitised from its figures, and where they belong beside ours."""

from __future__ import annotations

import functools

import pandas as pd

from bench3dmm.papers.setup import PRINTED, is_original
from bench3dmm.runs.results import CHECKOUT_RESULTS

PAPER_CSV = CHECKOUT_RESULTS / "paper.csv"


@functools.cache
def published_numbers() -> pd.DataFrame:
    """``results/paper.csv`` of the checkout; no rows where the package is installed without one."""
    if not PAPER_CSV.exists():
        columns = ["dataset", "split", "loss", "latent", "quantity", "value_mm", "uncertainty_mm"]
        return pd.DataFrame(columns=columns)
    return pd.read_csv(PAPER_CSV)


def published(
    place: str, dataset: str, split: str, loss: str = "l1", quantity: str = "generalization_error"
) -> pd.Series:
    """The paper's errors in mm by latent size, to stand beside those on `dataset`.

    Args:
        place: ``coma`` or ``bu3dfe``, whose place `dataset` takes.
        quantity: ``generalization_error`` (Figs. 4 and 5) or ``median_error`` (Fig. 6).

    Returns:
        Empty for the licensed datasets themselves, whose measurements replace the digitised ones; not for one that was
        imported in part.
    """
    rows = published_numbers()
    where = {"dataset": place, "split": split, "loss": loss, "quantity": quantity}
    for column, value in where.items():
        rows = rows[rows[column] == value]
    if is_original(dataset, place):
        rows = rows.iloc[:0]
    return rows.set_index("latent")["value_mm"].sort_index()


def published_label(place: str) -> str:
    return f"paper, {PRINTED[place]} (digitised)"


PRECISION = "the paper's numbers are good to 0.01 mm, the mean of its weighted loss to 9 %"
