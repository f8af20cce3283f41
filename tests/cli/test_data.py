"""The command ``data import``: what it asks for."""

from __future__ import annotations

import pytest
from import_trees import QUIET, VERTICES, write_ply

from bench3dmm.data import recipe_sha256
from bench3dmm.data.imports.meshes import import_meshes
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.system.storage import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def test_what_is_not_imported_says_how(command, tmp_path):
    code, _, err = command("run", "--dataset", "coma", "--model", "pca", "--results-dir", tmp_path)
    assert code == 1
    assert "bench3dmm data import coma --source DIR" in err
    with pytest.raises(DataError, match="not imported"):
        recipe_sha256("bu3dfe")
    code, _, err = command("data", "info", "comma")
    assert code == 2


def test_wrong_usage(command, tmp_path):
    for arguments, says in (
        (["coma"], "--source"),
        (["meshes", "--source", tmp_path], "--name"),
        (["meshes", "--name", "x", "--source", tmp_path, "--sample", "t.csv"], "--samples"),
        (["comma"], "comma"),
    ):
        code, _, err = command("data", "import", *arguments)
        assert code == 2
        assert says in err
    for arguments, says in (
        (["meshes", "--name", "x"], "--source DIR"),
        (["meshes", "--name", "x", "--source", tmp_path], "no PLY or OBJ files"),
        (["coma", "--source", tmp_path], "no <subject>/<expression>/*.ply"),
    ):
        code, _, err = command("data", "import", *arguments)
        assert code == 1
        assert says in err
    write_ply(tmp_path / "flat.ply", VERTICES)
    with pytest.raises(Bench3dmmError, match=r"flat\.ply: not in <subject>/<expression>/.*--samples CSV"):
        import_meshes("x", tmp_path, QUIET)
