"""Blocks: what is code in a text, which columns hold numbers."""

from __future__ import annotations

import pytest

from bench3dmm.view.blocks import Badge, Heading, Table, pieces


def test_code_stands_between_backticks_and_a_lone_one_is_text():
    assert [(piece.text, piece.code) for piece in pieces("`a` and `b c`, 5` tall")] == [
        ("a", True),
        (" and ", False),
        ("b c", True),
        (", 5` tall", False),
    ]
    assert list(pieces("")) == []


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (["1", "1,234", "−0.5", "+3.2 %"], True),
        (["0.812 ± 0.003", "–", ""], True),
        (["–", ""], False),
        (["1", "one"], False),
        (["1", Badge("1", "good")], False),
        (["1 2"], False),
        ([], False),
    ],
)
def test_a_column_is_numeric_where_all_that_is_there_is_a_number(cells, numeric):
    assert Table(["name", "value"], [["x", cell] for cell in cells]).numeric == (False, numeric)


def test_anchors_and_badges_can_be_read():
    assert Heading("Table 1: mm & %").anchor == "table-1-mm"
    assert [Badge("x", kind).label for kind in ("good", "bad", "open")] == ["✓ x", "✗ x", "? x"]
