"""Blocks as Markdown: escaped, its tables square."""

from __future__ import annotations

import re

from sample_blocks import BLOCKS

from bench3dmm.view.markdown import markdown_page, markdown_text


def test_markdown_page_is_escaped_and_its_tables_are_square():
    page = markdown_page("Title", BLOCKS, "my files")
    assert "Run `a <b>|c`, then \\*rest\\* of \\[it\\]\nand \\< more\\_of\\_it" in page
    assert "> **Missing.** none of it" in page
    assert "- verdicts: **✓ 2 \\<good\\>** **? 1 open**" in page
    assert "](my%20files/figure4.png)" in page
    assert "| a<br>b \\| c | 1.5 ± 0.2 |" in page and r"| `x\|y` | – |" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {3}


def test_a_lone_backtick_is_a_backtick():
    assert markdown_text("5` tall") == "5\\` tall"
