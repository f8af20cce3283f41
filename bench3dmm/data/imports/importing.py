"""Datasets from a user's own files: read chunk by chunk into the cache, complete or not there at all.

While an import runs, everything lies in a folder ``.NAME.partial`` that nothing loads: ``data`` is the dataset to be,
``chunks`` has one record for each chunk of meshes whose bytes are on the disk. A later run keeps the chunks whose
source files and bytes are unchanged, and goes on after them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench3dmm.data.cache import imported_dir, load_imported, write_folder
from bench3dmm.data.dataset import Dataset
from bench3dmm.data.imports.plans import Plan, speaker
from bench3dmm.data.imports.published import Published, departures_from
from bench3dmm.data.imports.sources import UNITS
from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.template import Template
from bench3dmm.system.storage import write_json
from bench3dmm.system.words import counted

CHUNK = 256  # meshes between two points from which an interrupted import goes on


def import_plan(plan: Plan, *, replace: bool = False, progress: bool = True) -> Dataset:
    """Carry out a plan, or load what an earlier run of the same plan gave.

    Args:
        plan: what to import; see the modules `coma`, `bu3dfe` and `meshes`.
        replace: whether an import of that name, of other data, may be replaced.
        progress: say on stderr what happens.

    Raises:
        DataError: a mesh that is not as expected, with its number and path (what was imported before it is kept for
            the next run); other data under that name; too little space.
        MeshError: a template on which no model can be built.
    """
    say = speaker(progress)
    keep, template = _kept(plan)
    meshes = counted(len(plan.source), "mesh")
    folder = imported_dir() / plan.name
    partial = imported_dir() / f".{plan.name}.partial"
    with _only_one(plan.name), _interrupts_explained(plan, partial, say):
        if _replaced(folder).exists():  # a run that replaced it was killed between two renames
            _restore(folder)
        if folder.exists():
            manifest = _manifest(plan, template, _fingerprints(plan, progress))
            differences = _differences(_stored_manifest(folder), manifest)
            if not differences:
                shutil.rmtree(partial, ignore_errors=True)
                say(f"{plan.name} is imported already, from the same {meshes}: nothing to do")
                return load_imported(plan.name)
            if not replace:
                raise DataError(
                    f"{plan.name} is imported already, from other data ({_first(differences)}); to import this instead "
                    "give --replace (results measured on the old data are then refused)"
                )
        _check_space(plan, template, partial)
        fingerprints = _write_meshes(plan, template, keep, partial, say, progress)
        _write_rest(plan, template, fingerprints, partial / "data", say)
        _move(partial / "data", folder)
        shutil.rmtree(partial, ignore_errors=True)
    return load_imported(plan.name)


def _kept(plan: Plan) -> tuple[np.ndarray | slice, Template]:
    """The vertices to keep of each mesh, and the template of these, fit for models."""
    template = plan.template
    keep: np.ndarray | slice = slice(None)
    whole = template.largest_component()
    if plan.largest_component:
        keep, template = whole, template.keep(whole)
    try:
        template.check()
    except MeshError as error:
        if len(whole) == plan.template.n_vertices or plan.largest_component:
            raise
        raise MeshError(
            f"{error} – or import only the largest part, {len(whole):,} of {template.n_vertices:,} vertices, with "
            "--largest-component"
        ) from None
    return keep, template


# --- meshes, chunk by chunk -------------------------------------------------------------------------------------


def _write_meshes(
    plan: Plan, template: Template, keep: np.ndarray | slice, partial: Path, say: Callable[[str], None], progress: bool
) -> list[dict[str, Any]]:
    """Write all meshes to ``partial/data/vertices.npy``; returns their fingerprints."""
    shape = (len(plan.source), template.n_vertices, 3)
    header, stride = _npy_header(shape), 4 * 3 * template.n_vertices
    (partial / "data").mkdir(parents=True, exist_ok=True)
    fingerprints = _resume(plan, partial, len(header), stride, say)
    path, done = partial / "data" / "vertices.npy", len(fingerprints)
    scale = UNITS[plan.unit]
    with path.open("r+b" if path.exists() else "w+b") as file, _bar(plan, done, progress) as bar:
        file.truncate(len(header) + done * stride)
        file.write(header)
        file.seek(0, io.SEEK_END)
        for start in range(done, len(plan.source), CHUNK):
            rows = range(start, min(start + CHUNK, len(plan.source)))
            digest, records = hashlib.sha256(), []
            for row in rows:
                records.append(plan.source.fingerprint(row))
                mesh = (plan.source.read(row, plan.expected)[keep] * scale).astype("<f4")
                digest.update(mesh.tobytes())
                file.write(mesh.tobytes())
                bar.update()
            file.flush()
            os.fsync(file.fileno())
            record = {"start": start, "rows": records, "sha256": digest.hexdigest()}
            write_json(partial / "chunks" / f"{start:08d}.json", record)
            fingerprints += records
    return fingerprints


def _resume(plan: Plan, partial: Path, offset: int, stride: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Fingerprints of the meshes that an earlier run left and that are still what they were; forgets the others."""
    settings = partial / "settings.json"
    kept: list[dict[str, Any]] = []
    if not settings.exists() or _read_json(settings) != plan.settings():
        shutil.rmtree(partial / "chunks", ignore_errors=True)
        (partial / "data" / "vertices.npy").unlink(missing_ok=True)
        write_json(settings, plan.settings())
    records = sorted((partial / "chunks").glob("*.json"))
    changed = None
    for number, path in enumerate(records):
        record = _read_json(path)
        changed = _changed(plan, record, len(kept), partial / "data" / "vertices.npy", offset, stride)
        if changed:
            for later in records[number:]:
                later.unlink()
            break
        kept += record["rows"]
    if changed:
        say(f"{changed}: it and what follows is read again")
    if kept:
        say(f"going on after {len(kept):,} of {counted(len(plan.source), 'mesh')}, imported before and unchanged")
    return kept


def _changed(plan: Plan, record: dict[str, Any] | None, start: int, path: Path, offset: int, stride: int) -> str | None:
    """Why a chunk of an earlier run cannot be kept; None where it can."""
    if record is None or record["start"] != start:
        return "a record of the earlier run is damaged"
    if not path.exists() or _hash_part(path, offset + start * stride, len(record["rows"]) * stride) != record["sha256"]:
        return "what the earlier run wrote is damaged"
    for row, before in enumerate(record["rows"], start):
        if row >= len(plan.source):
            return f"there are only {len(plan.source):,} meshes now"
        if plan.source.fingerprint(row) != before:
            return f"{plan.source.where(row)} has changed since it was imported"
    return None


def _hash_part(path: Path, start: int, length: int) -> str:
    with path.open("rb") as file:
        file.seek(start)
        return hashlib.sha256(file.read(length)).hexdigest()


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """Of a little-endian float32 array; as long for any number of meshes, so that it can be written over."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


# --- what belongs to the meshes ---------------------------------------------------------------------------------


def _write_rest(
    plan: Plan, template: Template, fingerprints: list[dict[str, Any]], folder: Path, say: Callable[[str], None]
) -> None:
    """Samples, template, manifest and card."""
    meshes = np.load(folder / "vertices.npy", mmap_mode="r", allow_pickle=False)
    samples = plan.samples
    notes: dict[str, Any] = {}
    if "level" not in samples:
        samples = samples.assign(level=estimate_levels(meshes, samples))
        notes["levels"] = "estimated: distance from the sequence's first mesh, relative to the sequence's farthest"
    leading = ["subject", "expression", "level", "frame"]
    samples = samples[[*leading, *(name for name in samples if name not in leading)]]
    if plan.published:
        found = departures_from(plan.published, samples, plan.template.n_vertices, template.n_vertices)
        notes["departures"] = found
        _say_departures(found, plan.published, say)
    write_json(folder / "manifest.json", _manifest(plan, template, fingerprints))
    converted = "mm" if plan.unit == "mm" else f"{plan.unit}, converted to mm"
    write_folder(folder, template, samples, meshes, {**plan.card, "unit": converted, **notes})


def estimate_levels(meshes: np.ndarray, samples: pd.DataFrame) -> np.ndarray:
    """How far expressions are developed, (N,) in [0, 1], where nobody says: sequences start at rest.

    A mesh's mean vertex distance from the first of its subject and expression, relative to the largest of them.
    Alone, a mesh has 1; a neutral face has 0.
    """
    levels = np.zeros(len(samples))
    for (_, expression), group in samples.reset_index(drop=True).groupby(["subject", "expression"], sort=False):
        rows = group.sort_values("frame", kind="stable").index.to_numpy()
        if expression == "neutral":
            continue
        first = np.asarray(meshes[rows[0]], dtype=np.float64)
        distance = np.array([np.linalg.norm(meshes[row] - first, axis=1).mean() for row in rows])
        levels[rows] = distance / distance.max() if distance.max() > 0 else 1.0
    return np.round(levels, 4)


def _say_departures(departures: list[str], published: Published, say: Callable[[str], None]) -> None:
    if not departures:
        say(f"{published.name} as published: vertices, people, and meshes per expression as in {published.table}")
        return
    say(f"not {published.name} as published:")
    for line in departures:
        say(f"  {line}")


def _manifest(plan: Plan, template: Template, fingerprints: list[dict[str, Any]]) -> dict[str, Any]:
    """Every source file with size, sha256 and the row it became, and what else decides the content."""
    text = plan.samples.to_csv(index=False)
    return {
        **plan.settings(),
        "template_sha256": template.sha256,
        "samples_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "files": [*plan.extras, *plan.source.manifest(fingerprints)],
    }


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is not the same in two manifests."""
    before, after = ({_key(entry): entry for entry in m.get("files", [])} for m in (old, new))
    lines = [f"{after[key]['path']} is new" for key in after if key not in before]
    lines += [f"{before[key]['path']} is gone" for key in before if key not in after]
    lines += [_change(before[key], after[key]) for key in after if key in before and not _same(before[key], after[key])]
    return lines or [f"another {key}" for key in new if key != "files" and old.get(key) != new[key]]


def _key(entry: dict[str, Any]) -> str:
    """Mesh files are known by their paths; an array and what else there is by their roles, wherever they lie."""
    return entry["path"] if "row" in entry else f"role {entry.get('role', 'array')}"


def _same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return all(old.get(key) == new.get(key) for key in {*old, *new} - {"path"})


def _change(old: dict[str, Any], new: dict[str, Any]) -> str:
    return f"{new['path']} has changed" if old["path"] == new["path"] else f"{new['path']} is not {old['path']}"


def _first(differences: list[str]) -> str:
    more = f" and {len(differences) - 1:,} more" if len(differences) > 1 else ""
    return differences[0] + more


def _fingerprints(plan: Plan, progress: bool) -> list[dict[str, Any]]:
    with _bar(plan, 0, progress, "comparing") as bar:
        found = []
        for row in range(len(plan.source)):
            found.append(plan.source.fingerprint(row))
            bar.update()
    return found


# --- files and messages -----------------------------------------------------------------------------------------


def _stored_manifest(folder: Path) -> dict[str, Any]:
    return _read_json(folder / "manifest.json") or {}


def _read_json(path: Path) -> Any:
    """None for a file that is missing or not JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _check_space(plan: Plan, template: Template, partial: Path) -> None:
    imported_dir().mkdir(parents=True, exist_ok=True)
    written = partial / "data" / "vertices.npy"
    needed = 12 * template.n_vertices * len(plan.source) - (written.stat().st_size if written.exists() else 0)
    free = shutil.disk_usage(imported_dir()).free
    if needed > free:
        raise DataError(
            f"{imported_dir()}: {plan.name} needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; make room, or "
            "name another folder in BENCH3DMM_CACHE"
        )


def _move(data: Path, folder: Path) -> None:
    if folder.exists():
        folder.rename(_replaced(folder))
    data.rename(folder)
    shutil.rmtree(_replaced(folder), ignore_errors=True)


def _restore(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(_replaced(folder))
    else:
        _replaced(folder).rename(folder)


def _replaced(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.replaced")


@contextlib.contextmanager
def _only_one(name: str) -> Iterator[None]:
    """Hold the lock of a name; the system lets go of it when the process ends, however it ends."""
    imported_dir().mkdir(parents=True, exist_ok=True)
    with (imported_dir() / f".{name}.lock").open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # not on Windows
            pass
        except OSError:
            raise DataError(f"{name} is being imported by another process; wait for it, or end it") from None
        yield


@contextlib.contextmanager
def _interrupts_explained(plan: Plan, partial: Path, say: Callable[[str], None]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        records = [_read_json(path) or {} for path in (partial / "chunks").glob("*.json")]
        kept = sum(len(record.get("rows", [])) for record in records)
        if kept:
            say(f"interrupted: {kept:,} of {counted(len(plan.source), 'mesh')} are kept; the same command goes on")
        elif (imported_dir() / plan.name).exists():
            say(f"interrupted: {plan.name} stays as it was imported before")
        else:
            say("interrupted: no meshes are kept yet; the same command starts again")
        raise


def _bar(plan: Plan, done: int, progress: bool, verb: str = "importing") -> Any:
    from tqdm import tqdm

    shown = progress and sys.stderr.isatty()
    return tqdm(
        total=len(plan.source), initial=done, desc=f"{verb} {plan.name}", unit="mesh", disable=not shown, delay=0.5
    )
