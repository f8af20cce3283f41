"""Import of anyone's registered meshes: PLY or OBJ files in folders, or one array, with or without a sample table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.imports.importing import import_plan
from bench3dmm.data.imports.plans import Options, check_name, make_plan
from bench3dmm.data.imports.sources import MeshArray, MeshFiles, Source, listed
from bench3dmm.errors import DataError, UnknownNameError

CARD = {"source": "imported from files of the user's own", "license": "the user's to know"}
COLUMNS = ("file", "subject", "expression", "level", "frame")
SUFFIXES = (".ply", ".obj")


def import_meshes(
    name: str,
    source: str | Path | None = None,
    options: Options | None = None,
    *,
    array: str | Path | None = None,
    samples: str | Path | None = None,
) -> Dataset:
    """Import registered meshes under a name of one's own.

    Args:
        name: for `load_dataset`.
        source: folder of PLY or OBJ files as ``<subject>/<expression>/<file>``, or anyhow if there is a table.
        array: instead of a folder, a .npy of shape (N, V, 3); needs ``options.template`` and ``samples``.
        samples: CSV with the columns subject, expression and, for a folder, file (below it); maybe level (0 to 1) and
            frame. Its rows are the dataset's, in their order. Without it rows are in natural order of the files.

    Raises:
        UnknownNameError, DataError, MeshError: saying which file is not as it should be, and what to do.
    """
    options = options or Options()
    check_name(name)
    table = None if samples is None else read_table(Path(samples))
    meshes: Source
    if array is not None and source is None:
        meshes, table = _from_array(Path(array), table)
    elif source is None or array is not None:
        raise DataError("give a folder of meshes (--source DIR) or an array (--array FILE), one of the two")
    elif table is not None:
        meshes = _from_table(Path(source), table)
    else:
        meshes, table = _from_folders(Path(source), options.template)
    extras = {} if samples is None else {"samples": Path(samples)}
    plan = make_plan(name, meshes, table.drop(columns="file", errors="ignore"), options, CARD, extras=extras)
    return import_plan(plan, replace=options.replace, progress=options.progress)


def _from_array(array: Path, table: pd.DataFrame | None) -> tuple[MeshArray, pd.DataFrame]:
    if table is None:
        raise DataError(
            f"{array}: an array has no names; give --samples CSV with the columns subject, expression and maybe "
            "level, frame, one row a mesh, and the connectivity as a PLY or OBJ file with --template FILE"
        )
    names = (table["subject"] + " " + table["expression"]).tolist()
    return MeshArray.open(array.parent, array, names), table


def _from_table(root: Path, table: pd.DataFrame) -> MeshFiles:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the one that holds the meshes with --source")
    if "file" not in table:
        raise DataError(f"the table has no column 'file'; it has {', '.join(table.columns)}")
    paths = [root / file for file in table["file"]]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(f"{missing[0]}: no such file, but the table lists it ({len(missing):,} are missing)")
    return MeshFiles(root, paths)


def _from_folders(root: Path, template: Path | None) -> tuple[MeshFiles, pd.DataFrame]:
    """Subject and expression are the first two folders below the root."""
    paths = [path for path in listed(root, SUFFIXES) if template is None or path.resolve() != template.resolve()]
    if not paths:
        raise DataError(f"{root}: no PLY or OBJ files; give the folder that holds them, or an array with --array FILE")
    parts = [path.relative_to(root).parts for path in paths]
    if flat := [path for path, part in zip(paths, parts, strict=True) if len(part) < 3]:
        raise DataError(
            f"{flat[0]}: not in <subject>/<expression>/ below {root}; sort the meshes so, or name their subjects and "
            "expressions in a table: --samples CSV with the columns file, subject, expression"
        )
    table = pd.DataFrame([part[:2] for part in parts], columns=["subject", "expression"])
    return MeshFiles(root, paths), _number_frames(table)


def _number_frames(table: pd.DataFrame) -> pd.DataFrame:
    """Add ``frame``: a mesh's position among those of its subject and expression."""
    return table.assign(frame=table.groupby(["subject", "expression"], sort=False).cumcount())


# --- the table of samples ---------------------------------------------------------------------------------------


def read_table(path: Path) -> pd.DataFrame:
    """The user's table, checked: file, subject and expression as text, level as float, frame as int.

    Raises:
        UnknownNameError: for a column that is none of `COLUMNS`.
        DataError: naming the line and what is wrong with it.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path}: no readable CSV ({error})") from None
    for column in table.columns:
        if column not in COLUMNS:
            raise UnknownNameError(f"column of {path}", column, COLUMNS)
    if missing := [column for column in ("subject", "expression") if column not in table]:
        raise DataError(f"{path}: no column {missing[0]!r}; the first line names the columns: {', '.join(COLUMNS)}")
    if not len(table):
        raise DataError(f"{path}: no rows")
    for column in table.columns:
        _refuse(path, table, column, table[column].str.strip() == "", "a value")
    if "file" in table:
        _refuse(path, table, "file", table["file"].duplicated(), "each file once")
    if "level" in table:
        table["level"] = _numbers(path, table, "level", lambda v: (v >= 0) & (v <= 1), "a number from 0 to 1")
    if "frame" not in table:
        return _number_frames(table)
    whole = _numbers(path, table, "frame", lambda v: (v >= 0) & (v == np.round(v)), "a whole number from 0 up")
    return table.assign(frame=whole.astype(np.int64))


def _numbers(
    path: Path, table: pd.DataFrame, column: str, fits: Callable[[np.ndarray], np.ndarray], wanted: str
) -> np.ndarray:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
    _refuse(path, table, column, ~(np.isfinite(values) & fits(values)), wanted)
    return values


def _refuse(path: Path, table: pd.DataFrame, column: str, bad: np.ndarray | pd.Series, wanted: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise DataError(f"{path}, line {rows[0] + 2}: {column} is {table[column][rows[0]]!r}; wanted is {wanted}")
