"""How many meshes a set has of each expression, beside the paper's tables."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from face_sets import head_template, make_dataset, scan_dataset
from latex_checks import assert_well_formed
from paper_results import CONVERGING, LICENSED, everything, trained_for

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.synthetic.counts import TABLE1, TABLE1_PERCENT, TABLE2, TABLE2_PERCENT
from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import LATENTS
from bench3dmm.papers.neural3dmm_bu3dfe.tables import (
    convergence_table,
    expression_table,
    generalization_table,
    landmark_table,
    table1,
    table2,
)
from bench3dmm.papers.setup import Setup
from bench3dmm.view.tables import save_table


@pytest.fixture(scope="module")
def template():
    return head_template()


@pytest.fixture
def scans(template):
    return scan_dataset(template)


def test_paper_tables_add_up():
    assert sum(TABLE1.values()) == 20_466 and len(TABLE1) == 12
    assert sum(TABLE2.values()) == 1_779 and len(TABLE2) == 7


@pytest.mark.parametrize(
    ("table", "name", "percent"),
    [(TABLE1, "mouth_down", 11.55), (TABLE1, "mouth_open", 3.29), (TABLE2, "surprise", 20.01)],
)
def test_expression_table_of_the_papers_own_counts(template, table, name, percent):
    rows = [("S01", expression, 1.0, 0) for expression, count in table.items() for _ in range(count)]
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    frame = expression_table(SimpleNamespace(name="x", samples=samples))
    assert (frame["meshes"] == frame["paper"]).all()
    assert frame.loc["total", "meshes"] == sum(table.values())
    assert frame.loc[name, "percent"] == pytest.approx(percent, abs=0.005)
    assert list(frame.index[:-1]) == list(table)


def test_the_papers_percentages_are_those_it_prints(template):
    """Those of Table 1 are cut off, not rounded, and stand here as in its text."""
    sequences = make_dataset(template, [("S01", expression, 1.0, 0) for expression in TABLE1])
    shown = expression_table(sequences)["paper percent"]
    assert shown["bareteeth"] == 9.50 and shown["mouth_down"] == 11.54 and shown["mouth_up"] == 10.51
    assert dict(shown[:-1]) == TABLE1_PERCENT
    for counts, printed, most in ((TABLE1, TABLE1_PERCENT, 0.01), (TABLE2, TABLE2_PERCENT, 0.005)):
        assert list(printed) == list(counts)
        for name, count in counts.items():
            assert abs(printed[name] - 100 * count / sum(counts.values())) <= most + 1e-9, name


def test_expression_table_counts_what_is_there(scans):
    frame = expression_table(scans)
    assert frame.attrs["table"] == "Table 2"
    assert frame.loc["sad", "meshes"] == 6 and frame.loc["sad", "paper"] == 161
    assert frame.loc["total", "meshes"] == len(scans)


def test_expressions_of_no_table_are_refused(template):
    with pytest.raises(DataError, match="grumpy"):
        expression_table(make_dataset(template, [("S01", "grumpy", 1.0, 0)]))


def test_expressions_of_no_table_are_counted_where_the_paper_is_not_required(template):
    rows = [("S01", name, level, 0) for name in ("grumpy", "asleep", "grumpy") for level in (0.5, 1.0)]
    own = make_dataset(template, rows, "mine")
    frame = expression_table(own, paper_required=False)
    assert frame["meshes"].to_dict() == {"asleep": 2, "grumpy": 4, "total": 6}
    assert list(frame.columns) == ["meshes", "percent"]


def test_tables_1_and_2(scans, template):
    frame = table2(scans)
    assert frame.loc["total", "meshes"] == len(scans) and frame.loc["fear", "paper"] == 349
    with pytest.raises(DataError, match="Table 2, not of Table 1"):
        table1(scans)
    rows = [("S01", expression, 1.0, 0) for expression in TABLE1]
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    sequences = Dataset("mh-seq", template, np.zeros((12, 1, 3)), samples, "f" * 64, {})
    assert list(table1(sequences).index) == [*TABLE1, "total"]
    assert "mh-seq" in table1(sequences).attrs["footer"]


def test_generalization_table(complete):
    frame = generalization_table(everything(dataset="mh-scan"))
    assert frame.index.names == ["split", "loss", "source"]
    assert list(frame.columns) == [f"d = {d}" for d in LATENTS]
    ours, paper = "mh-scan (quick)", "paper, BU3DFE (digitised)"
    assert list(frame.index) == [
        (split, loss, source)
        for split in ("percentage", "identity")
        for loss in ("L1", "weighted L1")
        for source in (ours, paper)
    ]
    assert frame.loc[("identity", "L1", ours), "d = 16"] == "2.310 ± 0.010"
    assert frame.loc[("identity", "L1", paper), "d = 16"] == "3.35"
    assert list(frame.loc[("percentage", "weighted L1", paper)]) == ["–"] * 4 + ["0.82"]
    assert "mh-scan" in frame.attrs["footer"] and "seeds 0, 1, 2" in frame.attrs["footer"]
    licensed = generalization_table(everything(LICENSED), LICENSED)
    assert set(licensed.index.get_level_values("source")) == {"bu3dfe (quick)", "coma (quick)"}
    both = generalization_table(everything())
    sources = [source for split, loss, source in both.index if (split, loss) == ("percentage", "L1")]
    assert sources == [ours, paper, "mh-seq (quick)", "paper, COMA (digitised)"]
    assert list(both.loc[("percentage", "L1", "paper, COMA (digitised)")]) == ["0.88", "0.75", "0.62", "–", "–"]
    one = generalization_table(everything(seed=0), Setup(seeds=(0,)))
    assert one.loc[("identity", "L1", ours), "d = 16"] == "2.300"
    assert "deviation" not in one.attrs["footer"]


def test_landmark_table():
    frame = landmark_table(everything())
    row = frame.loc[("percentage", "weighted L1", "mh-scan (quick)")]
    mean = 8 / 512**0.5 + 0.2 + 0.01
    assert row["near landmarks"] == f"{0.5 * mean:.3f} ± 0.005"
    assert row["elsewhere"] == f"{1.25 * mean:.3f} ± 0.013" or row["elsewhere"] == f"{1.25 * mean:.3f} ± 0.012"
    assert row["ratio"] == "0.400" and row["all vertices"] == f"{mean:.3f} ± 0.010"
    paper = frame.loc[("identity", "weighted L1", "paper, BU3DFE (digitised)")]
    assert list(paper) == ["–", "–", "–", "1.03"]
    without = [dataclasses.replace(r, metrics={"mean_mm": 1.0, "median_mm": 1.0}) for r in everything()]
    assert landmark_table(without).iloc[0]["near landmarks"] == "–"


def test_saved_tables_are_well_formed(scans, tmp_path):
    made = {
        "table2": table2(scans),
        "errors": generalization_table(everything()),
        "landmarks": landmark_table(everything()),
    }
    for name, frame in made.items():
        csv, tex = save_table(frame, tmp_path / "new", name)
        read = pd.read_csv(csv)
        flat = frame.reset_index()
        assert list(read.columns) == list(flat.columns) and len(read) == len(flat)
        rows = assert_well_formed(tex.read_text(), len(flat.columns))
        assert len(rows) == len(flat) + 1
        assert tex.read_text().startswith(f"% {frame.attrs['footer']}")
    assert pd.read_csv(tmp_path / "new" / "table2.csv")["meshes"].iloc[-1] == len(scans)
    tex = (tmp_path / "new" / "table2.tex").read_text()
    assert tex.count(r"\midrule") == 2, "the total is set off"


def test_convergence_is_told_beside_the_longest_training():
    table = convergence_table(trained_for(CONVERGING))
    assert list(table.index) == [5, 30, 120]
    assert list(table["d = 16"]) == ["2.000", "1.200", "1.000"] and list(table["d = 256"]) == ["–", "0.750", "0.500"]
    assert list(table["above the longest, d = 16"]) == ["+100 %", "+20 %", "+0 %"]
    assert list(table["above the longest, d = 256"]) == ["–", "+50 %", "+0 %"]
