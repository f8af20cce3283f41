"""Tables as LaTeX."""

from __future__ import annotations

import pandas as pd
from latex_checks import assert_well_formed

from bench3dmm.view.tables import latex


def test_latex_escapes_and_leaves_out_repeated_labels():
    frame = pd.DataFrame(
        {"name": ["a_b", "a_b", "50% & more"], "kind": ["~x^2", "{y}", "C:\\z#$"], "value": ["1.0 ± 0.1", "–", "2"]}
    )
    rows = assert_well_formed(latex(frame), 3)
    assert [row[0] for row in rows] == ["name", r"a\_b", "", r"50\% \& more"]
    assert rows[1][2] == r"1.0 $\pm$ 0.1" and rows[2][2] == "--"
    assert latex(frame).splitlines()[1] == r"\begin{tabular}{llr}"
