"""Datasets on disk, generated or imported: one folder each, complete or absent."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.data.synthetic.makehuman import Recipe, generate, recipe
from bench3dmm.errors import DataError
from bench3dmm.mesh.template import Template
from bench3dmm.system.plugins import DATASETS, declared_by
from bench3dmm.system.storage import cache_dir, read_npz, umask, write_json, write_npz, write_text
from bench3dmm.system.words import counted


def folder_of(made: Recipe) -> Path:
    return cache_dir() / "datasets" / f"{made.base}-{made.sha256[:12]}"


def load_generated(name: str, *, progress: bool = True) -> Dataset:
    """A generated set, memory-mapped; generated first where the cache has none."""
    made = recipe(name)
    folder = folder_of(made)
    if not folder.exists():
        _generate_into(folder, made, progress)
    return read_folder(folder, name, "it is generated again")


def imported_dir() -> Path:
    """Where `bench3dmm.data.imports.importing` keeps what it imported: one folder a name."""
    return cache_dir() / "imported"


def imported_names() -> list[str]:
    """Names of the complete imports, without reading them."""
    return sorted(path.parent.name for path in imported_dir().glob("[!.]*/card.json"))


def imported_sha256(name: str) -> str | None:
    """Content hash of an imported set, from its card; None where there is no such set."""
    return read_card(imported_dir() / name, name)["sha256"] if name in imported_names() else None


def imported_departures(name: str) -> list[str] | None:
    """How an imported licensed set is not what was published, from its card; None where there is no such set."""
    if name not in imported_names():
        return None
    folder = imported_dir() / name
    found = read_card(folder, name).get("departures")
    if found is None:
        return [f"not compared with what was published: delete {folder} and import {name} again"]
    return found


def imported_note(name: str) -> str:
    """A line about an imported set for a list of datasets; about any other, whose it is."""
    if name not in imported_names():
        whose = declared_by(DATASETS, name)
        return f"from {whose}" if whose else "registered"
    meshes, vertices, _ = read_card(imported_dir() / name, name).get("shape", (0, 0, 0))
    return f"imported: {counted(meshes, 'mesh')} of {counted(vertices, 'vertex')}"


def load_imported(name: str) -> Dataset:
    """An imported set, memory-mapped; its source is not needed. Results on it are tied to its content."""
    dataset = read_folder(imported_dir() / name, name, f"import {name} again")
    return dataclasses.replace(dataset, card={**dataset.card, "recipe_sha256": dataset.sha256})


def read_card(folder: Path, name: str) -> dict:
    try:
        card = json.loads((folder / "card.json").read_text())
        return {**card, "sha256": str(card["sha256"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: damaged dataset ({error!r}); delete the folder and import {name} again") from None


def read_folder(folder: Path, name: str, remedy: str) -> Dataset:
    """Read what `write_folder` wrote; raises DataError for whatever is missing, cut or does not fit together."""
    try:
        card = json.loads((folder / "card.json").read_text())
        vertices = np.load(folder / "vertices.npy", mmap_mode="r", allow_pickle=False)
        text = {"subject": str, "expression": str}
        samples = pd.read_csv(folder / "samples.csv", dtype=text, keep_default_na=False)
        arrays = read_npz(folder / "template.npz")
        if vertices.shape != tuple(card["shape"]) or len(samples) != len(vertices):
            raise ValueError(f"shape {vertices.shape} with {len(samples)} samples, not {card['shape']}")
    except Exception as error:  # whatever a cut or overwritten file makes the readers raise
        raise DataError(f"{folder}: damaged dataset ({error}); delete the folder and {remedy}") from None
    template = Template(arrays["vertices"], arrays["faces"], arrays["landmarks"], name=name.partition("@")[0])
    return Dataset(name, template, vertices, samples, card["sha256"], card)


def _generate_into(folder: Path, made: Recipe, progress: bool) -> None:
    """Generate aside, then rename: a folder that exists is complete."""
    from tqdm import tqdm

    total = sum((TABLE1 if made.base == "mh-seq" else TABLE2).values())
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    shown = progress and sys.stderr.isatty()
    if progress and not shown:
        print(f"generating {made.name} ({total} meshes) into the cache, once", file=sys.stderr, flush=True)
    try:
        meshes: np.memmap | None = None
        with tqdm(total=total, desc=f"generating {made.name}", unit="mesh", disable=not shown) as bar:

            def write(rows: np.ndarray, piece: np.ndarray) -> None:
                nonlocal meshes
                if meshes is None:
                    shape = (total, *piece.shape[1:])
                    meshes = np.lib.format.open_memmap(aside / "vertices.npy", "w+", np.float32, shape)
                meshes[rows] = piece

            template, samples, card = generate(made, write, bar.update)
        assert meshes is not None  # every set has meshes
        meshes.flush()
        write_folder(aside, template, samples, meshes, card)
        del meshes
        aside.chmod(0o777 & ~umask())  # mkdtemp makes private folders
        try:
            aside.rename(folder)
        except OSError:  # another process was faster with the same recipe
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_folder(folder: Path, template: Template, samples: pd.DataFrame, meshes: np.ndarray, card: dict) -> str:
    """Write what belongs beside ``folder/vertices.npy``, which holds the meshes; returns the content's sha256.

    The card comes last, with the meshes' shape and the hash added.
    """
    text = io.StringIO()
    samples.to_csv(text, index=False)
    digest = hashlib.sha256(template.sha256.encode() + text.getvalue().encode())
    for start in range(0, len(meshes), 512):
        digest.update(np.ascontiguousarray(meshes[start : start + 512]).data)
    write_text(folder / "samples.csv", text.getvalue())
    arrays = {"vertices": template.vertices, "faces": template.faces, "landmarks": template.landmarks}
    write_npz(folder / "template.npz", arrays)
    write_json(folder / "card.json", {**card, "shape": list(meshes.shape), "sha256": digest.hexdigest()})
    return digest.hexdigest()
