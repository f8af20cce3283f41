"""The blocks a page is made of: text, tables and pictures, whatever file they are written into.

Text is plain; what stands between backticks is code. A line break in a table's cell stays one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.text.lower()).strip("-")


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Notice:
    """What is missing, and what to do about it."""

    text: str


@dataclass(frozen=True)
class Badge:
    """A word that is also marked by a sign and a colour.

    Attributes:
        kind: ``good``, ``bad`` or ``open``.
    """

    word: str
    kind: str

    @property
    def label(self) -> str:
        return f"{SIGNS[self.kind]} {self.word}"


SIGNS = {"good": "✓", "bad": "✗", "open": "?"}
Cell = str | Badge | tuple[str | Badge, ...]


@dataclass(frozen=True)
class Facts:
    """Pairs of a term and what it is."""

    pairs: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Table:
    """
    Attributes:
        header: names of the columns.
        rows: of as many cells.
        caption, note: above and below it.
        stacked: on a narrow screen each row becomes a card.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    note: str = ""
    stacked: bool = False

    @cached_property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers only."""
        return tuple(_is_numeric([row[column] for row in self.rows]) for column in range(len(self.header)))


@dataclass(frozen=True, eq=False)
class Picture:
    """
    Attributes:
        name: of its file where it gets one.
        png: the file's content.
        width: in CSS pixels.
        caption: says what it shows; also its alternative text.
    """

    name: str
    png: bytes
    width: int
    caption: str


Block = Heading | Text | Notice | Facts | Table | Picture

NUMBER = r"[+−-]?[0-9][0-9.,]*( ± [0-9.]+)?( %)?"


def _is_numeric(cells: Sequence[Cell]) -> bool:
    """Numbers, also those written with a deviation, and dashes for those that are not there."""
    shown = [cell for cell in cells if cell not in ("", "–")]
    return bool(shown) and all(isinstance(cell, str) and re.fullmatch(NUMBER, cell) for cell in shown)


class Piece(NamedTuple):
    text: str
    code: bool


def pieces(text: str) -> Iterator[Piece]:
    """A text cut into what is code and what is not; a lone backtick stays a backtick."""
    for place, piece in enumerate(re.split(r"`([^`]+)`", text)):
        if piece:
            yield Piece(piece, code=place % 2 == 1)
