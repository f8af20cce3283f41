"""Where meshes are read from: their unit, and links among their folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from import_trees import QUIET, SUBJECTS, faces_of, write_coma

from bench3dmm.data import load_dataset
from bench3dmm.data.cache import imported_dir
from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.plans import Options
from bench3dmm.data.imports.sources import RECOGNISED, UNITS, listed
from bench3dmm.errors import DataError, UnknownNameError


@pytest.mark.parametrize("unit", RECOGNISED)
def test_units_are_recognised(tmp_path, capsys, unit):
    import_coma(write_coma(tmp_path / "raw", frames=1, scale=1 / UNITS[unit]), Options())
    assert f"unit: {unit}" in capsys.readouterr().err
    np.testing.assert_allclose(load_dataset("coma").vertices[0], faces_of(1)[0], atol=1e-4)


def test_what_is_no_face_needs_a_unit(tmp_path):
    root = write_coma(tmp_path / "raw", frames=1, scale=0.01)
    with pytest.raises(DataError, match=r"measures 1\.4\d* .*no face.*--unit"):
        import_coma(root, QUIET)
    with pytest.raises(UnknownNameError, match="Did you mean 'mm'"):
        import_coma(root, Options(unit="dmm", progress=False))
    np.testing.assert_allclose(
        import_coma(root, Options(unit="dm", progress=False)).vertices[0], faces_of(1)[0], atol=1e-4
    )


def test_linked_folders_are_followed(tmp_path):
    root = write_coma(tmp_path / "raw")
    (root / SUBJECTS[1]).rename(tmp_path / "elsewhere")
    (root / SUBJECTS[1]).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "all").symlink_to(root, target_is_directory=True)  # loops, near and far
    (tmp_path / "elsewhere" / "back").symlink_to(root, target_is_directory=True)
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(import_coma(root, QUIET)) == 24
    files = json.loads((imported_dir() / "coma" / "manifest.json").read_text())["files"]
    assert files[12]["path"] == f"{SUBJECTS[1]}/bareteeth/bareteeth.9.ply"


def test_a_folder_met_twice_or_a_broken_link_is_named(tmp_path):
    root = write_coma(tmp_path / "raw", frames=1)
    twin = root / "twin"
    twin.symlink_to(root / SUBJECTS[0], target_is_directory=True)
    with pytest.raises(DataError, match=rf"{twin} and {root / SUBJECTS[0]} are the same folder"):
        listed(root, [".ply"])
    twin.unlink()
    twin.symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataError, match=rf"{twin}: a link to {tmp_path / 'unmounted'}, which is not there"):
        listed(root, [".ply"])
    twin.unlink()
    (root / ".hidden").symlink_to(tmp_path / "unmounted")
    assert len(listed(root, [".ply"])) == 6
