"""A page of text, tables and pictures, as one self-contained HTML file or as Markdown.

Text is plain; what stands between backticks is code. A line break in a table's cell stays one.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote


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
class Facts:
    """Pairs of a term and what it is."""

    pairs: Sequence[tuple[str, Cell]]


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

STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #5c5c63; --line: #d8d8dd; --page: #fff; --panel: #f5f5f7;
  --link: #0058a3; --good: #00664a; --bad: #a33a00; --open: #55555c; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf0; --soft: #a9a9b2; --line: #3c3c44; --page: #17171a;
  --panel: #222227; --link: #7cc4ff; --good: #5fd3ae; --bad: #ffa066; --open: #b9b9c2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 62rem; color: var(--ink); background: var(--page);
  font: 1rem/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1rem 0 0.5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 0.5rem; }
a { color: var(--link); }
code { font: 0.875em/1.4 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; background: var(--panel);
  padding: 0.1em 0.3em; border-radius: 3px; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding: 0; list-style: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.35rem 1.25rem; }
dt { color: var(--soft); } dd { margin: 0; }
figure { margin: 1rem 0 2rem; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); }
figcaption, .note { color: var(--soft); font-size: 0.9rem; }
figcaption { margin-top: 0.5rem; }
.wide { overflow-x: auto; margin: 0.5rem 0; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.75rem 0.35rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { border-bottom-color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
.stacked td:first-child { min-width: 12rem; }
.badge { display: inline-block; padding: 0 0.5em; border: 1px solid; border-radius: 1em; font-weight: 600;
  white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); border-style: dashed; }
.notice { margin: 1rem 0; padding: 0.5rem 0.9rem; border-left: 4px solid var(--bad); background: var(--panel); }
@media (max-width: 44rem) {
  dl { display: block; } dd { margin: 0 0 0.5rem; }
  .stacked thead { display: none; }
  .stacked, .stacked tbody, .stacked tr, .stacked td { display: block; }
  .stacked tr { padding: 0.5rem 0; border-bottom: 1px solid var(--soft); }
  .stacked td, .stacked td.number, .stacked td:first-child { min-width: 0;
    padding: 0.1rem 0; border: 0; text-align: left; white-space: normal; }
  .stacked td:empty { display: none; }
  .stacked td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
}
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --panel: #fff; --link: #000;
    --good: #00664a; --bad: #a33a00; --open: #444; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
  figure:not(.table), tr, .notice { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
""".strip()


# --- HTML -------------------------------------------------------------------------------------------------------


def html_page(title: str, blocks: Sequence[Block]) -> str:
    """The whole page, with its style and its pictures in it: no scripts, nothing that is loaded from elsewhere."""
    body = "\n".join(_html(block) for block in blocks)
    contents = "".join(
        f'<li><a href="#{block.anchor}">{html_text(block.text)}</a></li>'
        for block in blocks
        if isinstance(block, Heading) and block.level == 2
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n"
        f'<h1>{html_text(title)}</h1>\n<nav aria-label="Contents"><ul>{contents}</ul></nav>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def html_text(text: str) -> str:
    """Escaped, with code and line breaks marked."""
    return _inline(text, lambda plain: html.escape(plain).replace("\n", "<br>"), _html_code)


def _html_code(code: str) -> str:
    return f"<code>{html.escape(code)}</code>"


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f'<h{block.level} id="{block.anchor}">{html_text(block.text)}</h{block.level}>'
        case Text():
            return f"<p>{html_text(block.text)}</p>"
        case Notice():
            return f'<p class="notice">{html_text(block.text)}</p>'
        case Facts():
            pairs = (f"<dt>{html_text(term)}</dt><dd>{_html_cell(value)}</dd>" for term, value in block.pairs)
            return f"<dl>{''.join(pairs)}</dl>"
        case Table():
            return _html_table(block)
        case Picture():
            return _html_picture(block)


def _html_picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" width="{picture.width}" '
        f'alt="{html.escape(picture.caption)}">\n<figcaption>{html_text(picture.caption)}</figcaption></figure>'
    )


def _html_table(table: Table) -> str:
    numeric = [_is_numeric([row[column] for row in table.rows]) for column in range(len(table.header))]
    kinds = [' class="number"' if flag else "" for flag in numeric]
    head = "".join(
        f'<th scope="col"{kind}>{html_text(name)}</th>' for name, kind in zip(table.header, kinds, strict=True)
    )
    rows = []
    for row in table.rows:
        cells = zip(row, table.header, kinds, strict=True)
        rows.append("<tr>" + "".join(_html_td(cell, name, kind, table.stacked) for cell, name, kind in cells) + "</tr>")
    caption = f"<figcaption>{html_text(table.caption)}</figcaption>" if table.caption else ""
    note = f'<p class="note">{html_text(table.note)}</p>' if table.note else ""
    start = '<table class="stacked">' if table.stacked else "<table>"
    body = "\n".join(rows)
    return (
        f'<figure class="table">{caption}<div class="wide" tabindex="0">{start}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>{note}</figure>"
    )


def _html_td(cell: Cell, name: str, kind: str, stacked: bool) -> str:
    label = f' data-label="{html.escape(name)}"' if stacked and name else ""
    return f"<td{kind}{label}>{_html_cell(cell)}</td>"


def _html_cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        return " ".join(map(_html_cell, cell))
    if isinstance(cell, Badge):
        return f'<span class="badge {cell.kind}">{html.escape(cell.label)}</span>'
    return html_text(cell)


def _is_numeric(cells: Sequence[Cell]) -> bool:
    """Numbers, also those written with a deviation, and dashes for those that are not there."""
    shown = [cell for cell in cells if cell not in ("", "–")]
    return bool(shown) and all(isinstance(cell, str) and re.fullmatch(NUMBER, cell) for cell in shown)


NUMBER = r"[+−-]?[0-9][0-9.,]*( ± [0-9.]+)?( %)?"


# --- Markdown ---------------------------------------------------------------------------------------------------


def markdown_page(title: str, blocks: Sequence[Block], pictures: str) -> str:
    """The same page as Markdown; its pictures are ``NAME.png`` in the folder `pictures` beside it."""
    parts = [f"# {markdown_text(title)}", *(_markdown(block, pictures) for block in blocks)]
    return "\n\n".join(parts) + "\n"


def markdown_text(text: str) -> str:
    """Escaped; code stays code."""
    return _inline(text, _markdown_plain, lambda code: f"`{code}`")


def markdown_table(table: Table) -> str:
    """A table of GitHub's dialect, its caption above and its note below in italics."""
    lines = [_markdown_row(table.header), "|" + " --- |" * len(table.header), *map(_markdown_row, table.rows)]
    above = f"*{markdown_text(table.caption)}*\n\n" if table.caption else ""
    below = f"\n\n*{markdown_text(table.note)}*" if table.note else ""
    return above + "\n".join(lines) + below


def _markdown_plain(text: str) -> str:
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
            return "\n".join(f"- {markdown_text(term)}: {_markdown_cell(value)}" for term, value in block.pairs)
        case Table():
            return markdown_table(block)
        case Picture():
            caption = markdown_text(block.caption)
            return f"![{caption}]({quote(pictures)}/{block.name}.png)\n\n*{caption}*"


def _markdown_row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(map(_markdown_cell, cells)) + " |"


def _markdown_cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        return " ".join(map(_markdown_cell, cell))
    if isinstance(cell, Badge):
        return f"**{markdown_text(cell.label)}**"
    # Within a table a bar ends the cell, even in code.
    return _inline(cell, _markdown_plain, lambda code: f"`{code.replace('|', chr(92) + '|')}`").replace("\n", "<br>")


def _inline(text: str, plain: Callable[[str], str], code: Callable[[str], str]) -> str:
    pieces = re.split(r"`([^`]+)`", text)
    return "".join(code(piece) if place % 2 else plain(piece) for place, piece in enumerate(pieces))
