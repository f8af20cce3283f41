"""Whose code a function or class is."""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from bench3dmm.models.pca import PCA
from bench3dmm.system import plugins
from bench3dmm.system.origin import _origin, origin
from bench3dmm.tasks.reconstruction import Reconstruction


@pytest.fixture(autouse=True)
def asked_anew():
    _origin.cache_clear()
    yield
    _origin.cache_clear()


@pytest.mark.parametrize("thing", [origin, PCA, PCA.encode, Reconstruction])
def test_the_project_s_own_code_has_no_origin(thing):
    assert origin(thing) is None


def test_an_installed_package_is_named_with_its_version_and_the_source_of_the_module():
    module = np.polynomial.polynomial
    assert origin(module.polyfit) == {
        "package": "numpy",
        "version": metadata.version("numpy"),
        "module": "numpy.polynomial.polynomial",
        "source_sha256": hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest(),
    }


def test_what_has_no_source_and_no_package_says_so():
    nothing = {"package": None, "version": None, "source_sha256": None}
    assert origin(len) == {**nothing, "module": "builtins"}


def test_what_names_no_module_is_its_type_s():
    partial = functools.partial(len)
    assert not hasattr(partial, "__module__") or partial.__module__ == "functools"
    assert origin(partial)["module"] == "functools"


def test_code_of_no_package_has_its_file_alone(tmp_path, monkeypatch):
    (tmp_path / "stray_origin.py").write_text("def build(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import stray_origin

    assert origin(stray_origin.build) == {
        "package": None,
        "version": None,
        "module": "stray_origin",
        "source_sha256": hashlib.sha256(b"def build(): ...\n").hexdigest(),
    }


def test_a_package_that_lies_elsewhere_is_found_by_what_it_declares(tmp_path, monkeypatch):
    """As one that is installed in place, whose files are not where its metadata are."""
    (tmp_path / "placed_origin.py").write_text("def build(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import placed_origin

    point = metadata.EntryPoint("placed", "placed_origin:build", plugins.MODELS)
    point = point._for(metadata.distribution("scipy"))
    monkeypatch.setattr(plugins, "declared", lambda group: [point] if group == plugins.MODELS else [])
    found = origin(placed_origin.build)
    assert (found["package"], found["version"]) == ("scipy", metadata.version("scipy"))


def test_an_answer_is_remembered_and_nobody_s_to_change(tmp_path, monkeypatch):
    source = tmp_path / "kept_origin.py"
    source.write_text("def build(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import kept_origin

    first = origin(kept_origin.build)
    source.write_text("def build(): return 1\n")
    assert origin(kept_origin.build) == first
    origin(kept_origin.build)["package"] = "somebody else's"
    assert origin(kept_origin.build) == first
