"""How many meshes a set has of each expression, beside the paper's tables."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from face_sets import head_template, make_dataset, scan_dataset

from bench3dmm.data.synthetic.counts import TABLE1, TABLE1_PERCENT, TABLE2, TABLE2_PERCENT
from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.tables import expression_table


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
