"""The README's table of notebooks, from the registry of papers.

    python -m bench3dmm.pages.readme

brings it up to date; a test holds it to the registry.
"""

from __future__ import annotations

from pathlib import Path

from bench3dmm.papers.registry import papers
from bench3dmm.system.checkout import ROOT
from bench3dmm.system.storage import write_text
from bench3dmm.view.markdown import filled

PAGE = ROOT / "README.md"
MARK = "notebooks"


def notebooks_table() -> str:
    """A row a notebook, under the papers they belong to, in their order."""
    rows = ["| paper | notebook | shows |", "| --- | --- | --- |"]
    for paper in papers().values():
        for place, (name, shows) in enumerate(paper.notebooks.items()):
            rows.append(f"| {paper.short if place == 0 else ''} | [{name}](notebooks/{name}.ipynb) | {shows} |")
    return "\n".join(rows)


def write_readme(page: str | Path = PAGE) -> None:
    """Bring the table up to date."""
    write_text(Path(page), filled(Path(page).read_text(), MARK, notebooks_table()))


if __name__ == "__main__":
    write_readme()
