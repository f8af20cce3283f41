"""Whether LaTeX tables would compile."""

from __future__ import annotations

import re


def assert_well_formed(text: str, columns: int) -> list[list[str]]:
    """A booktabs tabular whose rows have as many cells as it has columns; returns the rows' cells."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    begin = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[0])
    assert begin and len(begin[1]) == columns and lines[-1] == r"\end{tabular}"
    assert text.count(r"\begin{") == text.count(r"\end{") == 1
    assert lines[1] == r"\toprule" and lines[-2] == r"\bottomrule" and lines[3] == r"\midrule"
    rows = []
    for line in lines[2:-2]:
        if line == r"\midrule":
            continue
        assert line.endswith(r" \\")
        cells = re.split(r"(?<!\\)&", line.removesuffix(r" \\"))
        assert len(cells) == columns
        for cell in cells:
            stripped = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}|\$\\\w+\$|\$-\$", "", cell)
            assert not re.search(r"[&%$#_{}~^\\]", stripped), f"unescaped: {cell}"
            assert stripped.isascii()
        rows.append([cell.strip() for cell in cells])
    return rows
