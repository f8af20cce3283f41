"""pyproject.toml, constraints.txt, environment.yml, CITATION.cff and the licence agree with each other."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import bench3dmm

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(text) for group in (PROJECT["dependencies"], *EXTRAS.values()) for text in group]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_constraints_are_exact_sorted_and_hostless():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*==[0-9][0-9A-Za-z.]*", line), line
    names = [line.split("==")[0] for line in lines]
    assert names == sorted(set(names))
    assert "bench3dmm" not in names


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_each_requirement_is_pinned_within_its_range(requirement):
    pinned = constraints().get(canonicalize_name(requirement.name))
    assert pinned, f"{requirement.name} is missing from constraints.txt"
    assert requirement.specifier.contains(pinned)
    assert any(spec.operator == ">=" for spec in requirement.specifier), "say the oldest version that works"


def test_this_environment_is_what_the_constraints_say():
    """Only where the pinned torch is installed: elsewhere somebody tries other versions, which is fine."""
    if version("torch").split("+")[0] != constraints()["torch"]:
        pytest.skip("not installed with constraints.txt")
    differing = {}
    for name, pinned in constraints().items():
        try:
            found = version(name).split("+")[0]
        except PackageNotFoundError:
            found = None
        if found != pinned:
            differing[name] = (pinned, found)
    direct = {canonicalize_name(requirement.name) for requirement in REQUIREMENTS}
    assert not {name: pair for name, pair in differing.items() if name in direct}


def test_each_third_party_import_is_declared():
    """What the package imports, pyproject.toml names: nothing is used that only came along."""
    modules = {"libigl": "igl", "pillow": "PIL", "pyyaml": "yaml"}
    declared = {
        modules.get(canonicalize_name(r.name), r.name.replace("-", "_"))
        for r in REQUIREMENTS
        if str(r) not in EXTRAS["test"]
    }
    declared.add("typing_extensions")  # read by the type checker alone
    pattern = re.compile(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", re.M)
    used = set()
    for path in (ROOT / "bench3dmm").rglob("*.py"):
        used |= set(pattern.findall(path.read_text()))
    allowed = declared | set(sys.stdlib_module_names) | {"bench3dmm"}
    candidates = {name for name in used if name not in allowed and _is_installed_module(name)}
    assert not candidates, f"imported but not declared: {sorted(candidates)}"


def _is_installed_module(name: str) -> bool:
    """Words of a docstring that begin a line with "from" are no modules."""
    from importlib.util import find_spec

    return find_spec(name) is not None


def test_conda_environment_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == "bench3dmm" and environment["channels"][0] == "conda-forge"
    *conda, pip = environment["dependencies"]
    python = next(text.split("=")[1] for text in conda if text.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0")
    constraint, package = pip["pip"]
    assert constraint == "-c constraints.txt"
    assert package == f"-e .[{','.join(sorted(EXTRAS))}]", "all the extras, as the Makefile installs"
    assert package[3:] in (ROOT / "Makefile").read_text()


def test_versions_and_licence_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == bench3dmm.__version__ == citation["version"]
    assert PROJECT["license"] == citation["license"] == "MIT"
    licence = (ROOT / "LICENSE").read_text()
    assert licence.startswith("MIT License\n") and "The bench3dmm authors" in licence
    assert PROJECT["authors"] == [{"name": "The bench3dmm authors"}] == citation["authors"]


def test_citation_has_what_cff_requires():
    """The fields that CFF 1.2.0 requires; `make citation` validates against the whole schema."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0" and citation["type"] in ("software", "dataset")
    datetime.date.fromisoformat(citation["date-released"])
    assert len(citation["references"]) >= 2
    for work in citation["references"]:
        assert {"type", "title", "authors"} <= set(work)
        for author in work["authors"]:
            assert {"given-names", "family-names"} <= set(author)


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "executable"
    text = script.read_text()
    assert text.startswith("#!/bin/sh") and "set -eu" in text and text.rstrip().endswith("exec make test")


def test_no_tracked_file_names_a_package_host():
    index, files, other = "py" + "pi", "python" + "hosted", "ana" + "conda"  # in halves: this file is tracked too
    pattern = rf"({index}\.org|{files}|{other}\.org|https?://[^\s/]*({index}|conda)|index-url|find-links)"
    hosts = re.compile(pattern.encode())
    assert hosts.search(f"https://{index}.org/simple".encode())
    for path in tracked_files():
        if path == Path(__file__).resolve():  # names the options it forbids
            continue
        found = hosts.search(path.read_bytes())
        assert not found, f"{path.relative_to(ROOT)}: {found and found.group()!r}"


def test_a_wheel_holds_what_is_not_python(tmp_path):
    """Built without a network, by the setuptools that is here; the page of a report then needs no checkout."""
    for path in tracked_files():
        name = path.relative_to(ROOT)
        if name.parts[0] in ("bench3dmm", "pyproject.toml", "README.md", "LICENSE"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / name)
    expected = {f"{path.relative_to(tmp_path)}" for path in (tmp_path / "bench3dmm").rglob("*") if path.is_file()}
    build = [sys.executable, "-c", "from setuptools import build_meta; build_meta.build_wheel('dist')"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    (built,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as wheel:
        assert expected <= set(wheel.namelist())
        wheel.extractall(tmp_path / "installed")
    use = "from bench3dmm.pages.html import __file__, html_page; print(__file__); print(html_page('Title', []))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    page = subprocess.run(
        [sys.executable, "-c", use], cwd=tmp_path / "dist", env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert page.startswith(str(tmp_path / "installed")) and "<h1>Title</h1>" in page


def test_readme_shows_commands_and_pictures_that_exist():
    readme = (ROOT / "README.md").read_text()
    for command in ("make reproduce", "make test"):
        assert command in readme
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme):
        assert (ROOT / picture).is_file(), f"README shows {picture}, which does not exist"


def test_readme_s_tree_is_the_tree():
    """Each name stands where the tree has it, and no wing of the package is left out."""
    (tree,) = re.findall(r"^```\n(bench3dmm/.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    folders, named = [ROOT], []
    for indent, name in re.findall(r"^((?:  ){0,3})([a-z_0-9]+(?:/|\.[a-z]+))(?:\s|$)", tree, re.M):
        del folders[1 + len(indent) // 2 :]
        path = folders[-1] / name
        assert path.is_dir() if name.endswith("/") else path.is_file(), f"README's tree names {path}"
        folders.append(path)
        named.append(path)
    wings = {path.parent for path in (ROOT / "bench3dmm").glob("*/__init__.py")}
    assert wings == {path for path in named if path.parent == ROOT / "bench3dmm"}
