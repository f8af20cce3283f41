"""One page of all that is stored for a profile: every paper's figures, tables and claims with verdicts, provenance.

It reads results and trains nothing. What is missing is said in its place, with the command that trains it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench3dmm.data.registry import check_datasets, load_dataset
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.pages.chapters import chapters
from bench3dmm.pages.evidence import DEFAULT_RESULTS, Evidence, located
from bench3dmm.pages.html import html_page
from bench3dmm.papers.registry import experiments, groups, papers
from bench3dmm.papers.setup import Setup
from bench3dmm.papers.shown import artefacts, verdicts
from bench3dmm.record.run import Run
from bench3dmm.runs.results import read_document
from bench3dmm.runs.stored import stored_results
from bench3dmm.system.storage import write_bytes, write_json, write_text
from bench3dmm.view.blocks import Picture
from bench3dmm.view.markdown import markdown_page


def write_report(
    setup: Setup | None = None,
    results_dir: str | Path = DEFAULT_RESULTS,
    output: str | Path = "report.html",
    templates: str | Path | None = None,
) -> tuple[Path, Path, Path]:
    """Write the report of what is stored.

    Args:
        setup: which runs it is about.
        results_dir: where they are stored.
        output: the HTML page, which holds its pictures. Beside it comes the same as Markdown, ``report.md``, with its
            pictures in ``report_files``, and for programs ``report.json``: what was measured, and the verdicts.
        templates: see `bench3dmm.pages.html.html_page`.

    Returns:
        The HTML, the Markdown and the JSON file.

    Raises:
        UnknownNameError: for a dataset or profile that does not exist.
        DataError: if none of the runs is stored, or a stored one is broken.
    """
    page = Path(output)
    if page.suffix.lower() not in (".html", ".htm"):
        raise Bench3dmmError(f"{page}: the report is a web page, give it a name that ends in .html")
    html_page("", [], templates)  # a folder of somebody's own is looked at before anything is drawn
    evidence = _gather(setup or Setup(), Path(results_dir))
    blocks = list(chapters(evidence))
    content = html_page(evidence.title, blocks, templates)
    markdown = page.with_suffix(".md")
    folder = page.with_name(f"{page.stem}_files")
    _write_pictures([block for block in blocks if isinstance(block, Picture)], folder)
    write_text(markdown, markdown_page(evidence.title, blocks, folder.name))
    write_text(page, content)
    numbers = page.with_suffix(".json")
    write_json(numbers, _numbers(evidence))
    return page, markdown, numbers


def _numbers(evidence: Evidence) -> dict[str, Any]:
    """The verdicts and what they are about; no verdicts of a paper where ``unjudged`` says why."""
    setup = evidence.setup
    return {
        "profile": setup.profile,
        "datasets": {"coma": setup.coma, "bu3dfe": setup.bu3dfe},
        "seeds": list(setup.seeds),
        "runs": [result.run.run_id for result in evidence.results],
        "verdicts": [
            {"paper": paper, **verdict.as_dict()} for paper, found in evidence.verdicts.items() for verdict in found
        ],
        "unjudged": evidence.unjudged,
    }


def _write_pictures(pictures: Sequence[Picture], folder: Path) -> None:
    """Write them, and remove what an earlier report drew and this one does not."""
    for picture in pictures:
        write_bytes(folder / f"{picture.name}.png", picture.png)
    drawable = {name for paper in papers() for name in [*artefacts(paper), f"claims-{paper}"]}
    for name in drawable - {picture.name for picture in pictures}:
        (folder / f"{name}.png").unlink(missing_ok=True)


# --- what is there ----------------------------------------------------------------------------------------------


def _gather(setup: Setup, results_dir: Path) -> Evidence:
    check_datasets(setup.coma, setup.bu3dfe)
    runs: dict[str, list[Run]] = {}
    for name in experiments():
        with contextlib.suppress(DataError):  # whose runs only a dataset at hand can tell
            runs[name] = setup.runs(name)
    every = list(dict.fromkeys(run for of_one in runs.values() for run in of_one))
    results = stored_results(every, results_dir)
    beyond = _tasks_beyond(every, results_dir, setup.profile)
    if not results and not beyond:
        command = located(f"`{setup.command(next(iter([*groups(), *experiments()])))}`", results_dir)
        raise DataError(
            f"none of the {len(every)} runs of profile {setup.profile} on {setup.coma} and {setup.bu3dfe} is stored in "
            f"{results_dir}; {command} trains them"
        )
    evidence = Evidence(setup, results_dir, runs, results, beyond)
    _load_datasets(evidence)
    for paper in papers():
        try:
            evidence.verdicts[paper] = verdicts(paper, evidence.material)
        except DataError as error:
            evidence.unjudged[paper] = str(error)
    return evidence


def _tasks_beyond(known: Sequence[Run], results_dir: Path, profile: str) -> list[str]:
    """Tasks of stored runs that no paper here asks for, as those of somebody else's package."""
    of_papers = {run.task for run in known}
    paths = sorted((results_dir / profile).glob("*.json"))
    tasks = {Run.from_dict(read_document(path)["run"]).task for path in paths}
    return sorted(tasks - of_papers)


def _load_datasets(evidence: Evidence) -> None:
    for name in dict.fromkeys((evidence.setup.coma, evidence.setup.bu3dfe)):
        try:
            evidence.datasets[name] = load_dataset(name)
        except DataError as error:
            evidence.unavailable[name] = str(error)
