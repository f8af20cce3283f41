"""Run the project's notebooks through papermill, with parameters that are checked first.

``bench3dmm notebooks`` runs all of them; `make reproduce` is that.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

from bench3dmm.errors import Bench3dmmError, UnknownNameError
from bench3dmm.system.checkout import ROOT
from bench3dmm.system.storage import write_text

FOLDER = ROOT / "notebooks"
KERNEL = "python3"


class NotebookError(Bench3dmmError):
    """A notebook that could not be run, or a cell of it that failed."""


def run_notebook(
    path: str | Path, output: str | Path, parameters: Mapping[str, object], *, progress: bool = True
) -> Path:
    """Execute a notebook with parameters, in its own folder, and write what came out.

    Args:
        path: a notebook with a cell tagged ``parameters``.
        output: the executed notebook; on a failed cell it is written up to that cell.
        parameters: replace the defaults of the ``parameters`` cell.
        progress: show the cells' output and a progress bar on this terminal.

    Returns:
        `output` as a path.

    Raises:
        UnknownNameError: a parameter the notebook does not have (papermill itself would only warn).
        NotebookError: no such notebook, papermill is not installed, or a cell failed.
    """
    papermill, failures, new_kernel = _import_papermill()
    path, output = Path(path).resolve(), Path(output).resolve()
    if not path.is_file():
        raise NotebookError(f"{path}: no such notebook; the project's are in {FOLDER}")
    known = papermill.inspect_notebook(str(path))
    for name in parameters:
        if name not in known:
            raise UnknownNameError(f"parameter of {path.name}", name, known)

    output.parent.mkdir(parents=True, exist_ok=True)
    kernel, stopped = new_kernel(kernel_name=KERNEL), False
    try:
        papermill.execute_notebook(
            str(path),
            str(output),
            parameters=dict(parameters),
            kernel_name=KERNEL,
            km=kernel,
            cwd=str(path.parent),
            progress_bar=progress,
            stdout_file=sys.stdout if progress else None,
            stderr_file=sys.stderr if progress else None,
        )
    except KeyboardInterrupt:
        stopped = True
        raise
    except failures.DeadKernelError as error:
        raise NotebookError(
            f"{path.name}: its kernel died ({error}); too little memory, or a broken GL driver"
        ) from error
    except failures.PapermillExecutionError as error:
        raise NotebookError(
            f"{path.name}, cell {error.cell_index}: {error.ename}: {error.evalue}\n"
            f"The notebook up to that cell, with the traceback: {output}"
        ) from error
    finally:
        kernel.end(now=stopped)  # whatever it does: a training goes on from its last epoch
    return output


def run_notebooks(
    profile: str = "quick",
    output_dir: str | Path = "output",
    results_dir: str | Path = "results",
    *,
    folder: str | Path = FOLDER,
    only: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    progress: bool = True,
) -> list[Path]:
    """Execute every notebook of `folder` at a profile, each also as a web page, figures into ``figures/``.

    A run that `results_dir` already holds is loaded, not trained again.

    Args:
        only: names of notebooks; none: all of them.
        options: further parameters, for those notebooks that have them.
        progress: say on stderr which notebook runs and how long it took, besides what its cells print.

    Returns:
        The executed notebooks.

    Raises:
        UnknownNameError: no notebook of a name in `only`, or none that runs has a parameter of `options`.
        NotebookError: there are none, or a cell failed.
    """
    notebooks = _chosen(sorted(Path(folder).glob("[0-9]*.ipynb")), folder, only)
    output_dir = Path(output_dir).resolve()
    further = _for_each(notebooks, options or {})
    parameters = {
        "profile": profile,
        "results_dir": str(Path(results_dir).resolve()),
        "figures_dir": str(output_dir / "figures"),
    }
    written: list[Path] = []
    try:
        for number, (notebook, more) in enumerate(zip(notebooks, further, strict=True), 1):
            label = f"[{number}/{len(notebooks)}] {notebook.stem}"
            if progress:
                print(f"{label} …", file=sys.stderr, flush=True)
            started = time.perf_counter()
            output = run_notebook(notebook, output_dir / notebook.name, {**parameters, **more}, progress=progress)
            write_text(output.with_suffix(".html"), web_page(output))
            if progress:
                print(f"{label}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
            written.append(output)
    except KeyboardInterrupt:
        if progress:
            done = f"{len(written)} of {len(notebooks)} notebooks are done"
            print(f"\nstopped: {done}; the same command goes on, what is stored is not trained again", file=sys.stderr)
        raise
    return written


def _chosen(notebooks: Sequence[Path], folder: str | Path, only: Sequence[str]) -> list[Path]:
    if not notebooks:
        raise NotebookError(f"no notebooks in {folder}: run this from a checkout of the project")
    names = [name.removesuffix(".ipynb") for name in only]
    known = [notebook.stem for notebook in notebooks]
    for name in names:
        if name not in known:
            raise UnknownNameError("notebook", name, known)
    return [notebook for notebook in notebooks if not names or notebook.stem in names]


def _for_each(notebooks: Sequence[Path], options: Mapping[str, object]) -> list[dict[str, object]]:
    """The options that each notebook has as parameters. One that none has would be lost without a word."""
    if not options:
        return [{} for _ in notebooks]
    papermill, *_ = _import_papermill()
    known = [papermill.inspect_notebook(str(notebook)) for notebook in notebooks]
    for name in options:
        if not any(name in parameters for parameters in known):
            raise UnknownNameError("parameter of these notebooks", name, set().union(*known))
    return [{name: options[name] for name in options if name in parameters} for parameters in known]


def web_page(notebook: str | Path) -> str:
    """An executed notebook as one HTML page, for readers without Jupyter."""
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True).from_filename(str(notebook))
    return page


def _import_papermill():
    """papermill, a namespace with what its runs can raise, and what makes a kernel."""
    try:
        import papermill
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        from bench3dmm.pages.kernels import Kernel
    except ImportError as error:
        raise NotebookError("papermill is not installed: pip install 'bench3dmm[notebooks]'") from error
    failures = SimpleNamespace(DeadKernelError=DeadKernelError, PapermillExecutionError=PapermillExecutionError)
    return papermill, failures, Kernel
