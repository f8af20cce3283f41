"""How tables look and are written: CSV, and LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench3dmm.system.storage import write_text

NONE = "–"


def spread(mean: float, sd: float) -> str:
    """A mean with its standard deviation, or alone where one seed has none."""
    return number(mean) if np.isnan(sd) else f"{number(mean)} ± {sd:.3f}"


def number(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:.3f}"


def save_table(frame: pd.DataFrame, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write ``folder/name.csv`` and ``folder/name.tex``, a booktabs ``tabular`` to be put into a ``table``."""
    paths = Path(folder) / f"{name}.csv", Path(folder) / f"{name}.tex"
    flat = frame if list(frame.index.names) == [None] else frame.reset_index()
    write_text(paths[0], flat.to_csv(index=False))
    write_text(paths[1], latex(flat, note=frame.attrs.get("footer", "")))
    return paths


def latex(frame: pd.DataFrame, note: str = "") -> str:
    """A frame's columns as a booktabs ``tabular``; numbers are aligned right, text left, a last row ``total`` set off.

    Args:
        note: where the numbers come from, written above as a comment.
    """
    columns = [frame[name] for name in frame.columns]
    align = "".join("r" if _is_numeric(column) else "l" for column in columns)
    body = [_latex_row(row) for row in _without_repeats(frame)]
    if len(body) > 1 and str(frame.iloc[-1, 0]) == "total":
        body.insert(-1, r"\midrule")
    comment = [f"% {line}" for line in note.splitlines()] + ["% needs \\usepackage{booktabs}"]
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", _latex_row(list(frame.columns)), r"\midrule", *body]
    return "\n".join([*comment, *lines, r"\bottomrule", r"\end{tabular}", ""])


ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
}


def escape_latex(text: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in text)


def _latex_row(values: Sequence[object]) -> str:
    return " & ".join(escape_latex(text_of(value)) for value in values) + r" \\"


def text_of(value: object) -> str:
    if isinstance(value, float | np.floating):
        return NONE if np.isnan(value) else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def _is_numeric(column: pd.Series) -> bool:
    """Numbers, also those written with a deviation."""
    if pd.api.types.is_numeric_dtype(column):
        return True
    return all(text == NONE or text[:1].isdigit() for text in column.astype(str))


def _without_repeats(frame: pd.DataFrame) -> list[list[object]]:
    """The rows, with the labels at their start that repeat those of the row above left blank."""
    labels = 0
    while labels < frame.shape[1] and not _is_numeric(frame.iloc[:, labels]):
        labels += 1
    rows: list[list[object]] = []
    above: list[object] = []
    for row in frame.itertuples(index=False, name=None):
        shared = 0
        while shared < labels - 1 and above and row[shared] == above[shared]:
            shared += 1
        rows.append([""] * shared + list(row[shared:]))
        above = list(row)
    return rows
