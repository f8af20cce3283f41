"""The report: a well-formed page of what is stored, which says what is not."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from html_checker import check
from reports import SETUP, draw, store, two_sets

from bench3dmm.cli import app as cli
from bench3dmm.errors import Bench3dmmError, DataError, UnknownNameError
from bench3dmm.pages import chapters, report
from bench3dmm.papers.neural3dmm_bu3dfe.claims import CLAIMS
from bench3dmm.papers.neural3dmm_bu3dfe.untested import UNTESTED
from bench3dmm.papers.registry import papers
from bench3dmm.papers.shown import artefacts
from bench3dmm.record.grid import shown_value

ARTEFACTS = {name: artefact for paper in papers() for name, artefact in artefacts(paper).items()}
QUICK_TO_DRAW = ("table1", "table2", "figure4", "figure8", "generalization", "ledger")
NASTY = "<script>alert('&')</script> | `device`"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    store(folder, device=NASTY)
    return folder


@pytest.fixture(autouse=True)
def few_artefacts(monkeypatch):
    two_sets(monkeypatch)
    draw(monkeypatch, *QUICK_TO_DRAW)


@pytest.fixture(scope="module")
def written(stored, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        two_sets(patch)
        draw(patch, *QUICK_TO_DRAW)
        return report.write_report(SETUP, stored, folder / "all.html")


def test_report_has_everything_that_is_stored(written):
    page, markdown, _ = written
    checker = check(page.read_text())
    for name in QUICK_TO_DRAW:
        caption = ARTEFACTS[name].caption.format(coma="ball", bu3dfe="sphere")
        assert caption in checker.text
    for claim in CLAIMS:
        assert checker.text.count(claim.id) >= 1 and claim.quote in checker.text
    for entry in UNTESTED:
        assert entry.reason in checker.text
    for name in papers()["neural3dmm_bu3dfe"].groups["paper"]:
        total = len(SETUP.runs(name))
        assert f"| {name} | {total} of {total} |  |" in markdown.read_text()
    for text in ("0123456789", "smoke: 2 epochs", "Seeds0, 1, 2", "2026-01-01 to 2026-01-03"):
        assert text in checker.text
    assert "In COMA's place stands ball" in checker.text and "it is not COMA" in checker.text
    counts = re.search(r"✓ (\d+) reproduced ✗ (\d+) not reproduced \? (\d+) inconclusive", checker.text)
    assert sum(map(int, counts.groups())) == len(CLAIMS)
    assert "architecture" in checker.text and "--preset release" in checker.text
    assert markdown == page.with_suffix(".md")
    pictures = re.findall(r"!\[[^\n]+\]\(([^)]+)\)", markdown.read_text())
    assert pictures[:3] == [f"all_files/{name}.png" for name in ("claims-neural3dmm_bu3dfe", "figure4", "figure8")]
    assert all(name.startswith("all_files/claims-") for name in pictures[3:]), "those of other papers"
    assert checker.tags.count("img") == len(pictures)
    assert all((page.parent / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert sorted(path.name for path in page.parent.rglob("*")) == [
        *("all.html", "all.json", "all.md", "all_files"),
        *sorted(picture.removeprefix("all_files/") for picture in pictures),
    ]


def test_provenance_lists_every_run_that_is_drawn(written):
    _, markdown, _ = written
    table = markdown.read_text().partition("*Every run*")[2].strip().splitlines()
    header, rows = table[0], table[2:]
    for run in SETUP.runs("paper"):
        (row,) = [row for row in rows if row.startswith(f"| {run.run_id} |")]
        for name in ("preset", "epochs", "validation", "test_share"):
            column = [cell.strip() for cell in header.split("|")].index(name.replace("_", " "))
            assert row.split("|")[column].strip() == f"{shown_value(run, name)}"
    assert len(rows) == len(SETUP.runs("paper"))


def test_provenance_has_no_column_in_which_nothing_differs(tmp_path):
    store(tmp_path, lambda run: run in SETUP.runs("splits"))
    _, markdown, _ = report.write_report(SETUP, tmp_path, tmp_path / "page.html")
    header = markdown.read_text().partition("*Every run*")[2].strip().splitlines()[0]
    measured = "error (mm) | median (mm) | standard deviation (mm) | 95th percentile (mm)"
    assert header == f"| run | dataset | split | loss | d | seed | {measured} | parameters | minutes |"


def test_the_verdicts_are_there_for_programs(written):
    numbers = json.loads(written[2].read_text())
    assert (numbers["profile"], numbers["seeds"]) == ("smoke", [0, 1, 2])
    assert numbers["datasets"] == {"coma": "ball", "bu3dfe": "sphere"}
    of_paper = [verdict["id"] for verdict in numbers["verdicts"] if verdict["paper"] == "neural3dmm_bu3dfe"]
    assert of_paper == [claim.id for claim in CLAIMS]
    assert set(numbers["runs"]) == {run.run_id for run in SETUP.runs("paper")}


def test_nothing_of_a_result_is_taken_for_markup(written):
    page, markdown, _ = written
    assert "&lt;script&gt;alert" in page.read_text()
    assert "\\<script\\>alert" in markdown.read_text()
    assert not re.search(r"(?<!\\)<script", markdown.read_text())


def test_an_artefact_that_cannot_be_drawn_says_why_in_its_place(written):
    page, *_ = written
    notice = re.search(r'id="table-1">.*?<p class="notice">(.*?)</p>', page.read_text(), re.S)
    assert "not of Table 1" in notice[1]  # the spheres have BU3DFE's expressions


def test_report_is_the_same_again_and_keeps_no_old_picture(written, stored):
    page = written[0]
    before = [path.read_bytes() for path in written]
    old = page.parent / "all_files" / "table1.png"
    old.write_bytes(b"old")
    report.write_report(SETUP, stored, page)
    assert [path.read_bytes() for path in written] == before
    assert not old.exists()


def test_a_folder_of_templates_restyles_the_page(tmp_path, monkeypatch):
    draw(monkeypatch)
    store(tmp_path, lambda run: run in SETUP.runs("splits"))
    style = tmp_path / "mine" / "style.css"
    style.parent.mkdir()
    style.write_text("main { color: teal }")
    page, *_ = report.write_report(SETUP, tmp_path, tmp_path / "page.html", templates=style.parent)
    assert "<style>\nmain { color: teal }\n</style>" in page.read_text()


def test_what_is_missing_stands_in_its_place_with_its_command(tmp_path):
    store(tmp_path, lambda run: run.dataset == "sphere" and run.split == "percentage" and run.seed < 2)
    page, *_ = report.write_report(SETUP, tmp_path, tmp_path / "page.html")
    text = check(page.read_text()).text
    folder = f"--results-dir {tmp_path}"
    command = "bench3dmm sweep splits --coma ball --bu3dfe sphere --profile smoke"
    assert f"Fig. 8: none of its 3 runs is among the results; run {command} {folder}" in text
    assert (
        "6 of 18" in text and f"bench3dmm sweep datasets --coma ball --bu3dfe sphere --profile smoke {folder}" in text
    )
    assert "run ball, percentage, l1, d = 8 is not stored" in text
    assert "✓ 0 reproduced" in text


def test_without_the_meshes_the_numbers_are_still_there(tmp_path, monkeypatch):
    setup = dataclasses.replace(SETUP, coma="coma")
    store(tmp_path, lambda run: run.dataset == "sphere")
    page, *_ = report.write_report(setup, tmp_path, tmp_path / "page.html")
    text = check(page.read_text()).text
    assert "The meshes of coma: coma is not imported here" in text
    assert "The set coma is not imported here" in text and "COMA itself" not in text
    assert ARTEFACTS["figure4"].caption.format(coma="coma", bu3dfe="sphere") in text


@pytest.mark.parametrize(
    ("found", "said"),
    [([], "The set `coma` is COMA itself"), (["people: 2 (COMA: 12)"], "departs from it: people: 2 (COMA: 12)")],
)
def test_the_report_says_how_whole_a_licensed_set_is(found, said, monkeypatch):
    monkeypatch.setattr(chapters, "departures", lambda name: found)
    assert said in chapters._place("COMA", "coma")


def test_results_on_other_data_get_no_verdicts(tmp_path):
    for run in store(tmp_path, lambda run: run.latent == 8):
        path = tmp_path / "smoke" / f"{run.run_id}.json"
        document = json.loads(path.read_text())
        document["provenance"]["dataset_sha256"] = "other"
        path.write_text(json.dumps(document))
    page, *_ = report.write_report(SETUP, tmp_path, tmp_path / "page.html")
    text = check(page.read_text()).text
    assert "not judged, see below" in text and "another version of" in text
    numbers = json.loads(page.with_suffix(".json").read_text())
    assert "neural3dmm_bu3dfe" not in {verdict["paper"] for verdict in numbers["verdicts"]}
    assert "another version of" in numbers["unjudged"]["neural3dmm_bu3dfe"]


def test_what_cannot_be_reported_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"none of the \d+ runs .* `bench3dmm sweep paper --coma ball"):
        report.write_report(SETUP, tmp_path, tmp_path / "page.html")
    with pytest.raises(Bench3dmmError, match="html"):
        report.write_report(SETUP, tmp_path, tmp_path / "page.md")
    for wrong in ({"profile": "smok"}, {"coma": "bal"}, {"bu3dfe": "mh-scan@cleen"}):
        with pytest.raises(UnknownNameError, match="Did you mean"):
            report.write_report(dataclasses.replace(SETUP, **wrong), tmp_path, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_command(stored, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out" / "report.html"
    arguments = ["--profile", "smoke", "--coma", "ball", "--bu3dfe", "sphere", "--seeds", "3"]
    where = ["--results-dir", str(stored), "--output", str(output)]
    monkeypatch.setattr("sys.argv", ["bench3dmm", "report", *arguments, *where])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    assert capsys.readouterr().out.split() == [str(output.with_suffix(end)) for end in (".html", ".md", ".json")]
    assert (output.parent / "report_files" / "figure4.png").exists()
