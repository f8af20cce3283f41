"""Landmark lists: vertex ids in a text, JSON or .npy file, counted from 0 or from 1."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from bench3dmm.data.imports.sources import open_array, reason
from bench3dmm.errors import DataError
from bench3dmm.mesh.template import Template

SUFFIXES = (".txt", ".csv", ".json", ".npy")
CLEAR = 0.5  # the more symmetric reading must have at most this share of the other's asymmetry


def read_landmarks(path: Path) -> np.ndarray:
    """(K,) int64, as they stand in the file.

    A text file holds integers between blanks, commas or new lines; a JSON file a list, or names and ids; a .npy file
    an array in which all but one axis has length one. No id may stand there twice.

    Raises:
        DataError: naming the file and what was read instead.
    """
    try:
        values = np.asarray(_READERS.get(path.suffix.lower(), _from_text)(path), dtype=np.float64)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError, DataError) as error:
        raise DataError(f"{path}: no list of landmarks ({reason(error, path)}); wanted are vertex ids") from None
    if values.ndim != 1 or not len(values) or not _are_ids(values).all():
        raise DataError(f"{path}: no list of landmarks; wanted are vertex ids, whole numbers from 0 or 1 up")
    ids = values.astype(np.int64)
    _refuse_repeated(ids, path)
    return ids


def _are_ids(values: np.ndarray) -> np.ndarray:
    return (values >= 0) & (values < 2**31) & (values == np.round(values))


def _refuse_repeated(ids: np.ndarray, path: Path) -> None:
    met: dict[int, int] = {}
    for position, i in enumerate(ids.tolist()):
        if met.setdefault(i, position) != position:
            places = f"{_place(path, position)}: landmark {i} stands at {_place(path, met[i])} already"
            raise DataError(f"{path}, {places}; remove one of the two")


def _place(path: Path, position: int) -> str:
    if path.suffix.lower() in _READERS:
        return f"entry {position + 1}"
    return f"line {_words(path)[position][0]}"


def _words(path: Path) -> list[tuple[int, str]]:
    """The words of a text file, with their lines."""
    lines = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1)
    return [(number, word) for number, line in lines for word in re.split(r"[\s,;]+", line) if word]


def _from_text(path: Path) -> list[int]:
    return [int(word) for _, word in _words(path)]


def _from_json(path: Path) -> list:
    value = json.loads(path.read_text(encoding="utf-8"))
    values = list(value.values()) if isinstance(value, dict) else value
    if isinstance(values, list) and any(isinstance(entry, bool | str) for entry in values):
        raise TypeError("not all entries are numbers")
    return values


def _from_npy(path: Path) -> np.ndarray:
    array = np.asarray(open_array(path))
    if array.dtype.kind not in "iuf" or array.size != max(array.shape, default=0):
        raise ValueError(f"{array.dtype} of shape {array.shape}")
    return array.reshape(-1)


_READERS = {".json": _from_json, ".npy": _from_npy}


def count_from_zero(
    ids: np.ndarray, template: Template, one_based: bool | None, path: Path, *, detect: bool = False
) -> tuple[np.ndarray, str]:
    """Ids (K,) int32 counted from 0, and in words how the file counts.

    Args:
        ids: as they stand in the file.
        one_based: whether they count from 1, if anybody says so.
        detect: if nobody does, find out: by an id 0 or V, else by symmetry. A face's landmarks mirror each other
            across its middle, and ids that are one off lie beside them. Without it they count from 0.

    Raises:
        DataError: for an id out of range, or where neither reading is clearly the more symmetric.
    """
    how = "as given"
    if one_based is None:
        one_based, how = _detect(ids, template, path) if detect else (False, _by_default(ids, template))
    first, n = int(one_based), template.n_vertices
    if bad := [int(i) for i in ids if not first <= i < n + first]:
        other = "; if they count from 1, give --one-based" if not first and max(bad) == n else ""
        raise DataError(f"{path}: landmark ids {bad[:10]} out of {first} … {n - 1 + first}{other}")
    return (ids - first).astype(np.int32), f"{len(ids)} vertex ids, counted from {first} in the file ({how})"


def _detect(ids: np.ndarray, template: Template, path: Path) -> tuple[bool, str]:
    if ids.min() == 0 or ids.max() >= template.n_vertices:
        return bool(ids.min()), f"there is an id {0 if ids.min() == 0 else ids.max()}"
    zero, one = asymmetry(template, ids), asymmetry(template, ids - 1)
    if min(zero, one) > CLEAR * max(zero, one):
        raise DataError(
            f"{path}: cannot tell whether ids count from 0 or 1 (left and right differ by {zero:.2f} or {one:.2f} mm); "
            "give --zero-based or --one-based (BU3DFE's released list counts from 1)"
        )
    return one < zero, f"left and right then differ by {min(zero, one):.2f} mm, else by {max(zero, one):.2f} mm"


def _by_default(ids: np.ndarray, template: Template) -> str:
    how = "nothing else is said"
    if ids.min() >= 1 and ids.max() < template.n_vertices:
        zero, one = asymmetry(template, ids), asymmetry(template, ids - 1)
        if one < CLEAR * zero:
            how += f", but counted from 1 left and right differ by {one:.2f} mm, not {zero:.2f}: see --one-based"
    return how


def asymmetry(template: Template, ids: np.ndarray) -> float:
    """Mean distance (mm) from the mirror image of each landmark to the nearest landmark."""
    middle = np.percentile(template.vertices[:, 0], [1, 99]).mean()
    points = template.vertices[ids] - (middle, 0, 0)
    distance, _ = cKDTree(points).query(points * (-1, 1, 1))
    return float(distance.mean())
