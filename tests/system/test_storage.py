"""Hashes of content, files that equal content makes equal, and what killed writers leave behind."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from safetensors.numpy import load, save

from bench3dmm.system.storage import LITTER, hash_named, sorted_header, write_atomically, write_text

ARRAYS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.arange(3), "empty": np.empty((0, 3))}
METADATA = {f"key {i}": "ä" * i for i in range(9)}


def test_equal_tensors_make_equal_files():
    contents = {sorted_header(save(ARRAYS, dict(sorted(METADATA.items(), reverse=bool(i % 2))))) for i in range(20)}
    (content,) = contents
    assert sorted_header(content) == content and len(content) % 8 == 0
    read = load(content)
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def test_a_hash_of_arrays_by_name_is_of_their_content_alone():
    assert hash_named(ARRAYS) == hash_named(dict(reversed(ARRAYS.items())))


@pytest.mark.parametrize(
    "changed",
    [
        {**ARRAYS, "a": np.array([0, 1, 3])},
        {**ARRAYS, "a": np.arange(3, dtype=np.int32)},
        {**ARRAYS, "b": ARRAYS["b"].reshape(3, 2)},
        {"c" if name == "a" else name: array for name, array in ARRAYS.items()},
        {name: array for name, array in ARRAYS.items() if name != "empty"},
        {"a": ARRAYS["b"], "b": ARRAYS["a"], "empty": ARRAYS["empty"]},
    ],
    ids=["value", "dtype", "shape", "name", "fewer", "swapped"],
)
def test_it_tells_arrays_apart(changed):
    assert hash_named(changed) != hash_named(ARRAYS)


def test_what_a_killed_writer_left_is_cleared_after_a_day(tmp_path):
    aside = []

    def look(file):
        file.write(b"x")
        aside.extend(path.name for path in tmp_path.iterdir())

    write_atomically(tmp_path / "a.json", look)
    assert len(aside) == 1 and LITTER.fullmatch(aside[0]), "what is litter is what is written under"
    old, young, other = tmp_path / ".b.npz.k2j4h6g8.tmp", tmp_path / ".c.npz.k2j4h6g8.tmp", tmp_path / "d.npz.tmp"
    for path in (old, young, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 3 * 24 * 3600,) * 2)
    write_text(tmp_path / "a.json", "y")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "a.json", other.name]
