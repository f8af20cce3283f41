"""Lists of landmarks, which count from zero or one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from import_trees import QUIET, STRAY, VERTICES, symmetric_ids, write_bu3dfe, write_coma

from bench3dmm.data.imports.bu3dfe import import_bu3dfe
from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.landmarks import read_landmarks
from bench3dmm.data.imports.plans import Options
from bench3dmm.errors import DataError


@pytest.mark.parametrize("suffix", [".txt", ".json", ".npy"])
def test_landmarks_count_from_zero_or_one(tmp_path, capsys, suffix):
    root, path, ids = write_coma(tmp_path / "raw", frames=1), tmp_path / f"ids{suffix}", symmetric_ids()

    def write(values):
        if suffix == ".npy":
            np.save(path, values)
        else:
            path.write_text(json.dumps(values.tolist()) if suffix == ".json" else "\n".join(map(str, values)))

    write(ids)
    assert import_coma(root, Options(landmarks=path, progress=False)).template.landmarks.tolist() == ids.tolist()
    write(ids + 1)
    options = Options(landmarks=path, one_based=True, replace=True, progress=False)
    assert import_coma(root, options).template.landmarks.tolist() == ids.tolist()
    with pytest.raises(
        DataError, match="other data"
    ):  # read as they stand, they are other vertices; but a hint is given
        import_coma(root, Options(landmarks=path))
    assert "see --one-based" in capsys.readouterr().err
    write(np.array([3, len(VERTICES)]))
    with pytest.raises(DataError, match=f"landmark ids \\[{len(VERTICES)}\\] out of 0 … .*--one-based"):
        import_coma(root, Options(landmarks=path, progress=False))
    write(np.array([3.5]))
    with pytest.raises(DataError, match=f"ids{suffix}: no list of landmarks"):
        import_coma(root, Options(landmarks=path, progress=False))


def test_landmarks_of_bu3dfe_are_asked_for_where_symmetry_cannot_tell(tmp_path):
    write_bu3dfe(tmp_path / "zero", one_based=False)
    assert import_bu3dfe(tmp_path / "zero", QUIET).template.landmarks.tolist() == symmetric_ids().tolist()
    np.save(tmp_path / "zero" / "template" / "landmarks.npy", np.arange(1, len(VERTICES)))
    with pytest.raises(DataError, match="--zero-based or --one-based"):
        import_bu3dfe(tmp_path / "zero", QUIET)
    options = Options(one_based=True, replace=True, progress=False)
    assert import_bu3dfe(tmp_path / "zero", options).template.landmarks.tolist() == list(range(len(VERTICES) - 1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [name for name in STRAY if name.endswith("json")])
def test_json_that_lists_no_landmarks(tmp_path, name):
    (tmp_path / name).write_text(STRAY[name])
    with pytest.raises(DataError, match=f"{name}: no list of landmarks"):
        read_landmarks(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "3 5\n\n7,\n5", "line 4: landmark 5 stands at line 1 already"),
        ("a.json", "[3, 5, 3]", "entry 3: landmark 3 stands at entry 1 already"),
    ],
)
def test_a_repeated_landmark_is_named(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}, {says}"):
        read_landmarks(tmp_path / name)
