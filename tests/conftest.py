"""The fixtures that all tests share; what is imported by name stands in helpers/."""

from __future__ import annotations

import os
import sys

import pytest
from sphere_sets import sphere_dataset

from bench3dmm.cli import app as cli
from bench3dmm.mesh.hierarchy import build_hierarchy
from bench3dmm.system.storage import CACHE_VARIABLE
from bench3dmm.view import render

# Before torch is imported: on meshes this small more threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["foreign_package", "packages"]


def pytest_collection_modifyitems(items):
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="not run: torch sees no CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def scratch_cache(tmp_path_factory):
    """Nothing that tests build reaches the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def spheres():
    return sphere_dataset()


@pytest.fixture(scope="session")
def sphere_hierarchy(spheres, scratch_cache):
    return build_hierarchy(spheres.template)


@pytest.fixture
def software_renderer(monkeypatch):
    """Pictures of meshes that look the same on every machine."""
    monkeypatch.setattr(render, "renderer", lambda: "matplotlib")


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the entry point in this process; gives exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["bench3dmm", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        streams = capsys.readouterr()
        return int(stopped.value.code or 0), streams.out, streams.err

    return call
