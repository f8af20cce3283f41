"""Notebooks as programs: parameters that are checked, failures that say where, and a tidy quickstart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench3dmm import notebooks
from bench3dmm.errors import UnknownNameError

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("papermill")

COMMITTED = sorted(notebooks.FOLDER.glob("*.ipynb"))


def write_notebook(path: Path, *sources: str) -> Path:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    book.cells[0].metadata["tags"] = ["parameters"]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


def test_parameters_reach_the_notebook(tmp_path):
    source = write_notebook(tmp_path / "a.ipynb", "latent = 8\nname = 'x'", "print(latent * 2, name)")
    output = notebooks.run_notebook(source, tmp_path / "out" / "a.ipynb", {"latent": 21}, progress=False)
    assert nbformat.read(output, 4).cells[-1].outputs[0].text == "42 x\n"
    assert ">42 x" in notebooks.web_page(output)


def test_unknown_parameter_is_refused_before_anything_runs(tmp_path):
    source = write_notebook(tmp_path / "a.ipynb", "latent = 8", "open('ran', 'w').close()")
    with pytest.raises(UnknownNameError, match=r"parameter of a\.ipynb 'latnet'\. Did you mean 'latent'"):
        notebooks.run_notebook(source, tmp_path / "out.ipynb", {"latnet": 16}, progress=False)
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out.ipynb").exists()


def test_failure_names_notebook_cell_and_error(tmp_path):
    source = write_notebook(tmp_path / "broken.ipynb", "latent = 8", "1 / 0", "print('never')")
    with pytest.raises(notebooks.NotebookError, match=r"broken\.ipynb, cell 1: ZeroDivisionError"):
        notebooks.run_notebook(source, tmp_path / "out.ipynb", {}, progress=False)
    assert "ZeroDivisionError" in (tmp_path / "out.ipynb").read_text()


def test_missing_notebook_is_named(tmp_path):
    with pytest.raises(notebooks.NotebookError, match="no such notebook"):
        notebooks.run_notebook(tmp_path / "none.ipynb", tmp_path / "out.ipynb", {})
    with pytest.raises(notebooks.NotebookError, match="no notebooks in"):
        notebooks.run_notebooks(folder=tmp_path)


def test_without_papermill_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "papermill", None)
    with pytest.raises(notebooks.NotebookError, match=r"pip install 'bench3dmm\[notebooks\]'"):
        notebooks.run_notebook(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {})


def test_all_notebooks_of_a_folder(tmp_path):
    parameters = "profile = 'smoke'\nresults_dir = ''\nfigures_dir = ''"
    write_notebook(tmp_path / "00_a.ipynb", parameters, "print(profile, results_dir, figures_dir)")
    write_notebook(tmp_path / "scratch.ipynb", "1 / 0")
    (written,) = notebooks.run_notebooks("quick", tmp_path / "out", tmp_path / "res", folder=tmp_path, progress=False)
    expected = f"quick {tmp_path / 'res'} {tmp_path / 'out' / 'figures'}\n"
    assert nbformat.read(written, 4).cells[-1].outputs[0].text == expected
    assert written.with_suffix(".html").read_text().count("quick") >= 1


def test_the_command_reports_a_failed_notebook_in_one_line(tmp_path, monkeypatch, capsys):
    from bench3dmm import cli

    def fail(*_):
        raise notebooks.NotebookError("00_quickstart.ipynb, cell 3: it broke")

    monkeypatch.setattr(notebooks, "run_notebooks", fail)
    monkeypatch.setattr("sys.argv", ["bench3dmm", "notebooks", "--output-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip() == "error: 00_quickstart.ipynb, cell 3: it broke"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_notebook_is_tidy(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert book.metadata["kernelspec"]["name"] == notebooks.KERNEL
    assert "papermill" not in book.metadata, "metadata of a run, not of the notebook"
    assert book.cells[0].cell_type == "markdown" and book.cells[0].source.startswith("# ")
    tagged = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert len(book.cells) <= 24
    for cell in book.cells:
        assert "papermill" not in cell.metadata and "execution" not in cell.metadata
        for output in cell.get("outputs", []):
            assert output.output_type != "error", cell.source


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_notebook_takes_what_run_notebooks_gives(path):
    import papermill

    assert {"profile", "results_dir", "figures_dir"} <= set(papermill.inspect_notebook(str(path)))
