"""Blocks as Markdown of GitHub's dialect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from bench3dmm.errors import DataError
from bench3dmm.view.blocks import Badge, Block, Cell, Facts, Heading, Notice, Picture, Table, Text, pieces


def markdown_page(title: str, blocks: Sequence[Block], pictures: str) -> str:
    """A page; its pictures are ``NAME.png`` in the folder `pictures` beside it."""
    parts = [f"# {markdown_text(title)}", *(_markdown(block, pictures) for block in blocks)]
    return "\n\n".join(parts) + "\n"


def markdown_text(text: str) -> str:
    """Escaped; code stays code."""
    return "".join(f"`{piece.text}`" if piece.code else _escape(piece.text) for piece in pieces(text))


def markdown_table(table: Table) -> str:
    """A table, its caption above and its note below in italics."""
    lines = [_row(table.header), "|" + " --- |" * len(table.header), *map(_row, table.rows)]
    above = f"*{markdown_text(table.caption)}*\n\n" if table.caption else ""
    below = f"\n\n*{markdown_text(table.note)}*" if table.note else ""
    return above + "\n".join(lines) + below


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", text)


def _markdown(block: Block, pictures: str) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {markdown_text(block.text)}"
        case Text():
            return markdown_text(block.text)
        case Notice():
            return f"> **Missing.** {markdown_text(block.text)}".replace("\n", "\n> ")
        case Facts():
            return "\n".join(f"- {markdown_text(term)}: {_cell(value)}" for term, value in block.pairs)
        case Table():
            return markdown_table(block)
        case Picture():
            caption = markdown_text(block.caption)
            return f"![{caption}]({quote(pictures)}/{block.name}.png)\n\n*{caption}*"


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        return " ".join(map(_cell, cell))
    if isinstance(cell, Badge):
        return f"**{markdown_text(cell.label)}**"
    return "".join(_cell_code(piece.text) if piece.code else _escape(piece.text) for piece in pieces(cell)).replace(
        "\n", "<br>"
    )


def _cell_code(code: str) -> str:
    """Within a table a bar ends the cell, even in code."""
    return "`" + code.replace("|", r"\|") + "`"


def filled(page: str, mark: str, content: str) -> str:
    """A page's text with what stands between its two markers, ``<!-- MARK: begin -->`` and ``end``, replaced.

    Raises:
        DataError: for a page without them.
    """
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise DataError(f"the page lacks {begin} and after it {end}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
