"""What the hierarchies of several templates keep, and what is lost on the way down and up again.

    python tools/measure_hierarchies.py
    python tools/measure_hierarchies.py --train 10 --seeds 2

Compared are the rules of `bench3dmm.mesh.hierarchy` and those before: factors of 4 at every level, each part kept to
its last triangle or tetrahedron. ``up(down(x))`` takes meshes, as offsets from their mean (as models see them), through
all levels and back. ``--train`` also trains Neural3DMM for some epochs on the head with eyeballs. Only one thread.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from bench3dmm.data.normaliser import Normaliser
from bench3dmm.data.registry import load_dataset
from bench3dmm.data.synthetic.parts import head_with_eyeballs
from bench3dmm.data.synthetic.sizes import face, template_of
from bench3dmm.mesh.decimation import boundary_loops, decimate
from bench3dmm.mesh.hierarchy import FACTORS, Hierarchy, Level, build_hierarchy, default_reference, factors_for
from bench3dmm.mesh.template import Template
from bench3dmm.mesh.upsampling import project
from bench3dmm.models.registry import build_model
from bench3dmm.record.run import Run
from bench3dmm.system.device import seeded
from bench3dmm.training.fit import fit, load_normalised
from bench3dmm.training.schedule import Schedule

MESHES = 50  # that are taken down and up


def all_parts_kept(template: Template) -> Hierarchy:
    """The hierarchy as it was built before: factors of 4, no part vanishes."""
    reference = default_reference(template)
    levels, kept, index, weight = [Level(template.vertices, template.faces, reference)], [], [], []
    for factor in FACTORS:
        fine = levels[-1]
        everywhere = np.ones(len(fine.vertices), bool)
        target = -(-len(fine.vertices) // factor)
        keep, faces = decimate(fine.vertices, fine.faces, target, exact=False, stays=everywhere)
        vertices = fine.vertices[keep]
        nearest = np.linalg.norm(vertices - template.vertices[reference], axis=1).argmin()
        up = project(fine.vertices, fine.faces, keep, faces)
        levels.append(Level(vertices, faces, int(nearest)))
        for ups, new in zip((kept, index, weight), (keep, *up), strict=True):
            ups.append(new)
    return Hierarchy(tuple(levels), tuple(kept), tuple(index), tuple(weight))


RULES: dict[str, Callable[[Template], Hierarchy]] = {
    "before": all_parts_kept,
    "now": lambda template: build_hierarchy(template, cache=False),
}


def lost(hierarchy: Hierarchy, meshes: np.ndarray) -> np.ndarray:
    """(V,) mm, mean distance of each vertex of meshes (N, V, 3) to where it is after all levels down and up."""
    offsets = meshes - meshes.mean(0)
    n, n_vertices, _ = offsets.shape
    flat = offsets.transpose(1, 0, 2).reshape(n_vertices, -1)
    again = flat
    for level in range(len(hierarchy.kept)):
        again = hierarchy.downsampling(level) @ again
    for level in reversed(range(len(hierarchy.kept))):
        again = hierarchy.upsampling(level) @ again
    return np.linalg.norm((again - flat).reshape(n_vertices, n, 3), axis=2).mean(1)


# --- templates and their meshes ---------------------------------------------------------------------------------


def embedded(name: str, count: int = MESHES) -> np.ndarray:
    """Meshes of an embedded set, evenly over its rows."""
    vertices = load_dataset(name).vertices
    return np.asarray(vertices[np.linspace(0, len(vertices) - 1, count).astype(int)], dtype=np.float64)


def deformed(template: Template) -> np.ndarray:
    """Meshes of any template: it under smooth deformations of about 2 mm and 80 mm of wavelength."""
    rng = np.random.default_rng(0)
    phases = template.vertices @ rng.normal(0, 0.03, (3, 12)) + rng.uniform(0, 6, 12)
    modes = np.sin(phases)[:, :, None] * rng.normal(0, 1, (12, 3))
    return template.vertices + np.einsum("nk,vkc->nvc", rng.normal(0, 1, (MESHES, 12)), modes)


def with_holes(template: Template, count: int) -> Template:
    """A face without the triangles around some of its vertices, which lie far apart."""
    rng, vertices, faces = np.random.default_rng(0), template.vertices, template.faces
    around = [set(faces[(faces == vertex).any(1)].ravel()) for vertex in range(len(vertices))]
    edge = np.unique(faces[np.isin(np.arange(len(faces)), np.flatnonzero(_on_border(template)[faces].any(1)))])
    taken, centres = set(edge.tolist()), []
    for vertex in rng.permutation(len(vertices)):
        reach = set().union(*(around[v] for v in around[vertex]))
        if len(centres) < count and taken.isdisjoint(reach):
            centres.append(vertex)
            taken |= reach
    left = np.setdiff1d(np.arange(len(vertices)), centres)
    return dataclasses.replace(template.keep(left), name=f"{template.name}, {len(centres)} holes")


def _on_border(template: Template) -> np.ndarray:
    """(V,) bool."""
    edges = np.stack([template.faces.ravel(), np.roll(template.faces, -1, axis=1).ravel()], axis=1)
    _, first, count = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    mask = np.zeros(template.n_vertices, bool)
    mask[edges[first[count == 1]]] = True
    return mask


def small(template: Template, n_vertices: int) -> Template:
    """A template of fewer vertices, of the same topology."""
    kept, faces = decimate(template.vertices, template.faces, n_vertices)
    return Template(template.vertices[kept], faces, name=f"{template.name} of {n_vertices}")


def cases() -> list[tuple[Template, np.ndarray]]:
    """Templates, and meshes of each."""
    heads = head_with_eyeballs()
    found = [(template_of(name), embedded(name)) for name in ("mh-seq", "mh-scan")]
    found.append((heads.template, heads.of(found[0][1])))
    others = [face(n) for n in (72, 100, 300, 600, 1000, 2500)]
    others += [with_holes(face(600), 12), with_holes(face(2500), 12)]
    others += [small(heads.template, n) for n in (300, 1000)]
    return found + [(template, deformed(template)) for template in others]


def describe(template: Template, meshes: np.ndarray) -> list[list[str]]:
    """Rows of the table: a rule each."""
    rows = []
    for rule, build in RULES.items():
        hierarchy = build(template)
        errors = lost(hierarchy, meshes)
        factors = FACTORS if rule == "before" else factors_for(template)
        by_level = hierarchy.parts.tolist()
        sizes = " ".join("+".join(map(str, parts)) for parts in by_level)
        bounds = np.cumsum(by_level[0])[:-1]
        parts = [f"{part.mean():.3f}" for part in np.split(errors, bounds)] if len(bounds) else []
        shape = f"{boundary_loops(template.faces)} borders"
        rows.append([template.name, shape, rule, " ".join(map(str, factors)), sizes, f"{errors.mean():.3f}", *parts])
    return rows


def table(header: list[str], rows: list[list[str]]) -> None:
    filled = [[*row, *[""] * (max(map(len, rows)) - len(row))] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    for row in filled:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


# --- training ---------------------------------------------------------------------------------------------------


def trained(hierarchy: Hierarchy, meshes: np.ndarray, epochs: int, seed: int) -> np.ndarray:
    """(V,) mm, mean error of Neural3DMM (paper, d = 16) on every sixth mesh, trained on the others."""
    rows = np.arange(len(meshes))
    test, train = rows[rows % 6 == 0], rows[rows % 6 != 0]
    run = Run("head-with-eyeballs", epochs=epochs, seed=seed)
    normaliser, cpu = Normaliser.fit(meshes, train), torch.device("cpu")
    with seeded(seed):
        model = build_model(run.model, hierarchy, run.latent, preset=run.preset)
    l1 = torch.nn.functional.l1_loss
    fit(model, load_normalised(meshes, train, normaliser, cpu), l1, Schedule.of(run), seed, progress=False)
    model.eval()
    with torch.no_grad():
        again = normaliser.invert(model(load_normalised(meshes, test, normaliser, cpu)).numpy())
    return np.linalg.norm(again - meshes[test], axis=2).mean(0)


def compare_training(epochs: int, seeds: int, count: int) -> None:
    heads = head_with_eyeballs()
    meshes = heads.of(embedded("mh-seq", count)).astype(np.float32)
    print(f"\nNeural3DMM (paper), d = 16, {epochs} epochs on {count * 5 // 6} heads with eyeballs, mean error in mm\n")
    rows, n_head = [], len(heads.head)
    for rule, build in RULES.items():
        hierarchy = build(heads.template)
        for seed in range(seeds):
            error = trained(hierarchy, meshes, epochs, seed)
            parts = (error, error[:n_head], error[n_head:])
            rows.append([rule, str(seed), *(f"{part.mean():.3f}" for part in parts)])
    table(["rule", "seed", "all", "head", "eyeballs"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=0, metavar="EPOCHS", help="of Neural3DMM; 0: no training")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--meshes", type=int, default=1500, help="that are trained and tested on")
    given = parser.parse_args()
    torch.set_num_threads(1)
    header = ["template", "", "rule", "factors", "vertices, by part", "mm lost", "in each part"]
    table(header, [row for template, meshes in cases() for row in describe(template, meshes)])
    if given.train:
        compare_training(given.train, given.seeds, given.meshes)


if __name__ == "__main__":
    main()
