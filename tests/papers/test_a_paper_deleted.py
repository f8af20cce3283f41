"""A paper is one folder: in a copy of the checkout the folder of one is deleted, with its notebook, tests and results.

Everything else must be green once the README's table is generated anew. Here that is the rules of imports, the command
line and the tests of papers and pages; with ``-m full`` the whole suite and all notebooks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache

import pytest

from bench3dmm.papers.registry import experiment, experiments, papers
from bench3dmm.record.profiles import PROFILES
from bench3dmm.system.checkout import ROOT

GONE = "lamm"


@cache
def own_runs():
    """Ids of the runs, of any profile, that this paper asks for and no other."""
    asked = {False: set(), True: set()}
    for name, one in experiments().items():
        for profile in PROFILES:
            asked[one.paper == GONE] |= {run.run_id for run in experiment(name, profile=profile)}
    return asked[True] - asked[False]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The tracked files without the paper, and a function that runs python there."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode or GONE not in papers():
        pytest.skip(f"not a git checkout, or without {GONE} already")
    folder = tmp_path_factory.mktemp("copy")
    paper = papers()[GONE]
    gone = {f"notebooks/{name}.ipynb" for name in paper.notebooks}
    for name in filter(None, listing.stdout.split("\0")):
        source = ROOT / name
        of_paper = name.startswith((f"bench3dmm/papers/{GONE}/", f"tests/papers/{GONE}/")) or name in gone
        if source.is_file() and not of_paper:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    for path in (folder / "results").glob("*/*.json"):
        if path.stem in own_runs():
            for file in path.parent.glob(f"{path.stem}.*"):
                file.unlink()
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@nowhere.invalid")
    for command in (["init", "-q"], ["add", "-A"], [*somebody, "commit", "-q", "-m", "without"]):
        subprocess.run(["git", *command], cwd=folder, check=True)  # tests ask for the tracked files and the commit
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}

    def python(*arguments, timeout=900):
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)

    assert python("-m", "bench3dmm.pages.readme").returncode == 0
    return folder, python


def said(done):
    return done.stdout[-8000:] + done.stderr[-4000:]


def test_nothing_asks_for_its_runs_any_more(copy):
    folder, python = copy
    assert "14_lamm" not in (folder / "README.md").read_text()
    done = python("-m", "bench3dmm", "list", "experiments")
    assert done.returncode == 0 and "peers" in done.stdout, said(done)
    assert not {line.split()[0] for line in done.stdout.splitlines()} & set(papers()[GONE].experiments)
    done = python("-m", "bench3dmm", "list", "results")
    assert done.returncode == 0 and not any(run_id in done.stdout for run_id in own_runs()), said(done)
    done = python("-m", "bench3dmm", "rank", "--latent", "16", "--split", "identity")
    assert done.returncode == 0 and "PCA, a linear model" in done.stdout, said(done)


def test_the_rules_of_imports_hold(copy):
    _, python = copy
    done = python("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache")
    assert done.returncode == 0 and "0 broken" in done.stdout, said(done)


def test_papers_and_pages_are_green(copy):
    _, python = copy
    chosen = ["tests/papers/test_registry.py", "tests/papers/comparison", "tests/pages/test_readme.py", "tests/runs"]
    done = python("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen)
    assert done.returncode == 0, said(done)


@pytest.mark.full
def test_everything_is_green(copy):
    _, python = copy
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "tests", timeout=5000)
    assert done.returncode == 0, said(done)


@pytest.mark.full
def test_all_notebooks_are_green(copy):
    folder, python = copy
    notebooks = sorted(map(str, (folder / "notebooks").glob("*.ipynb")))
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", *notebooks, timeout=5000)
    assert done.returncode == 0, said(done)
