"""The README's table of notebooks is what the registry of papers says, and the page stays short."""

from __future__ import annotations

import re

from bench3dmm.pages.readme import MARK, PAGE, notebooks_table, write_readme
from bench3dmm.papers.registry import notebooks
from bench3dmm.system.checkout import ROOT
from bench3dmm.view.markdown import filled

MOST_LINES = 120


def test_the_table_is_up_to_date():
    assert PAGE.read_text() == filled(PAGE.read_text(), MARK, notebooks_table()), "python -m bench3dmm.pages.readme"


def test_every_notebook_of_the_checkout_is_of_a_paper_and_in_the_table():
    files = {path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert files == set(notebooks())
    assert files == set(re.findall(r"\]\(notebooks/(\w+)\.ipynb\) \|", notebooks_table()))


def test_the_page_is_short():
    assert len(PAGE.read_text().splitlines()) <= MOST_LINES


def test_writing_it_changes_nothing_but_the_table(tmp_path):
    page = tmp_path / "README.md"
    before, after = "# Title\n\n<!-- notebooks: begin -->", "<!-- notebooks: end -->\n\nbelow\n"
    page.write_text(f"{before}\nold\n{after}")
    write_readme(page)
    assert page.read_text() == f"{before}\n\n{notebooks_table()}\n\n{after}"
