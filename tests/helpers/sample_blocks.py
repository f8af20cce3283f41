"""One block of each kind, with all that could be taken for markup."""

from __future__ import annotations

from bench3dmm.view.blocks import Badge, Facts, Heading, Notice, Picture, Table, Text

BLOCKS = [
    Heading("First & last"),
    Text("Run `a <b>|c`, then *rest* of [it]\nand < more_of_it"),
    Notice("none of it; run `bench3dmm sweep x`"),
    Facts([("what", "a|b"), ("verdicts", (Badge("2 <good>", "good"), Badge("1 open", "open")))]),
    Table(["name", "mm"], [["a\nb | c", "1.5 ± 0.2"], ["`x|y`", "–"]], "Cap_tion", "No*te", stacked=True),
    Picture("figure4", b"\x89PNG", 400, 'A "quoted" caption < here'),
]
