"""Packages of somebody else's, as an installer would leave them: modules and what they declare, in a folder."""

from __future__ import annotations

import sys

import pytest

from bench3dmm.data import registry as data
from bench3dmm.models import model_names
from bench3dmm.models import registry as models
from bench3dmm.tasks import registry as tasks
from bench3dmm.tasks.registry import task_names


def declares(kind, **names):
    """The entry points of a group, as the metadata say them: ``declares("models", mine="my_module:build")``."""
    return f"[bench3dmm.{kind}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())


def make_package(folder, name, entry_points="", version="0.1", **sources):
    """Write a package with the text of each of its modules; returns the folder that is to be on the path."""
    site = folder / f"site-{name}"
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    for module, text in sources.items():
        (site / f"{module}.py").write_text(text)
    return site


def forget_modules(folder):
    """Those imported from below a folder, so that another test can have modules of the same names."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes an installed package of given modules and entry points, seen by this process until the test ends."""
    model_names(), task_names()  # the project's own are there before, and after
    for module, registered in ((models, "_REGISTRY"), (tasks, "_REGISTRY"), (data, "_registered")):
        monkeypatch.setattr(module, registered, dict(getattr(module, registered)))

    def make(name, entry_points="", **sources):
        monkeypatch.syspath_prepend(str(make_package(tmp_path, name, entry_points, **sources)))

    yield make
    forget_modules(tmp_path)
