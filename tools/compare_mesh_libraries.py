"""What other libraries make of what `bench3dmm.mesh` does itself: files, decimation and closest points.

    pip install trimesh rtree meshio libigl fast-simplification
    python tools/compare_mesh_libraries.py

Libraries that are not installed are said to be missing. Every measurement has a process and one thread of its own:
some of these libraries end the process on a file or a mesh that they cannot take.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from bench3dmm.data.synthetic.sizes import template_of
from bench3dmm.errors import MeshError
from bench3dmm.mesh.decimation import decimate
from bench3dmm.mesh.files import read_mesh, write_mesh
from bench3dmm.mesh.template import Template
from bench3dmm.mesh.upsampling import closest_on_triangles, project

Mesh = tuple[np.ndarray, np.ndarray]  # (V, 3) and (F, 3)
Polygons = Sequence[tuple[int, ...]]

COMA_FILES, COMA_VERTICES, COMA_TRIANGLES = 20466, 5023, 9976
SUFFIXES = (".ply", ".obj")
FACTOR, LEVELS = 4, 4  # of the decimation
NEAR = 1e-3  # mm: float32 on a face is 1e-5
ELSEWHERE = 1.0  # mm


# --- files -----------------------------------------------------------------------------------------------------


def read_trimesh(path: Path) -> Mesh:
    import trimesh

    mesh = trimesh.load_mesh(path, process=False, maintain_order=True)
    return mesh.vertices, mesh.faces


def write_trimesh(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    import trimesh

    trimesh.Trimesh(vertices, faces, process=False).export(path)


def read_meshio(path: Path) -> Mesh:
    import meshio

    mesh = meshio.read(path)
    return mesh.points, fans(row for block in mesh.cells for row in block.data)


def write_meshio(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    import meshio

    meshio.Mesh(vertices, [("triangle", faces)]).write(path)


def read_pyvista(path: Path) -> Mesh:
    import pyvista

    mesh = pyvista.read(path)
    if mesh.is_all_triangles:
        return np.asarray(mesh.points), mesh.regular_faces
    return np.asarray(mesh.points), fans(mesh.irregular_faces)


def fans(polygons: Iterable[np.ndarray]) -> np.ndarray:
    return np.array([(p[0], p[i], p[i + 1]) for p in map(list, polygons) for i in range(1, len(p) - 1)])


Reader = Callable[[Path], Mesh]
Writer = Callable[[Path, np.ndarray, np.ndarray], None]
FILES: dict[str, tuple[Reader, Writer | None]] = {
    "bench3dmm": (read_mesh, write_mesh),
    "trimesh": (read_trimesh, write_trimesh),
    "meshio": (read_meshio, write_meshio),
    "pyvista": (read_pyvista, None),
}

HEADER = (
    "ply\nformat {} 1.0\nelement vertex {}\nproperty {kind} x\nproperty {kind} y\nproperty {kind} z\n"
    "element face {}\nproperty list uchar int vertex_indices\nend_header\n"
)
EXACT = [(0.1234567890123456, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (9, 9, 9), (1, 0, 0), (2, 0.1, 1 / 3)]
"""Vertices with all digits of a float64; one lies in no face, and two are equal."""

POLYGONS = [(0, 1, 2, 3), (0, 5, 6), (0, 1, 2, 3, 6)]
TRIANGLES = [(0, 1, 2), (0, 2, 3), (0, 5, 6)]


def coma_like(folder: Path, count: int) -> None:
    """As COMA's files are: binary, float coordinates, triangles. And a tenth as many OBJ files of the same."""
    template = template_of("mh-seq")
    rng = np.random.default_rng(0)
    rows = np.empty(COMA_TRIANGLES, dtype=[("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, np.resize(template.faces, (COMA_TRIANGLES, 3))
    header = HEADER.format("binary_little_endian", COMA_VERTICES, COMA_TRIANGLES, kind="float").encode()
    for i in range(count):
        vertices = (template.vertices + rng.normal(0, 1, (COMA_VERTICES, 3))).astype("<f4")
        (folder / f"{i:05}.ply").write_bytes(header + vertices.tobytes() + rows.tobytes())
        if i % 10 == 0:
            write_mesh(folder / f"{i:05}.obj", vertices.astype(np.float64), rows["corners"])


def ply(kind: str, polygons: Polygons) -> bytes:
    """The small mesh as an ASCII or a binary PLY file, float64."""
    head = HEADER.format(kind, len(EXACT), len(polygons), kind="double").encode()
    if kind == "ascii":
        lines = [" ".join(map(repr, row)) for row in (*EXACT, *((len(p), *p) for p in polygons))]
        return head + ("\n".join(lines) + "\n").encode()
    corners = b"".join(np.uint8(len(p)).tobytes() + np.array(p, "<i4").tobytes() for p in polygons)
    return head + np.array(EXACT, "<f8").tobytes() + corners


def obj(polygons: Polygons) -> bytes:
    """The same as an OBJ file, with texture coordinates that differ between the faces of a vertex."""
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in EXACT] + ["vt 0 0", "vt 1 0", "vt 1 1"]
    lines += ["f " + " ".join(f"{c + 1}/{1 + (c + i) % 3}" for c in p) for i, p in enumerate(polygons)]
    return ("\n".join(lines) + "\n").encode()


def small_files() -> dict[str, tuple[str, bytes, Polygons | None]]:
    """Name, content, and the polygons to be read; None where the file is broken."""
    binary = "binary_little_endian"
    return {
        "float64 binary.ply": ("float64, order, all vertices", ply(binary, TRIANGLES), TRIANGLES),
        "float64 ascii.ply": ("float64, order, all vertices", ply("ascii", TRIANGLES), TRIANGLES),
        "float64.obj": ("float64, order, all vertices", obj(TRIANGLES), TRIANGLES),
        "polygons binary.ply": ("polygons", ply(binary, POLYGONS), POLYGONS),
        "polygons ascii.ply": ("polygons", ply("ascii", POLYGONS), POLYGONS),
        "polygons.obj": ("polygons", obj(POLYGONS), POLYGONS),
        "cut short.ply": ("broken files refused", ply(binary, TRIANGLES)[:-5], None),
        "corner out of range.ply": ("broken files refused", ply(binary, [(0, 1, 70)]), None),
        "corner out of range.obj": ("broken files refused", obj([(0, 1, 70)]), None),
        "no number.obj": ("broken files refused", obj(TRIANGLES).replace(b"v 9", b"v x"), None),
    }


def small_file(library: str, name: str) -> bool:
    """Whether a library reads a small file as it is, or refuses it where it is broken."""
    read, _ = FILES[library]
    _, content, polygons = small_files()[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            vertices, faces = read(path)
        except (Exception, SystemExit):
            return polygons is None
    if polygons is None:
        return len(vertices) == 0
    return np.array_equal(vertices, EXACT) and unordered(faces) == unordered(fans(map(np.array, polygons)))


def unordered(faces: np.ndarray) -> list[tuple[int, ...]]:
    """In whatever order, and from whichever corner."""
    return sorted(min((a, b, c), (b, c, a), (c, a, b)) for a, b, c in faces.tolist())


def round_trip(library: str, suffix: str) -> bool:
    """Whether float64 vertices come back from a file that the library wrote itself."""
    read, write = FILES[library]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mesh{suffix}"
        assert write is not None
        write(path, np.array(EXACT), np.array(TRIANGLES, dtype=np.int32))
        vertices, faces = read(path)
        return np.array_equal(vertices, EXACT) and np.array_equal(faces, TRIANGLES)


def reading(library: str, folder: str, suffix: str) -> float:
    """Seconds a file."""
    read = FILES[library][0]
    paths = sorted(Path(folder).glob(f"*{suffix}"))
    vertices, faces = read(paths[0])  # and what is imported first
    if vertices.shape != (COMA_VERTICES, 3) or faces.shape != (COMA_TRIANGLES, 3):
        raise MeshError(f"{library}: {vertices.shape} vertices, {faces.shape} faces")
    started = time.perf_counter()
    for path in paths:
        read(path)
    return (time.perf_counter() - started) / len(paths)


def compare_files(count: int, rounds: int) -> None:
    names: dict[str, list[str]] = {}
    for name, (what, _, _) in small_files().items():
        names.setdefault(what, []).append(name)
    readings = [(library, suffix) for library in FILES if version(library) for suffix in SUFFIXES]
    with tempfile.TemporaryDirectory() as folder:
        coma_like(Path(folder), count)
        turns = [[apart("reading", library, folder, suffix) for library, suffix in readings] for _ in range(rounds)]
    speeds = {one: best(results) for one, results in zip(readings, zip(*turns, strict=True), strict=True)}
    rows = []
    for library, (_, write) in FILES.items():
        if not version(library):
            rows.append([library, "not installed"])
            continue
        one, text = (speeds[library, suffix] for suffix in SUFFIXES)
        whole = f"{one * COMA_FILES:.0f} s" if isinstance(one, float) else ""
        kept = [counted(apart("small_file", library, name) for name in group) for group in names.values()]
        written = counted(apart("round_trip", library, suffix) for suffix in SUFFIXES) if write else ""
        rows.append([library, version(library), milliseconds(one), whole, milliseconds(text), *kept, written])
    print(f"Files of {COMA_VERTICES} vertices, {COMA_TRIANGLES} triangles: {count} PLY, {-(-count // 10)} OBJ\n")
    table(["", "", "PLY, a file", f"{COMA_FILES}", "OBJ, a file", *names, "writes float64"], rows)


# --- decimation ------------------------------------------------------------------------------------------------

Decimation = Callable[[np.ndarray, np.ndarray], Mesh]


def decimate_own(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    kept, coarse = decimate(vertices, faces, -(-len(vertices) // FACTOR))
    return vertices[kept], coarse


def decimate_vtk(method: str, **options: bool) -> Decimation:
    def run(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
        import pyvista

        mesh = pyvista.PolyData.from_regular_faces(vertices, faces)
        coarse = getattr(mesh, method)(1 - 1 / FACTOR, **options)
        return np.asarray(coarse.points), coarse.regular_faces

    return run


def decimate_igl(method: str) -> Decimation:
    def run(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
        import igl

        return getattr(igl, method)(vertices, faces.astype(np.int64), len(faces) // FACTOR)[:2]

    return run


def decimate_fast(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    import fast_simplification

    return fast_simplification.simplify(vertices, faces, target_reduction=1 - 1 / FACTOR)[:2]


DECIMATIONS: dict[str, tuple[str, Decimation]] = {
    "bench3dmm": ("bench3dmm", decimate_own),
    "VTK decimate_pro": ("pyvista", decimate_vtk("decimate_pro", preserve_topology=True)),
    "VTK quadric": ("pyvista", decimate_vtk("decimate")),
    "igl.qslim": ("libigl", decimate_igl("qslim")),
    "igl.decimate": ("libigl", decimate_igl("decimate")),
    "fast-simplification": ("fast-simplification", decimate_fast),
}


def decimation(name: str, mesh: str) -> list[str]:
    """Seconds, vertices, those that are vertices of the fine mesh, whether it is the same again, distance, fit."""
    template = template_of(mesh)
    run = DECIMATIONS[name][1]
    first = run(template.vertices.copy(), template.faces.copy())
    started = time.perf_counter()
    vertices, faces = run(template.vertices.copy(), template.faces.copy())
    seconds = time.perf_counter() - started
    same = np.array_equal(vertices, first[0]) and np.array_equal(faces, first[1])
    kept = (cKDTree(template.vertices).query(vertices)[0] < NEAR).sum()
    try:
        Template(vertices, faces).check()
        fit = "yes"
    except MeshError as error:
        fit = f"no:{str(error).split(':')[1].split(';')[0]}"
    distance = math.sqrt(squared_distances(template.vertices[::10], vertices, faces).mean())
    return [f"{seconds:.2f} s", f"{len(vertices)}", f"{kept}", "yes" if same else "no", f"{distance:.3f} mm", fit]


def squared_distances(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Of each point to the whole surface, triangle by triangle."""
    triangles = vertices[faces].astype(np.float64)
    squared = [closest_on_triangles(np.repeat(p[None], len(faces), axis=0), triangles)[1].min() for p in points]
    return np.array(squared)


def compare_decimations(mesh: str) -> None:
    n = template_of(mesh).n_vertices
    print(f"\nDecimation: the template of {mesh}, {n} vertices to {-(-n // FACTOR)}\n")
    header = ["time", "vertices", "of the fine mesh", "same again", "rms distance", "passes Template.check"]
    table(["", "", *header], [row("decimation", name, library, mesh) for name, (library, _) in DECIMATIONS.items()])


# --- closest points --------------------------------------------------------------------------------------------

Closest = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # points on a surface (vertices, faces)


def closest_igl(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    import igl

    return igl.point_mesh_squared_distance(points, vertices, faces.astype(np.int64))[2]


def closest_trimesh(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    import trimesh

    return trimesh.proximity.closest_point(trimesh.Trimesh(vertices, faces, process=False), points)[0]


def closest_vtk(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    import pyvista

    mesh = pyvista.PolyData.from_regular_faces(vertices, faces)
    return mesh.find_closest_cell(points, return_closest_point=True)[1]


CLOSEST: dict[str, tuple[str, Closest | None]] = {
    "bench3dmm, along the surface": ("bench3dmm", None),
    "igl.point_mesh_squared_distance": ("libigl", closest_igl),
    "trimesh.proximity": ("trimesh", closest_trimesh),
    "VTK find_closest_cell": ("pyvista", closest_vtk),
}


def closest(name: str, mesh: str) -> list[str]:
    """Seconds, how much nearer than `project`'s points at most, how many lie elsewhere at each level, and how far."""
    run = CLOSEST[name][1]
    seconds, nearer, elsewhere, farthest = [], [], [], []
    template = template_of(mesh)
    fine, faces = template.vertices, template.faces
    for _ in range(LEVELS):
        kept, coarse_faces = decimate(fine, faces, -(-len(fine) // FACTOR))
        coarse, dropped = fine[kept], np.setdiff1d(np.arange(len(fine)), kept)
        started = time.perf_counter()
        index, weight = project(fine, faces, kept, coarse_faces)
        own = points = (coarse[index] * weight[..., None]).sum(1)[dropped]
        if run is not None:
            run(fine[:2], coarse, coarse_faces)  # what is imported first
            started = time.perf_counter()
            points = run(fine[dropped], coarse, coarse_faces)
        seconds.append(time.perf_counter() - started)
        between = np.linalg.norm(points - own, axis=1)
        far = between > ELSEWHERE
        gain = np.linalg.norm(fine[dropped] - own, axis=1) - np.linalg.norm(fine[dropped] - points, axis=1)
        nearer.append(np.abs(gain[~far]).max())
        elsewhere.append(far.sum())
        farthest.append(between.max())
        fine, faces = coarse, coarse_faces
    counts = ", ".join(map(str, elsewhere))
    return [f"{sum(seconds):.3f} s", f"{max(nearer):.0e} mm", counts, f"{max(farthest):.1f} mm"]


def compare_closest(mesh: str) -> None:
    print(f"\nClosest points: dropped vertices on the decimated template of {mesh}, {LEVELS} times\n")
    header = ["time", "same distance but for", f"more than {ELSEWHERE:g} mm elsewhere", "at most"]
    table(["", "", *header], [row("closest", name, library, mesh) for name, (library, _) in CLOSEST.items()])


# --- processes and tables --------------------------------------------------------------------------------------

TASKS: dict[str, Callable[..., object]] = {
    task.__name__: task for task in (small_file, round_trip, reading, decimation, closest)
}


def apart(*task: str) -> object:
    """What a task gives in a process of its own, or how that ended."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--task", *task]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode < 0:
        return f"ends the process ({signal.Signals(-done.returncode).name})"
    if done.returncode:
        return f"fails ({done.stderr.strip().splitlines()[-1][:80]})"
    return json.loads(done.stdout.splitlines()[-1])


def row(task: str, name: str, library: str, mesh: str) -> list[str]:
    """A line of a table: library, version, and what the task gave."""
    found = "not installed" if not version(library) else apart(task, name, mesh)
    return [name, version(library), *(found if isinstance(found, list) else [str(found)])]


def best(results: Sequence[object]) -> object:
    """The least, or how it failed."""
    return min((one for one in results if isinstance(one, float)), default=results[0])


def version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "here" if library == "bench3dmm" else ""


def counted(results: Iterable[object]) -> str:
    """'2 of 3', and what ended the process."""
    every = list(results)
    ends = sorted({one for one in every if isinstance(one, str) and one.startswith("ends")})
    return ", ".join([f"{sum(one is True for one in every)} of {len(every)}", *ends])


def milliseconds(seconds: object) -> str:
    return f"{1e3 * seconds:.2f} ms" if isinstance(seconds, float) else str(seconds)


def table(header: list[str], rows: list[list[str]]) -> None:
    filled = [[*row, *[""] * (len(header) - len(row))] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    for row in filled:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--files", type=int, default=2000, help="how many PLY files of COMA's size are written and read"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of reading; the best counts")
    parser.add_argument("--mesh", default="mh-seq", help="template that is decimated: mh-seq, mh-scan or face-N")
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        name, *arguments = given.task
        result = TASKS[name](*arguments)
        print(json.dumps(bool(result) if isinstance(result, np.bool_) else result))
        return
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, one thread; Python {platform.python_version()}\n")
    compare_files(given.files, given.rounds)
    compare_decimations(given.mesh)
    compare_closest(given.mesh)


if __name__ == "__main__":
    main()
