"""Commands that read stored results."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench3dmm.papers.setup import Setup


@pytest.fixture
def written(monkeypatch):
    """What the command asks the report for."""
    calls = []

    def write_report(*arguments):
        calls.append(arguments)
        return Path("a.html"), Path("a.md"), Path("a.json")

    monkeypatch.setattr("bench3dmm.pages.report.write_report", write_report)
    return calls


def test_a_report_is_asked_for_with_what_was_given(command, written, tmp_path):
    code, out, err = command(
        *("report", "--profile", "smoke", "--coma", "ball", "--bu3dfe", "sphere", "--seeds", 2),
        *("--results-dir", tmp_path, "--output", "a.html", "--templates", tmp_path / "mine"),
    )
    assert code == 0, err
    assert out.split() == ["a.html", "a.md", "a.json"]
    assert written == [(Setup("ball", "sphere", "smoke", (0, 1)), tmp_path, Path("a.html"), tmp_path / "mine")]


def test_without_templates_of_one_s_own_ours_are_taken(command, written):
    assert command("report")[0] == 0
    ((*_, templates),) = written
    assert templates is None


@pytest.mark.parametrize("content", [None, {}, {"other.txt": ""}])
def test_a_folder_without_templates_is_one_line_and_writes_nothing(command, tmp_path, content):
    folder = tmp_path / "mine"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    output = tmp_path / "page.html"
    code, out, err = command("report", "--output", output, "--templates", folder)
    assert code == 1 and out == "" and err.count("\n") == 1
    says = "there is no such folder of templates" if content is None else "holds none of the files"
    assert err.startswith(f"error: {folder}: {says}")
    assert not output.exists()
