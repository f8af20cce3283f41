"""Import of the registered BU3DFE, for those who have it: an array, a template, landmarks and a list of identities.

The landmark file that goes with it counts from 1, and the paper's released code reads it as counting from 0
(docs/ledger.md); here it is found out from the face's symmetry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.imports.importing import import_plan
from bench3dmm.data.imports.landmarks import SUFFIXES as LANDMARK_SUFFIXES
from bench3dmm.data.imports.landmarks import read_landmarks
from bench3dmm.data.imports.plans import Options, make_plan
from bench3dmm.data.imports.published import BU3DFE
from bench3dmm.data.imports.sources import MeshArray, listed, open_array, reason
from bench3dmm.data.synthetic.counts import TABLE2
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.mesh.files import read_mesh
from bench3dmm.system.words import counted

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
    plan = make_plan("bu3dfe", meshes, samples, options, CARD, BU3DFE, {"identities": identities}, True)
    return import_plan(plan, replace=options.replace, progress=options.progress)


def read_identities(path: Path) -> pd.DataFrame:
    """One row a line: name, subject (``F0001``), expression (as in Table 2), frame 0, level in [0, 1], sex.

    Raises:
        DataError: naming the first line that is no identity, or that says one again.
    """
    rows = []
    met: dict[tuple[str, ...], int] = {}
    for number, line in _lines(path):
        found = IDENTITY.search(line)
        if not found:
            raise DataError(f"{path}, line {number}: {line[:40]!r} is no identity like F0001_AN01WH")
        subject, code, level = identity = tuple(part.upper() for part in found.groups())
        if met.setdefault(identity, number) != number:
            raise DataError(
                f"{path}, line {number}: {found.group()} stands in line {met[identity]} already; one of the two is "
                "not what its mesh shows: mend the list"
            )
        strength = 0.0 if code == "NE" else int(level) / LEVELS
        rows.append((found.group(), subject, EXPRESSIONS[code], 0, strength, subject[0]))
    if not rows:
        raise DataError(f"{path}: no identities")
    return pd.DataFrame(rows, columns=["name", "subject", "expression", "frame", "level", "sex"])


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


# --- finding the files ------------------------------------------------------------------------------------------


def _find_identities(root: Path) -> Path:
    def fault(path: Path) -> str | None:
        lines = _lines(path)
        odd = next((f"line {number} is {line[:40]!r}" for number, line in lines if not IDENTITY.search(line)), None)
        return odd if lines else "it is empty"

    wanted = "a text file with one identity like F0001_AN01WH a line"
    return _the_one(root, "--identities", wanted, (".txt", ".csv", ".lst"), fault)


def _find_array(root: Path, rows: int) -> Path:
    def fault(path: Path) -> str | None:
        shape = open_array(path).shape
        return None if len(shape) == 3 and shape[0] == rows and shape[2] == 3 else f"of shape {shape}"

    return _the_one(root, "--array", f"a .npy of shape ({rows}, V, 3), a row for each identity", (".npy",), fault)


def _find_template(root: Path, n_vertices: int) -> Path:
    def fault(path: Path) -> str | None:
        found = len(read_mesh(path)[0])
        return None if found == n_vertices else counted(found, "vertex")

    wanted = f"an OBJ or PLY file of {counted(n_vertices, 'vertex')}"
    return _the_one(root, "--template", wanted, (".obj", ".ply"), fault)


def _find_landmarks(root: Path, n_vertices: int, identities: Path) -> Path:
    def fault(path: Path) -> str | None:
        if path == identities:
            return "the identities"
        ids = read_landmarks(path)
        if not 1 < len(ids) <= min(MOST_LANDMARKS, n_vertices - 1):
            return counted(len(ids), "number")
        return f"it names vertex {ids.max()} of {n_vertices:,}" if ids.max() > n_vertices else None

    wanted = "a .txt, .json or .npy with a list of vertex ids (to go without: --without-landmarks)"
    return _the_one(root, "--landmarks", wanted, LANDMARK_SUFFIXES, fault)


def _the_one(
    root: Path, option: str, wanted: str, suffixes: tuple[str, ...], fault: Callable[[Path], str | None]
) -> Path:
    """The only file below the folder without a fault.

    Raises:
        DataError: where none or several are, naming them, what is wrong with them, and the option that tells.
    """
    faults = {path: _fault(fault, path) for path in listed(root, suffixes)}
    fitting = [path for path in faults if faults[path] is None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = _some([str(path.relative_to(root)) for path in fitting])
        raise DataError(f"{root}: {len(fitting)} files fit, where one is wanted: {names}; say which with {option} FILE")
    there = f"there is no {' or '.join(suffixes)} file at all"
    if faults:
        there = "there are " + _some([f"{path.relative_to(root)} ({why})" for path, why in faults.items()])
    raise DataError(f"{root}: wanted is {wanted}; {there}; name the file with {option} FILE")


def _fault(fault: Callable[[Path], str | None], path: Path) -> str | None:
    try:
        return fault(path)
    except (Bench3dmmError, OSError, MemoryError) as error:
        return reason(error, path)


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (" …" if len(names) > 6 else "")
