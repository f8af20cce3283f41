"""A folder of a user's registered meshes through an exported model: ``bench3dmm reconstruct``."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench3dmm.apply.trained import TrainedModel
from bench3dmm.data.imports.meshes import SUFFIXES
from bench3dmm.data.imports.sources import SAME_SIZE, UNITS, Expected, MeshFiles, extent, listed, unit_of
from bench3dmm.errors import DataError
from bench3dmm.mesh.files import write_mesh
from bench3dmm.system.storage import write_text

CHUNK = 256  # meshes held in memory
COLUMNS = ("mean_mm", "median_mm", "p95_mm", "max_mm")


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """What `reconstruct_folder` did.

    Attributes:
        files: n paths below the folder, in natural order.
        errors: (n, 4) mm: mean, median, 95th percentile and maximum over a mesh's vertices of the Euclidean distance.
        unit: of the meshes, read and written.
    """

    files: list[str]
    errors: np.ndarray
    unit: str


def reconstruct_folder(
    model: TrainedModel,
    folder: str | Path,
    output: str | Path,
    *,
    unit: str | None = None,
    codes: bool = False,
    progress: bool = True,
) -> Reconstructed:
    """Reconstruct every PLY and OBJ below a folder into files of the same names, formats and unit.

    Beside the meshes come ``errors.csv`` (file, and the columns of `COLUMNS`) and, with ``codes``, ``codes.csv`` (file,
    z1 … zd; float32, all digits). All meshes are checked before anything is written.

    Args:
        unit: one of `UNITS`; recognised by the first mesh's size if not given.

    Raises:
        UnknownNameError: no such unit.
        DataError: naming the first file that is not like the model's template, and why; or an output folder that
            holds files, or lies in the folder of the meshes.
    """
    folder, output = Path(folder), Path(output)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    meshes = MeshFiles(folder, listed(folder, SUFFIXES), remedy="nothing is written yet; mend or remove it")
    if not len(meshes):
        raise DataError(f"{folder}: no PLY or OBJ files")
    _check_output(folder, output)
    size = extent(meshes.load(0)[0])
    unit = unit_of(size, f"the first mesh, {meshes.paths[0]},", unit)
    template = model.template
    wanted = extent(template.vertices)
    if not wanted / SAME_SIZE <= size * UNITS[unit] <= wanted * SAME_SIZE:
        raise DataError(
            f"{meshes.paths[0]} measures {size:.4g} {unit} at its longest, the model's template {wanted:.4g} mm; name "
            f"the right unit: --unit {', '.join(UNITS)}"
        )
    expected = Expected(template.n_vertices, template.faces, size, of=f"the model's template ({template.name})")
    for row in _bar(len(meshes), "checking", progress):
        meshes.read(row, expected)

    files = [path.relative_to(folder).as_posix() for path in meshes.paths]
    scale = UNITS[unit]
    errors, encoded = np.empty((len(meshes), len(COLUMNS))), []
    rows = iter(_bar(len(meshes), "reconstructing", progress))
    for start in range(0, len(meshes), CHUNK):
        part = range(start, min(start + CHUNK, len(meshes)))
        given = np.stack([(meshes.read(row, expected) * scale).astype(np.float32) for row in part])
        made = model.reconstruct(given)
        if codes:
            encoded.append(model.encode(given))
        distance = np.linalg.norm(made - given, axis=2)
        errors[part] = np.stack(
            [distance.mean(1), np.median(distance, 1), np.quantile(distance, 0.95, axis=1), distance.max(1)], axis=1
        )
        for row, mesh in zip(part, made, strict=True):
            write_mesh(output / files[row], mesh.astype(np.float64) / scale, template.faces)
            next(rows)
    next(rows, None)  # closes the bar
    _write_csv(output / "errors.csv", COLUMNS, files, errors.round(6))
    if codes:
        names = [f"z{i + 1}" for i in range(model.latent)]
        _write_csv(output / "codes.csv", names, files, np.concatenate(encoded))
    return Reconstructed(files, errors, unit)


def _check_output(folder: Path, output: Path) -> None:
    source, target = folder.resolve(), output.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise DataError(f"{output}: the meshes are read from {folder}; write into a folder apart from it")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{output}: not an empty folder; name a new one with --output")


def _bar(count: int, verb: str, progress: bool) -> Iterator[int]:
    from tqdm import tqdm

    shown = progress and sys.stderr.isatty()
    return tqdm(range(count), desc=verb, unit="mesh", disable=not shown, delay=0.5)


def _write_csv(path: Path, columns: Any, files: list[str], values: np.ndarray) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *columns])
    writer.writerows([file, *map(str, row)] for file, row in zip(files, values, strict=True))
    write_text(path, text.getvalue())
