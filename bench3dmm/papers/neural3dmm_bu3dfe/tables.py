"""Tables of the data (Tables 1 and 2) and of errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench3dmm.data.synthetic.counts import PAPER_TABLES, TABLE1, TABLE2, table_of
from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import LATENTS, WEIGHTED_LATENT
from bench3dmm.papers.neural3dmm_bu3dfe.published import PRECISION, published, published_label
from bench3dmm.papers.setup import Chosen, Setup, choose, is_original, summarise
from bench3dmm.record.profiles import PROFILES
from bench3dmm.system.words import small_print
from bench3dmm.view.people import dataset_line
from bench3dmm.view.tables import NONE, number, spread

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset
    from bench3dmm.runs.results import Result


LOSS_NAMES = {"l1": "L1", "weighted-l1": "weighted L1"}
ORDER = ["percentage", "identity", *LOSS_NAMES]


def table1(dataset: Dataset) -> pd.DataFrame:
    """Meshes per expression of the dataset in COMA's place, beside the paper's (Table 1).

    Raises:
        DataError: its expressions are not COMA's.
    """
    return _table_of(dataset, "Table 1")


def table2(dataset: Dataset) -> pd.DataFrame:
    """Meshes per expression of the dataset in BU3DFE's place, beside the paper's (Table 2).

    Raises:
        DataError: its expressions are not BU3DFE's.
    """
    return _table_of(dataset, "Table 2")


def generalization_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """Generalization error in mm of each split and loss (rows) at each latent size (columns): Figs. 4 to 6 as numbers.

    Ours are mean ± standard deviation over seeds; below them the paper's. The dataset in COMA's place is shown where
    it is among the results.

    Raises:
        DataError: none of the runs on the dataset in BU3DFE's place is among the results.
    """
    setup = setup or Setup()
    optional = setup.runs("datasets")
    chosen = choose("the table of errors", results, setup, "splits", "weighted-loss", optional=optional)
    places = {setup.bu3dfe: "bu3dfe"}
    places.setdefault(setup.coma, "coma")
    rows = []
    for (split, loss), part in _by_split(summarise(chosen.results)).groupby(["split", "loss"], sort=False):
        for dataset, place in places.items():
            cells = part[part["dataset"] == dataset].itertuples()
            ours = {row.latent: spread(row.mean, row.sd) for row in cells}
            paper = {d: f"{value:.2f}" for d, value in published(place, dataset, split, loss).items() if ours}
            for source, errors in _sources(dataset, place, setup, ours, paper):
                latents = {f"d = {latent}": errors.get(latent, NONE) for latent in LATENTS}
                rows.append({"split": split, "loss": LOSS_NAMES[loss], "source": source, **latents})
    frame = pd.DataFrame(rows).set_index(["split", "loss", "source"])
    frame.attrs["footer"] = _footer("mm", chosen, setup)
    return frame


def landmark_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """What the weighted loss does near landmarks (within 10 mm) and away from them, in mm (section 4.4.3).

    Mean ± standard deviation over seeds, and the ratio of the two means. Of the paper only the error of all vertices
    is known (its Fig. 6).

    Raises:
        DataError: none of its runs is among the results.
    """
    setup = setup or Setup()
    chosen = choose("the table of errors near landmarks", results, setup, "weighted-loss")
    rows = []
    for row in _by_split(summarise(chosen.results)).itertuples():
        ours = {
            "near landmarks": spread(row.near, row.near_sd),
            "elsewhere": spread(row.far, row.far_sd),
            "ratio": number(row.near / row.far),
            "all vertices": spread(row.mean, row.sd),
        }
        value = published("bu3dfe", setup.bu3dfe, row.split, row.loss).get(row.latent)
        paper = {} if value is None else dict.fromkeys(ours, NONE) | {"all vertices": f"{value:.2f}"}
        for source, cells in _sources(setup.bu3dfe, "bu3dfe", setup, ours, paper):
            rows.append({"split": row.split, "loss": LOSS_NAMES[row.loss], "source": source, **cells})
    frame = pd.DataFrame(rows).set_index(["split", "loss", "source"])
    frame.attrs["footer"] = _footer(f"mm, d = {WEIGHTED_LATENT}", chosen, setup)
    return frame


def convergence_table(results: Sequence[Result], setup: Setup | None = None) -> pd.DataFrame:
    """Error in mm after so many epochs of training (rows) at three latent sizes, and how far above the longest that is.

    Raises:
        DataError: none of its runs is among the results.
    """
    setup = setup or Setup()
    chosen = choose("the table of convergence", results, setup, "convergence")
    errors = {(result.run.n_epochs, result.run.latent): result.metrics["mean_mm"] for result in chosen.results}
    wide = pd.Series(errors).unstack().sort_index()
    frame = pd.DataFrame(index=wide.index.rename("epochs"))
    for latent in wide.columns:
        column = wide[latent]
        longest = column[column.last_valid_index()]
        frame[f"d = {latent}"] = [number(value) for value in column]
        frame[f"above the longest, d = {latent}"] = [
            NONE if np.isnan(value) else f"{100 * (value / longest - 1):+.0f} %" for value in column
        ]
    frame.attrs["footer"] = (
        f"mm · {chosen.footer} · profile {setup.profile} trains {PROFILES[setup.profile].epochs} epochs"
    )
    return frame


def _by_split(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows in the paper's order of splits, the plain loss before the weighted one."""
    return summary.sort_values(["split", "loss"], key=lambda names: names.map(ORDER.index), kind="stable")


def _sources(dataset: str, place: str, setup: Setup, ours: dict, paper: dict) -> list[tuple[str, dict]]:
    """Our cells and, where there are any, the paper's, under the names of what they were measured on."""
    both = [(f"{dataset} ({setup.profile})", ours), (published_label(place), paper)]
    return [(source, cells) for source, cells in both if cells]


def _footer(what: str, chosen: Chosen, setup: Setup) -> str:
    precision = "" if is_original(setup.bu3dfe, "bu3dfe") else PRECISION
    seeds = "mean ± standard deviation over seeds" if chosen.several_seeds else ""
    return small_print(what, seeds, chosen.footer, precision)


def _table_of(dataset: Dataset, table: str) -> pd.DataFrame:
    frame = expression_table(dataset)
    if frame.attrs["table"] != table:
        raise DataError(f"{dataset.name} has the expressions of the paper's {frame.attrs['table']}, not of {table}")
    frame.attrs["footer"] = dataset_line(dataset)
    return frame


def expression_table(dataset: Dataset, paper_required: bool = True) -> pd.DataFrame:
    """Meshes per expression beside the paper's count: Table 1 for COMA's expressions, Table 2 for BU3DFE's.

    Args:
        paper_required: whether to refuse expressions that are those of neither table; else they are counted alone.

    Returns:
        One row an expression in the paper's order and a last row ``total``; columns ``meshes``, ``percent``,
        ``paper`` and ``paper percent``, the latter as printed. ``attrs["table"]`` names the paper's table.

    Raises:
        DataError: the dataset's expressions are those of neither table.
    """
    table, order = table_of(dataset)
    if paper_required and not table:
        unknown = [name for name in order if name not in (*TABLE1, *TABLE2)] or order
        raise DataError(
            f"{dataset.name}: expressions of neither Table 1 nor Table 2 of the paper: {', '.join(unknown)}"
        )
    counts = dataset.samples["expression"].value_counts()
    frame = pd.DataFrame(
        {"meshes": [int(counts.get(name, 0)) for name in order]}, index=pd.Index(order, name="expression")
    )
    frame.loc["total"] = frame.sum()
    frame["percent"] = (100 * frame["meshes"] / frame["meshes"]["total"]).round(2)
    if table:
        paper, printed = PAPER_TABLES[table]
        frame["paper"] = pd.Series({**paper, "total": sum(paper.values())})
        frame["paper percent"] = pd.Series({**printed, "total": 100.0})
    frame.attrs["table"] = table
    return frame
