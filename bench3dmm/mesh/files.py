"""OBJ and PLY files: positions and polygons only, in file order, nothing merged and nothing reordered.

Not trimesh or meshio, because a binary PLY file of COMA's size takes 0.4 ms here, 2.6 ms with trimesh 5.2.0 and 18 ms
with meshio 5.3.5 (9, 52 and 367 s for COMA's 20,466 files). Besides, trimesh misreads binary polygons, writes no
float64 and takes a corner that does not exist; meshio takes that too, and no OBJ file that has not as many texture
coordinates as vertices. For OBJ alone trimesh is twice as fast (43 ms here). `tools/compare_mesh_libraries.py` measures
it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench3dmm.errors import MeshError
from bench3dmm.system.storage import write_bytes, write_text

_PLY_TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2"},
    **{"ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4"},
    **{"float": "f4", "float32": "f4", "double": "f8", "float64": "f8"},
}
_PLY_ORDERS = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}


def read_mesh(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read an OBJ or PLY file: vertices (V, 3) float64 and triangles (F, 3) int32, in file order.

    Polygons are cut into a fan from their first corner. Texture coordinates, normals, colours, groups and
    materials are ignored.

    Raises:
        MeshError: naming the file and the line (or the row of a binary file) that cannot be read.
    """
    path = Path(path)
    readers = {".obj": _read_obj, ".ply": _read_ply}
    if path.suffix.lower() not in readers:
        raise MeshError(f"{path}: cannot read {path.suffix or 'a file without suffix'!r}; give an OBJ or a PLY file")
    if not path.is_file():
        raise MeshError(f"{path}: no such file")
    vertices, polygons = readers[path.suffix.lower()](path)
    if not len(vertices) or not len(polygons):
        raise MeshError(f"{path}: vertices: {len(vertices)}, faces: {len(polygons)}; a mesh needs both")
    return vertices, _triangles(polygons)


def write_mesh(path: str | Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write an OBJ or a binary little-endian PLY file; either gives the same float64 values back.

    Raises:
        MeshError: for another suffix.
    """
    path = Path(path)
    if path.suffix.lower() == ".obj":
        lines = itertools.chain(
            (f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()),
            (f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces.tolist()),
        )
        write_text(path, "\n".join(lines) + "\n")
    elif path.suffix.lower() == ".ply":
        header = (
            "ply\nformat binary_little_endian 1.0\n"
            f"element vertex {len(vertices)}\nproperty double x\nproperty double y\nproperty double z\n"
            f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
        )
        rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
        rows["count"], rows["corners"] = 3, faces
        body = header.encode() + vertices.astype("<f8").tobytes() + rows.tobytes()
        write_bytes(path, body)
    else:
        raise MeshError(f"{path}: cannot write {path.suffix!r}; give a name that ends in .obj or .ply")


def _triangles(polygons: np.ndarray | list[list[int]]) -> np.ndarray:
    if isinstance(polygons, np.ndarray) and polygons.shape[1] == 3:
        return polygons.astype(np.int32)
    fans = ((p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1))
    return np.array(list(fans), dtype=np.int32)


def _read_obj(path: Path) -> tuple[np.ndarray, list[list[int]]]:
    vertices: list[list[float]] = []
    polygons: list[list[int]] = []
    lines: list[int] = []
    pending = ""
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        text = pending + text.split("#", 1)[0].rstrip()
        if text.endswith("\\"):
            pending = text[:-1] + " "
            continue
        pending = ""
        words = text.split()
        if not words or words[0] not in ("v", "f"):
            continue
        try:
            if words[0] == "v":
                x, y, z = map(float, words[1:4])
                vertices.append([x, y, z])
                continue
            corners = [int(word.split("/", 1)[0]) for word in words[1:]]
        except ValueError:
            raise MeshError(f"{path}, line {number}: cannot read {text.strip()!r}") from None
        if len(corners) < 3:
            raise MeshError(f"{path}, line {number}: a face with {len(corners)} corners; it needs 3 or more")
        if 0 in corners or min(corners) < -len(vertices):
            bad = next(c for c in corners if c == 0 or c < -len(vertices))
            raise MeshError(f"{path}, line {number}: vertex index {bad}; indices count from 1, or from -1 back")
        polygons.append([c - 1 if c > 0 else len(vertices) + c for c in corners])
        lines.append(number)
    for number, polygon in zip(lines, polygons, strict=True):
        if max(polygon) >= len(vertices):
            raise MeshError(f"{path}, line {number}: corner {max(polygon) + 1}, but there are {len(vertices)} vertices")
    return np.array(vertices, dtype=np.float64).reshape(-1, 3), polygons


def _read_ply(path: Path) -> tuple[np.ndarray, np.ndarray | list[list[int]]]:
    data = path.read_bytes()
    order, elements, offset, line = _ply_header(path, data)
    polygons_name = _polygons_name(path, elements, len(data))
    if order is None:
        text = data[offset:].decode("ascii", errors="replace").splitlines()
        tables = _ply_ascii(path, text, elements, line)
    else:
        tables = _ply_binary(path, data, offset, elements, order)
    vertices = np.stack([np.asarray(tables["vertex"][axis], dtype=np.float64) for axis in "xyz"], axis=1)
    polygons = tables["face"][polygons_name]
    for row in _suspects(polygons, len(vertices)):
        polygon = polygons[row]
        if len(polygon) < 3:
            raise MeshError(f"{path}: face {row} has {len(polygon)} corners; it needs 3 or more")
        if min(polygon) < 0 or max(polygon) >= len(vertices):
            raise MeshError(f"{path}: face {row} names {list(map(int, polygon))}; there are {len(vertices)} vertices")
    return vertices, polygons


def _polygons_name(path: Path, elements: list, size: int) -> str:
    """The property that lists the corners; refuses a header that is no mesh's, or not of a file of ``size`` bytes."""
    scalars, lists = set(), set()
    for element, rows, properties in elements:
        if rows > size:
            raise MeshError(f"{path}: the file ends before {rows} rows of element {element}")
        scalars |= {(element, name) for name, _, count in properties if count is None}
        lists |= {(element, name) for name, kind, count in properties if count is not None and kind[0] != "f"}
    if not {("vertex", axis) for axis in "xyz"} <= scalars:
        raise MeshError(f"{path}: the PLY header has no element vertex with properties x, y, z")
    for name in ("vertex_indices", "vertex_index"):
        if ("face", name) in lists:
            return name
    raise MeshError(f"{path}: the PLY header has no element face with a list vertex_indices of whole numbers")


def _suspects(polygons: np.ndarray | list[list[int]], n_vertices: int) -> Iterable[int]:
    """Rows to look at one by one: of an array, as almost every file gives, only those that are wrong."""
    if not isinstance(polygons, np.ndarray):
        return range(len(polygons))
    wrong = ((polygons < 0) | (polygons >= n_vertices)).any(axis=1) | (polygons.shape[1] < 3)
    return np.flatnonzero(wrong).tolist()


def _ply_header(path: Path, data: bytes) -> tuple[str | None, list, int, int]:
    """Byte order (None: ascii), elements as (name, rows, properties), where the body starts, lines read."""
    if data[:3] != b"ply":
        raise MeshError(f"{path}, line 1: a PLY file starts with 'ply'")
    order: str | None = "missing"
    elements: list[tuple[str, int, list[tuple[str, str, str | None]]]] = []
    offset = 0
    for number in itertools.count(1):
        end = data.find(b"\n", offset)
        if end < 0:
            raise MeshError(f"{path}, line {number}: the PLY header has no end_header")
        words = data[offset:end].decode("ascii", errors="replace").split()
        offset = end + 1
        try:
            match words:
                case ["format", kind, _]:
                    order = _PLY_ORDERS[kind]
                case ["element", name, rows] if rows.isdecimal() and name not in (known for known, _, _ in elements):
                    elements.append((name, int(rows), []))
                case ["property", *_, name] if name in (known for known, _, _ in elements[-1][2]):
                    raise ValueError
                case ["property", "list", count, kind, name] if _PLY_TYPES[count][0] != "f":
                    elements[-1][2].append((name, _PLY_TYPES[kind], _PLY_TYPES[count]))
                case ["property", kind, name]:
                    elements[-1][2].append((name, _PLY_TYPES[kind], None))
                case ["end_header"]:
                    break
                case ["ply"] | ["comment", *_] | ["obj_info", *_] | []:
                    pass
                case _:
                    raise ValueError
        except (KeyError, ValueError, IndexError):
            raise MeshError(f"{path}, line {number}: cannot read {' '.join(words)!r} in a PLY header") from None
    if order == "missing":
        raise MeshError(f"{path}: the PLY header has no format line")
    return order, elements, offset, number


def _ply_ascii(path: Path, text: list[str], elements: list, line: int) -> dict[str, dict[str, list]]:
    rows = ((line + i, words) for i, words in enumerate((t.split() for t in text), start=1) if words)
    tables: dict[str, dict[str, list]] = {}
    for element, count, properties in elements:
        columns: dict[str, list] = {name: [] for name, _, _ in properties}
        for _ in range(count):
            number, words = next(rows, (line + len(text), None))
            if words is None:
                raise MeshError(f"{path}, line {number}: the file ends before {count} rows of element {element}")
            try:
                at = 0
                for name, kind, list_count in properties:
                    if list_count is None:
                        columns[name].append(float(words[at]))  # whole numbers too: they may be of any length
                        at += 1
                    else:
                        stop = at + 1 + int(words[at])
                        if stop > len(words):
                            raise ValueError
                        read = float if kind[0] == "f" else int
                        columns[name].append([read(word) for word in words[at + 1 : stop]])
                        at = stop
                if at != len(words):
                    raise ValueError
            except (ValueError, IndexError):
                raise MeshError(f"{path}, line {number}: cannot read {' '.join(words)!r} as {element}") from None
        tables[element] = columns
    return tables


def _ply_binary(path: Path, data: bytes, offset: int, elements: list, order: str) -> dict[str, dict]:
    tables: dict[str, dict] = {}
    for element, count, properties in elements:
        table = _ply_fixed_rows(data, offset, count, properties, order)
        if table is not None:
            tables[element] = {name: table[name] for name, _, _ in properties}
            offset += table.nbytes
            continue
        columns: dict[str, list] = {name: [] for name, _, _ in properties}
        for row in range(count):
            try:
                for name, kind, list_count in properties:
                    length = 1
                    if list_count is not None:
                        length = int(np.frombuffer(data, order + list_count, 1, offset)[0])
                        offset += np.dtype(list_count).itemsize
                        if length < 0:
                            raise ValueError
                    values = np.frombuffer(data, order + kind, length, offset).tolist() if length else []
                    offset += length * np.dtype(kind).itemsize
                    columns[name].append(values if list_count is not None else values[0])
            except ValueError:
                raise MeshError(f"{path}: the file ends within row {row} of {count} of element {element}") from None
        tables[element] = columns
    return tables


def _ply_fixed_rows(data: bytes, offset: int, count: int, properties: list, order: str) -> np.ndarray | None:
    """All rows at once where every list has the length it has in the first row; None where it has not."""
    fields: list = []
    try:
        for name, kind, list_count in properties:
            if list_count is not None:
                start = offset + np.dtype(fields).itemsize
                length = int(np.frombuffer(data, order + list_count, 1, start)[0])
                fields += [(f"#{name}", order + list_count), (name, order + kind, (length,))]
            else:
                fields.append((name, order + kind))
        table = np.frombuffer(data, np.dtype(fields), count, offset) if count else np.empty(0, np.dtype(fields))
    except ValueError:
        return None
    for name, _, list_count in properties:
        if list_count is not None and count and (table[f"#{name}"] != table[name].shape[1]).any():
            return None
    return table
