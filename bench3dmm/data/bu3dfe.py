"""Import of the registered BU3DFE, for those who have it: an array, a template, landmarks and a list of identities.

The landmark file that goes with it counts from 1, and the paper's released code reads it as counting from 0
(docs/ledger.md); here it is found out from the face's symmetry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.importing import import_plan
from bench3dmm.data.landmarks import SUFFIXES as LANDMARK_SUFFIXES
from bench3dmm.data.landmarks import read_landmarks
from bench3dmm.data.paper_counts import TABLE2
from bench3dmm.data.plans import Options, make_plan
from bench3dmm.data.sources import MeshArray, listed, open_array
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.mesh.files import read_mesh

CARD = {
    "source": "BU-3DFE (Yin et al., FG 2006), registered by the paper's authors, imported from files of the user's own",
    "license": "as agreed with Binghamton University; not to be passed on",
}
EXPRESSIONS = dict(zip(("NE", "AN", "DI", "FE", "HA", "SA", "SU"), TABLE2, strict=True))
LEVELS = 4
MOST_LANDMARKS = 1000
IDENTITY = re.compile(r"([FM]\d{4})_?(AN|DI|FE|HA|NE|SA|SU)(0[0-4])(?![0-9])", re.IGNORECASE)


def import_bu3dfe(
    source: str | Path,
    options: Options | None = None,
    *,
    array: Path | None = None,
    identities: Path | None = None,
    without_landmarks: bool = False,
) -> Dataset:
    """Import the registered BU3DFE as the dataset ``bu3dfe``; rows keep the array's order.

    Args:
        source: folder with the files, each found by what it is: a list of N identities like ``F0001_AN01WH``, an array
            (N, V, 3), a PLY or OBJ of V vertices, a list of vertex ids.
        array, identities: instead of looking for them; so can be ``options.template`` and ``options.landmarks``.
        without_landmarks: import without any; the weighted loss then refuses.

    Raises:
        UnknownNameError, DataError, MeshError: naming the file, and what to do.
    """
    options = options or Options()
    root = Path(source)
    identities = identities or _find_identities(root)
    samples = read_identities(identities)
    array = array or _find_array(root, len(samples))
    meshes = MeshArray.open(root, array, samples.pop("name").tolist())
    n_vertices = meshes.array.shape[1]
    template = options.template or _find_template(root, n_vertices)
    landmarks = options.landmarks
    if landmarks is None and not without_landmarks:
        landmarks = _find_landmarks(root, n_vertices, identities)
    options = replace(options, template=template, landmarks=landmarks)
    plan = make_plan("bu3dfe", meshes, samples, options, CARD, ("Table 2", TABLE2), {"identities": identities}, True)
    return import_plan(plan, replace=options.replace, progress=options.progress)


def read_identities(path: Path) -> pd.DataFrame:
    """One row a line: name, subject (``F0001``), expression (as in Table 2), frame 0, level in [0, 1], sex.

    Raises:
        DataError: naming the first line that is no identity.
    """
    lines = _lines(path)
    rows = []
    for number, line in enumerate(lines, start=1):
        found = IDENTITY.search(line)
        if not found:
            raise DataError(f"{path}, line {number}: {line[:40]!r} is no identity like F0001_AN01WH")
        subject, code, level = (part.upper() for part in found.groups())
        strength = 0.0 if code == "NE" else int(level) / LEVELS
        rows.append((found.group(), subject, EXPRESSIONS[code], 0, strength, subject[0]))
    if not rows:
        raise DataError(f"{path}: no identities")
    return pd.DataFrame(rows, columns=["name", "subject", "expression", "frame", "level", "sex"])


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


# --- finding the files ------------------------------------------------------------------------------------------


def _find_identities(root: Path) -> Path:
    def fits(path: Path) -> bool:
        return all(IDENTITY.search(line) for line in _lines(path)) and bool(_lines(path))

    wanted = "a text file with one identity like F0001_AN01WH a line"
    return _the_one(root, "--identities", wanted, (".txt", ".csv", ".lst"), fits)


def _find_array(root: Path, rows: int) -> Path:
    def fits(path: Path) -> bool:
        shape = open_array(path).shape
        return len(shape) == 3 and shape[0] == rows and shape[2] == 3

    return _the_one(root, "--array", f"a .npy of shape ({rows}, V, 3), a row for each identity", (".npy",), fits)


def _find_template(root: Path, n_vertices: int) -> Path:
    def fits(path: Path) -> bool:
        return len(read_mesh(path)[0]) == n_vertices

    return _the_one(root, "--template", f"an OBJ or PLY file of {n_vertices:,} vertices", (".obj", ".ply"), fits)


def _find_landmarks(root: Path, n_vertices: int, identities: Path) -> Path:
    def fits(path: Path) -> bool:
        ids = read_landmarks(path)
        few = len(ids) <= min(MOST_LANDMARKS, n_vertices - 1)
        return few and len(np.unique(ids)) > 1 and ids.max() <= n_vertices and path != identities

    wanted = "a .txt, .json or .npy with a list of vertex ids (to go without: --without-landmarks)"
    return _the_one(root, "--landmarks", wanted, LANDMARK_SUFFIXES, fits)


def _the_one(root: Path, option: str, wanted: str, suffixes: tuple[str, ...], fits: Callable[[Path], bool]) -> Path:
    """The only file below the folder that fits.

    Raises:
        DataError: where none or several do, naming them and the option that tells.
    """
    candidates = listed(root, suffixes)
    fitting = [path for path in candidates if _holds(fits, path)]
    if len(fitting) == 1:
        return fitting[0]
    shown = fitting or candidates
    names = ", ".join(str(path.relative_to(root)) for path in shown[:6]) + (" …" if len(shown) > 6 else "")
    if fitting:
        raise DataError(f"{root}: {len(fitting)} files fit, where one is wanted: {names}; say which with {option} FILE")
    there = f"there are {names}" if candidates else f"there is no {' or '.join(suffixes)} file at all"
    raise DataError(f"{root}: wanted is {wanted}; {there}; name the file with {option} FILE")


def _holds(fits: Callable[[Path], bool], path: Path) -> bool:
    try:
        return fits(path)
    except Bench3dmmError:
        return False
