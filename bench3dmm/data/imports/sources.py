"""Where imported meshes come from: one file a mesh, or one array. Each mesh is checked as it is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench3dmm.data.imports.published import Published
from bench3dmm.data.splits import natural_key
from bench3dmm.errors import Bench3dmmError, DataError, UnknownNameError
from bench3dmm.mesh.files import read_mesh
from bench3dmm.system.words import counted

UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "dm": 100.0, "inch": 25.4}
"""Millimetres in each; the first three are recognised, the others have to be named."""
RECOGNISED = ("mm", "cm", "m")
FACE_MM = (80.0, 350.0)  # a face is 100–300 mm at its longest, with a margin for crops and for heads with a neck
SAME_SIZE = 3.0  # a mesh this many times larger or smaller than the first is not in the same unit
FIRST = "the first mesh"
REMEDY = "mend or remove it, then run the same command again: it goes on from there"


# --- units ------------------------------------------------------------------------------------------------------


def extent(vertices: np.ndarray) -> float:
    """Longest side of the box around the middle 98 % of the coordinates of (V, 3): a stray vertex does not count."""
    low, high = np.percentile(vertices, [1, 99], axis=0)
    return float((high - low).max())


def unit_of(size: float, what: str, given: str | None = None) -> str:
    """The unit in which a face measures ``size`` (see `extent`), or the one given.

    Raises:
        UnknownNameError: for a given unit that is none of `UNITS`.
        DataError: where the size is a face's in no unit.
    """
    if given is not None and given not in UNITS:
        raise UnknownNameError("unit", given, UNITS)
    if size <= 0:
        raise DataError(f"{what} has all its vertices in one place; mend or remove it")
    if given is not None:
        return given
    for unit in RECOGNISED:
        if FACE_MM[0] <= size * UNITS[unit] <= FACE_MM[1]:
            return unit
    raise DataError(
        f"{what} measures {size:.4g} at its longest, which is no face (100–300 mm) in metres, centimetres or "
        f"millimetres; if it is one, name its unit: --unit {', '.join(UNITS)}"
    )


# --- files and rows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Expected:
    """What every mesh must have: vertices, connectivity (None: nothing to compare), about the first one's size.

    ``of`` is what it is compared with, in messages; ``published`` what the set should be.
    """

    n_vertices: int
    faces: np.ndarray | None
    extent: float
    of: str = "the template"
    published: Published | None = None

    def proved_odd(self, n_vertices: int) -> Published | None:
        """What the set should be, where a mesh of as many vertices shows that the first is the wrong one."""
        published = self.published
        if self.of == FIRST and published and n_vertices == published.vertices != self.n_vertices:
            return published
        return None


class Source(Protocol):
    """Meshes in the order of the dataset's rows."""

    @property
    def root(self) -> Path:
        """The folder that the manifest's paths are relative to."""

    def __len__(self) -> int: ...

    def where(self, row: int) -> str:
        """What to call a row in a message, e.g. ``file 3 of 20,466: DIR/a.ply``."""

    def load(self, row: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Vertices (V, 3) float64 in the source's unit, finite, and faces if it has them; raises DataError."""

    def read(self, row: int, expected: Expected) -> np.ndarray:
        """The vertices; raises DataError for a mesh that is not as expected."""

    def fingerprint(self, row: int) -> dict[str, Any]:
        """What identifies the content of a row, as JSON."""

    def manifest(self, fingerprints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The files and the rows they became, given the fingerprints of all rows."""


@dataclass(frozen=True, eq=False)
class MeshFiles:
    """One PLY or OBJ file a mesh; ``remedy`` ends the messages about one that cannot be used."""

    root: Path
    paths: list[Path]
    remedy: str = REMEDY

    def __len__(self) -> int:
        return len(self.paths)

    def where(self, row: int) -> str:
        return f"file {row + 1:,} of {len(self):,}: {self.paths[row]}"

    def load(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            vertices, faces = read_mesh(self.paths[row])
        except (Bench3dmmError, OSError, MemoryError) as error:
            raise DataError(f"{self.where(row)}: {reason(error, self.paths[row])}; {self.remedy}") from None
        self._refuse(row, not_finite(vertices))
        return vertices, faces

    def read(self, row: int, expected: Expected) -> np.ndarray:
        vertices, faces = self.load(row)
        if published := expected.proved_odd(len(vertices)):
            beside = f"{published.name} has {len(vertices):,}, and so has file {row + 1:,}"
            self._refuse(0, f"{counted(expected.n_vertices, 'vertex')}; {beside}")
        fault = other_size(vertices, expected)
        if not fault and expected.faces is not None:
            fault = other_faces(faces, expected.faces, expected.of)
        self._refuse(row, fault)
        return vertices

    def fingerprint(self, row: int) -> dict[str, Any]:
        try:
            return file_record(self.paths[row], self.root)
        except OSError as error:
            raise DataError(f"{self.where(row)}: {error.strerror}; {self.remedy}") from None

    def manifest(self, fingerprints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**fingerprint, "row": row} for row, fingerprint in enumerate(fingerprints)]

    def _refuse(self, row: int, fault: str | None) -> None:
        if fault:
            raise DataError(f"{self.where(row)}: {fault}; {self.remedy}")


@dataclass(frozen=True, eq=False)
class MeshArray:
    """An array (N, V, 3), memory-mapped, and what to call its rows."""

    root: Path
    path: Path
    array: np.ndarray
    names: list[str]

    @classmethod
    def open(cls, root: Path, path: Path, names: list[str]) -> MeshArray:
        """Raises DataError for another shape, another kind of content, or another number of rows than names."""
        array = open_array(path)
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype.kind != "f":
            raise DataError(f"{path}: {array.dtype} of shape {array.shape}; wanted are floats of shape (N, V, 3)")
        if len(array) != len(names):
            raise DataError(
                f"{path}: {counted(len(array), 'mesh')}, but {counted(len(names), 'row')} in the list that names them"
            )
        return cls(root, path, array, names)

    def __len__(self) -> int:
        return len(self.array)

    def where(self, row: int) -> str:
        return f"mesh {row + 1:,} of {len(self):,} ({self.names[row]}) in {self.path}"

    def load(self, row: int) -> tuple[np.ndarray, None]:
        vertices = np.asarray(self.array[row], dtype=np.float64)
        self._refuse(row, not_finite(vertices))
        return vertices, None

    def read(self, row: int, expected: Expected) -> np.ndarray:
        vertices, _ = self.load(row)
        self._refuse(row, other_size(vertices, expected))
        return vertices

    def fingerprint(self, row: int) -> dict[str, Any]:
        return {"sha256": hashlib.sha256(np.ascontiguousarray(self.array[row]).data).hexdigest()}

    def manifest(self, fingerprints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**file_record(self.path, self.root), "rows": [0, len(self) - 1]}]

    def _refuse(self, row: int, fault: str | None) -> None:
        if fault:
            raise DataError(f"{self.where(row)}: {fault}; {REMEDY}")


def not_finite(vertices: np.ndarray) -> str | None:
    bad = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
    if not len(bad):
        return None
    return f"NaN or infinite coordinates at {counted(len(bad), 'vertex')}, first at vertex {bad[0]}"


def other_size(vertices: np.ndarray, expected: Expected) -> str | None:
    if len(vertices) != expected.n_vertices:
        published = expected.published
        odd = published if published and published.vertices != expected.n_vertices else None
        beside = f" ({odd.name} has {odd.vertices:,})" if odd else ""
        return f"{counted(len(vertices), 'vertex')}, {expected.of} has {expected.n_vertices:,}{beside}"
    size = extent(vertices)
    if not expected.extent / SAME_SIZE <= size <= expected.extent * SAME_SIZE:
        return f"it measures {size:.4g}, the first mesh {expected.extent:.4g}: not in the same unit, or no face"
    return None


def other_faces(faces: np.ndarray, wanted: np.ndarray, of: str = "the template") -> str | None:
    """Faces may come in another order and start at another corner; their corners and orientation must agree."""
    if np.array_equal(faces, wanted):
        return None
    if len(faces) != len(wanted):
        return f"{counted(len(faces), 'face')}, {of} has {len(wanted):,}"
    if np.array_equal(_canonical(faces), _canonical(wanted)):
        return None
    first = int(np.flatnonzero((faces != wanted).any(axis=1))[0])
    return f"other faces than {of}: face {first} is {faces[first].tolist()}, not {wanted[first].tolist()}"


def _canonical(faces: np.ndarray) -> np.ndarray:
    start = faces.argmin(axis=1)[:, None]
    turned = np.take_along_axis(faces, (start + np.arange(3)) % 3, axis=1)
    return turned[np.lexsort(turned.T[::-1])]


def open_array(path: Path) -> np.ndarray:
    """A memory-mapped .npy. Raises DataError where it cannot be read, is an archive or holds Python objects."""
    try:
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise ValueError("it is an .npz archive; write the array that is meant with numpy.save")
        return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # whatever a damaged header makes Python's tokenizer or NumPy raise
        raise DataError(f"{path}: no readable .npy array ({error})") from None


def reason(error: BaseException, path: Path) -> str:
    """An error's message without the path that it begins with."""
    return str(error).removeprefix(str(path)).lstrip(",: ") or type(error).__name__


def file_record(path: Path, root: Path) -> dict[str, Any]:
    """Path relative to the source (or whole, outside of it), size in bytes, sha256 of the content."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        size = file.tell()
    return {"path": _shown(path, root).as_posix(), "size": size, "sha256": digest.hexdigest()}


def _shown(path: Path, root: Path) -> Path:
    """As it is called below the root, where links may lead outside; else by what the links mean."""
    if ".." not in path.parts and path.is_relative_to(root):
        return path.relative_to(root)
    path, root = path.resolve(), root.resolve()
    return path.relative_to(root) if path.is_relative_to(root) else path


def listed(root: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files below a folder with these suffixes, in natural order, without hidden ones (macOS leaves ``._a.ply``).

    Links are followed, but for those back to a folder that they are in.

    Raises:
        DataError: where the folder is none, a folder below it cannot be read or is there twice, or a link is broken.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the one that holds the data with --source")
    wanted = {suffix.lower() for suffix in suffixes}
    found = [path for path in _files_below(root) if path.suffix.lower() in wanted and path.is_file()]
    return sorted(found, key=lambda path: natural_path(path.relative_to(root)))


def _files_below(root: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: {error.strerror}; make it readable or remove it")

    found: list[Path] = []
    folders = {root.resolve(): root}
    for name, below, files in os.walk(root, onerror=refuse, followlinks=True):
        folder = Path(name)
        inside = [folder / entry for entry in sorted(below) if not entry.startswith(".")]
        below[:] = [path.name for path in inside if _is_new(path, folders)]
        found += [folder / entry for entry in files if not entry.startswith(".")]
    if broken := [path for path in found if path.is_symlink() and not path.exists()]:
        raise DataError(f"{broken[0]}: a link to {broken[0].readlink()}, which is not there; mend or remove it")
    return found


def _is_new(path: Path, folders: dict[Path, Path]) -> bool:
    """Add a folder to those met so far, by what they are; False for a link to one that it lies in."""
    target = path.resolve()
    met = folders.setdefault(target, path)
    if met in path.parents or path.parent.resolve().is_relative_to(target):
        return False
    if met != path:
        raise DataError(f"{path} and {met} are the same folder, by a link; remove one of the two")
    return True


def natural_path(path: Path) -> tuple[list, tuple[str, ...]]:
    """Sort key: each part of a path in natural order, then as text, so that no order depends on the file system."""
    return [natural_key(part) for part in path.parts], path.parts
