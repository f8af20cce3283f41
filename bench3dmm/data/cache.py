"""Generated datasets on disk: one folder a recipe, complete or absent."""

from __future__ import annotations

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
from bench3dmm.data.makehuman import Recipe, generate, recipe
from bench3dmm.data.paper_counts import TABLE1, TABLE2
from bench3dmm.errors import DataError
from bench3dmm.mesh.template import Template
from bench3dmm.storage import cache_dir, read_npz, umask, write_json, write_npz, write_text


def folder_of(made: Recipe) -> Path:
    return cache_dir() / "datasets" / f"{made.base}-{made.sha256[:12]}"


def load_generated(name: str, *, progress: bool = True) -> Dataset:
    """A generated set, memory-mapped; generated first where the cache has none."""
    made = recipe(name)
    folder = folder_of(made)
    if not folder.exists():
        _generate_into(folder, made, progress)
    return _read(folder, name)


def _read(folder: Path, name: str) -> Dataset:
    try:
        card = json.loads((folder / "card.json").read_text())
        vertices = np.load(folder / "vertices.npy", mmap_mode="r", allow_pickle=False)
        samples = pd.read_csv(folder / "samples.csv", dtype={"subject": str, "expression": str})
        arrays = read_npz(folder / "template.npz")
        if vertices.shape != tuple(card["shape"]) or len(samples) != len(vertices):
            raise ValueError(f"shape {vertices.shape} with {len(samples)} samples, not {card['shape']}")
    except Exception as error:  # whatever a cut or overwritten file makes the readers raise
        raise DataError(f"{folder}: damaged dataset ({error}); delete the folder and it is generated again") from None
    template = Template(arrays["vertices"], arrays["faces"], arrays["landmarks"], name=card["recipe"]["base"])
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
        meshes = None
        with tqdm(total=total, desc=f"generating {made.name}", unit="mesh", disable=not shown) as bar:

            def write(rows: np.ndarray, piece: np.ndarray) -> None:
                nonlocal meshes
                if meshes is None:
                    shape = (total, *piece.shape[1:])
                    meshes = np.lib.format.open_memmap(aside / "vertices.npy", "w+", np.float32, shape)
                meshes[rows] = piece

            template, samples, card = generate(made, write, bar.update)
        meshes.flush()
        text = io.StringIO()
        samples.to_csv(text, index=False)
        digest = hashlib.sha256(template.sha256.encode() + text.getvalue().encode())
        for start in range(0, total, 512):
            digest.update(np.ascontiguousarray(meshes[start : start + 512]).data)
        card |= {"shape": list(meshes.shape), "sha256": digest.hexdigest()}
        del meshes
        write_text(aside / "samples.csv", text.getvalue())
        arrays = {"vertices": template.vertices, "faces": template.faces, "landmarks": template.landmarks}
        write_npz(aside / "template.npz", arrays)
        write_json(aside / "card.json", card)
        aside.chmod(0o777 & ~umask())  # mkdtemp makes private folders
        try:
            aside.rename(folder)
        except OSError:  # another process was faster with the same recipe
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
