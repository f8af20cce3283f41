"""Notebooks as programs: parameters that are checked, failures that say where, and a tidy quickstart."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from sphere_sets import sphere_dataset
from written_notebooks import write_notebook

from bench3dmm.cli import app as cli
from bench3dmm.data.imports.meshes import import_meshes
from bench3dmm.data.imports.plans import Options
from bench3dmm.errors import UnknownNameError
from bench3dmm.mesh.files import write_mesh
from bench3dmm.pages import notebooks
from bench3dmm.papers.registry import experiment
from bench3dmm.runs.results import load_results

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("papermill")

COMMITTED = sorted(notebooks.FOLDER.glob("*.ipynb"))


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


def test_options_reach_only_the_notebooks_that_have_them(tmp_path, capsys):
    parameters = "profile = 'smoke'\nresults_dir = ''\nfigures_dir = ''"
    write_notebook(tmp_path / "00_a.ipynb", parameters + "\nseeds = 3", "print(seeds)")
    write_notebook(tmp_path / "01_b.ipynb", parameters, "print(profile)")
    write_notebook(tmp_path / "02_c.ipynb", "1 / 0")
    written = notebooks.run_notebooks(
        "quick",
        tmp_path / "out",
        folder=tmp_path,
        only=["00_a", "01_b.ipynb"],
        options={"seeds": 1},
    )
    assert [nbformat.read(path, 4).cells[-1].outputs[0].text for path in written] == ["1\n", "quick\n"]
    said = capsys.readouterr().err
    assert "[1/2] 00_a …" in said and "[2/2] 01_b …" in said
    assert re.search(r"\[2/2\] 01_b: \d+ s\n", said)


def test_options_and_notebooks_that_do_not_exist_are_refused(tmp_path):
    write_notebook(tmp_path / "00_a.ipynb", "profile = 'smoke'\nresults_dir = ''\nfigures_dir = ''")
    for wrong in ({"only": ["00_b"]}, {"options": {"seed": 1}}):
        with pytest.raises(UnknownNameError):
            notebooks.run_notebooks("quick", tmp_path / "out", folder=tmp_path, progress=False, **wrong)
    assert not (tmp_path / "out").exists()


def call(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["bench3dmm", "notebooks", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_the_command_passes_on_what_is_given_and_nothing_else(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(notebooks, "run_notebooks", lambda *_, **options: calls.append(options) or [])
    assert call(monkeypatch, "--output-dir", tmp_path) == 0
    given = ["--coma", "coma", "--bu3dfe", "mh-scan@clean", "--seeds", 1, "--jobs", 2, "--device", "cpu"]
    assert call(monkeypatch, *given, "--only", "01_datasets", "--only", "08_claims") == 0
    assert calls[0] == {"only": (), "options": {}}
    options = {"coma": "coma", "bu3dfe": "mh-scan@clean", "seeds": 1, "jobs": 2, "device": "cpu"}
    assert calls[1] == {"only": ["01_datasets", "08_claims"], "options": options}
    assert call(monkeypatch, "--coma", "typo") == 2 and len(calls) == 2


def test_the_command_reports_a_failed_notebook_in_one_line(tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise notebooks.NotebookError("00_quickstart.ipynb, cell 3: it broke")

    monkeypatch.setattr(notebooks, "run_notebooks", fail)
    assert call(monkeypatch, "--output-dir", tmp_path) == 1
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


# --- from nothing -------------------------------------------------------------------------------------------------

UNKNOWN = {"angry": "grumpy"}  # an expression that is in neither of the paper's tables


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Imports a small set of a name, which the kernel, a process of its own, finds in the cache."""

    def import_spheres(name, renamed):
        made, folder = sphere_dataset(), tmp_path_factory.mktemp(name)
        np.save(folder / "meshes.npy", made.vertices)
        write_mesh(folder / "template.ply", made.template.vertices, made.template.faces)
        samples = made.samples.assign(expression=made.samples["expression"].replace(renamed))
        samples.to_csv(folder / "samples.csv", index=False)
        options = Options(template=folder / "template.ply", unit="mm", progress=False)
        return import_meshes(name, options=options, array=folder / "meshes.npy", samples=folder / "samples.csv").name

    return import_spheres


def run_from_nothing(monkeypatch, name, tmp_path, **parameters):
    """Execute a notebook of the project with the package under test and no result stored; gives the executed one."""
    monkeypatch.setenv("PYTHONPATH", str(notebooks.FOLDER.parent))
    given = {"profile": "smoke", "results_dir": str(tmp_path / "results"), "figures_dir": str(tmp_path / "figures")}
    path = notebooks.FOLDER / f"{name}.ipynb"
    output = notebooks.run_notebook(path, tmp_path / "out.ipynb", {**given, **parameters}, progress=False)
    return nbformat.read(output, 4)


def test_a_notebook_trains_what_is_not_stored(imported, tmp_path, monkeypatch):
    name = imported("half-spheres", {})
    run_from_nothing(
        monkeypatch, "04_split_comparison", tmp_path, coma=name, bu3dfe=name, seeds=1, jobs=1, device="cpu"
    )
    frame = load_results(tmp_path / "results")
    runs = experiment("splits", coma=name, bu3dfe=name, profile="smoke", seeds=[0])
    assert set(frame["run_id"]) == {run.run_id for run in runs}
    for drawn in ("figure5.png", "figure5_table.csv", "split_comparison_claims.csv"):
        assert (tmp_path / "figures" / drawn).exists()


def test_the_quickstart_takes_any_import(imported, tmp_path, monkeypatch):
    book = run_from_nothing(
        monkeypatch, "00_quickstart", tmp_path, dataset=imported("grumpy-spheres", UNKNOWN), latent=4, device="cpu"
    )
    shown = {cell.id: cell.outputs[-1].get("data", {}).get("text/plain") for cell in book.cells if cell.get("outputs")}
    assert "grumpy" in shown["cell-05"] and "paper" not in shown["cell-05"]
    assert shown["cell-11"].startswith("Empty DataFrame"), "the paper has no numbers of it"
    assert len(load_results(tmp_path / "results")) == 2


@pytest.mark.parametrize("path", [path for path in COMMITTED if path.name != "10_speed.ipynb"], ids=lambda p: p.name)
def test_notebooks_say_nothing_that_depends_on_their_parameters(path):
    text = " ".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    assert "**The faces are synthetic.**" not in text
    assert "By default" in text and "**synthetic**" in text and "at its foot" in text


def test_generative_use_is_shown_of_any_import(imported, tmp_path, monkeypatch):
    name = imported("generated-spheres", {})
    run_from_nothing(monkeypatch, "12_generative", tmp_path, bu3dfe=name, latent=8, jobs=1, device="cpu")
    assert len(load_results(tmp_path / "results")) == 4
    made = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"samples.png", "interpolation.png", "extrapolation.png", "transfer.png", "generative.csv"} <= made
