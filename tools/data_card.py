"""Measure the embedded sets and write their data card, ``docs/data-card.md`` (a few minutes, no training).

    python tools/data_card.py

The mechanism table in it comes from ``results/mechanisms.csv``; see ``tools/study_mechanisms.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from bench3dmm.data import load_dataset
from bench3dmm.data.dataset import Dataset
from bench3dmm.data.rows import rows_of_profile
from bench3dmm.data.splits import make_split
from bench3dmm.data.synthetic.makehuman import Registration, recipe, shared_rig, stream, subjects
from bench3dmm.models.pca import principal_axes
from bench3dmm.record.profiles import PROFILES
from bench3dmm.system.storage import write_text
from bench3dmm.view.people import contact_sheet_figure
from bench3dmm.view.style import save_figure

ROOT = Path(__file__).resolve().parents[1]
LATENT = (8, 16, 32, 64, 128, 256, 512)
SETS = ("mh-seq", "mh-scan")


def neutral_faces(name: str) -> np.ndarray:
    """(people, V, 3) aligned neutral faces, without pose error or noise."""
    made, rig = recipe(name), shared_rig()
    registration = Registration.of(made)
    still = np.zeros((1, len(rig.channels), 2))
    faces = []
    for person in subjects(made):
        bound = rig.bind(person, frozenset(made.mechanisms), stream(made, "traits", person.name))
        faces.append(registration.topology.operator @ bound.pose(still, np.zeros((1, 3)))[0])
    return registration.align(np.stack(faces))


def components_for(meshes: np.ndarray, *shares: float) -> list[int]:
    """How many principal components hold these shares of the variance of (N, V, 3)."""
    flat = torch.from_numpy(meshes.reshape(len(meshes), -1).astype(np.float64))
    values = torch.linalg.svdvals(flat - flat.mean(dim=0)) ** 2
    held = (values.cumsum(0) / values.sum()).numpy()
    return [int(np.searchsorted(held, share)) + 1 for share in shares]


def expression_residuals(dataset: Dataset, most: int = 2000) -> np.ndarray:
    """(n, V, 3) meshes minus the mean mesh of their person, evenly taken."""
    rows = np.unique(np.linspace(0, len(dataset) - 1, most).astype(int))
    people = dataset.samples["subject"].to_numpy()[rows]
    meshes = np.asarray(dataset.vertices[rows], dtype=np.float64)
    for person in np.unique(people):
        meshes[people == person] -= meshes[people == person].mean(axis=0)
    return meshes


def pca_errors(dataset: Dataset, split_name: str) -> list[float]:
    """Mean per-vertex error (mm) of PCA at each latent size, on the meshes the quick profile uses."""
    split = make_split(split_name, dataset.samples, seed=0)
    train, test = rows_of_profile(split.train, split.test, PROFILES["quick"])
    mean = np.asarray(dataset.vertices[train], dtype=np.float64).mean(axis=0)
    known, new = (
        torch.from_numpy((dataset.vertices[rows] - mean).reshape(len(rows), -1).astype(np.float32))
        for rows in (train, test)
    )
    axes = principal_axes(known, max(LATENT)).float()
    errors = []
    for size in LATENT:
        basis = axes[:size]
        residual = new - (new @ basis.T) @ basis
        errors.append(float(residual.view(len(new), -1, 3).norm(dim=2).mean()))
    return errors


def folded_edges(dataset: Dataset, most: int = 300) -> float:
    """Edges folded by more than 120°, mean over evenly taken meshes."""
    faces = dataset.template.faces
    edges = np.sort(np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    order = np.lexsort(edges.T)
    owner = np.tile(np.arange(len(faces)), 3)[order]
    shared = (edges[order][1:] == edges[order][:-1]).all(axis=1)
    first, second = owner[:-1][shared], owner[1:][shared]
    folds = 0
    rows = np.unique(np.linspace(0, len(dataset) - 1, most).astype(int))
    for row in rows:
        corners = np.asarray(dataset.vertices[row], dtype=np.float64)[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        folds += int(((normals[first] * normals[second]).sum(axis=1) < -0.5).sum())
    return folds / len(rows)


def table(header: list[str], rows: list[list[object]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def facts(name: str) -> tuple[list[object], list[list[object]]]:
    """One row of the overview, and the PCA rows of both splits."""
    dataset = load_dataset(name)
    neutral, residual = neutral_faces(name), expression_residuals(dataset)
    made = dataset.card["recipe"]
    overview = [
        f"`{name}`",
        f"{len(dataset):,}",
        f"{dataset.template.n_vertices:,}",
        dataset.samples["subject"].nunique(),
        dataset.samples["expression"].nunique(),
        " / ".join(map(str, components_for(neutral, 0.95, 0.99))),
        " / ".join(map(str, components_for(residual, 0.95, 0.99))),
        f"{made['smooth_noise_mm']} + {made['white_noise_mm']}",
        dataset.card["noise_mean_mm"],
        f"{folded_edges(dataset):.1f} of {len(dataset.template.faces) * 3 // 2:,}",
    ]
    errors = [
        [f"`{name}`", split, *(f"{e:.2f}" for e in pca_errors(dataset, split))] for split in ("percentage", "identity")
    ]
    return overview, errors


def mechanism_table(name: str) -> str:
    """PCA and Neural3DMM at each d, one row a variant of the set."""
    frame = pd.read_csv(ROOT / "results" / "mechanisms.csv")
    frame = frame[frame["dataset"].str.partition("@")[0] == name]
    wide = frame.pivot_table(index="dataset", columns=["latent", "model"], values="mean_mm")
    sizes = sorted(frame["latent"].unique())
    order = sorted(wide.index, key=lambda variant: ("@" in variant, "@no-" in variant, variant))
    rows = []
    for variant in order:
        cells = []
        for size in sizes:
            pca, neural = (wide.loc[variant].get((size, model)) for model in ("pca", "neural3dmm"))
            cells.append("–" if pd.isna(neural) else f"{pca:.2f} / {neural:.2f}")
        rows.append([f"`{variant}`", *cells])
    return table(["set", *(f"d = {size}" for size in sizes)], rows)


def main() -> None:
    for name, people, cell in (("mh-seq", 4, 130), ("mh-scan", 4, 150)):
        figure = contact_sheet_figure(load_dataset(name), people=people, cell=cell)
        save_figure(figure, ROOT / "docs" / "figures", f"{name}-people")
    measured = {name: facts(name) for name in SETS}
    overview = table(
        ["set", "meshes", "vertices", "people", "expressions", "identity components 95 / 99 %",
         "expression components 95 / 99 %", "noise sd, smooth + white (mm)", "mean noise at a vertex (mm)",
         "folded edges a mesh"],
        [row for row, _ in measured.values()],
    )  # fmt: skip
    pca = table(["set", "split", *(f"d = {d}" for d in LATENT)], [row for _, rows in measured.values() for row in rows])
    text = (ROOT / "docs" / "data-card.template.md").read_text()
    filled = text.replace("<!-- overview -->", overview).replace("<!-- pca -->", pca)
    for name in SETS:
        filled = filled.replace(f"<!-- mechanisms {name} -->", mechanism_table(name))
    if left := re.findall("<!-- [^W].*? -->", filled):
        raise SystemExit(f"docs/data-card.template.md: nothing fills {', '.join(left)}")
    write_text(ROOT / "docs" / "data-card.md", filled)
    print(filled)


if __name__ == "__main__":
    main()
