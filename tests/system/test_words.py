"""How things are said."""

from __future__ import annotations

import pytest

from bench3dmm.system import words


def test_values_are_listed_as_sentences_do():
    assert [words.listed(values) for values in ((8,), (8, 16), (8, 16, "all"))] == ["8", "8 and 16", "8, 16 and all"]
    assert words.listed(iter("ab")) == "a and b"
    with pytest.raises(ValueError):
        words.listed([])


@pytest.mark.parametrize(
    ("number", "thing", "said"),
    [
        (1, "mesh", "1 mesh"),
        (0, "mesh", "0 meshes"),
        (1234, "vertex", "1,234 vertices"),
        (2, "subject", "2 subjects"),
        (1, "vertex", "1 vertex"),
    ],
)
def test_things_are_counted_in_their_plural(number, thing, said):
    assert words.counted(number, thing) == said


def test_a_footer_leaves_out_parts_that_say_nothing():
    assert words.small_print("3 seeds", "", "quick") == "3 seeds · quick"
    assert words.small_print() == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99, "99 s"), (119, "2 min"), (5999, "100 min"), (6000, "1.7 h"), (86400, "24.0 h")],
)
def test_durations_are_said_as_people_do(seconds, said):
    assert words.duration(seconds) == said
