"""A real package of somebody else's, tests/third_party, installed from its folder. Fixtures, for tests to import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from bench3dmm.system.checkout import ROOT

PACKAGE = ROOT / "tests" / "third_party"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that pip installed tests/third_party into; nothing comes from the network."""
    source, target = tmp_path_factory.mktemp("source") / "tiny3dmm", tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, source)  # the build writes beside its sources
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(target), str(source)], check=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def foreign_environment(installed):
    """The environment of a process that finds the package."""
    path = os.pathsep.join([str(ROOT), str(installed)])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}


@pytest.fixture(scope="module")
def python(installed, foreign_environment, tmp_path_factory):
    """Run python in an empty folder, with the package or, on request, without it; gives the finished process."""
    folder = tmp_path_factory.mktemp("work")

    def call(*arguments, package=True):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=folder,
            env=foreign_environment if package else {**foreign_environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call
