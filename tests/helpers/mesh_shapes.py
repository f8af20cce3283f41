"""Small meshes with known properties for the mesh tests: spheres, tori, flat and bent sheets."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from bench3dmm.mesh.template import Template


def grid(columns: int, rows: int, jitter: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A flat unit grid facing +z, vertex ``row * columns + column`` at (column, row, 0); diagonals run up right.

    ``jitter`` moves inner vertices within the plane, so that no two paths tie.
    """
    x, y = np.meshgrid(np.arange(columns, dtype=float), np.arange(rows, dtype=float))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    inner = (x % (columns - 1) * (y % (rows - 1)) > 0).ravel()
    vertices[inner, :2] += jitter * np.random.default_rng(0).uniform(-1, 1, (inner.sum(), 2))
    ids = np.arange(columns * rows).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]))
    faces = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], axis=1).reshape(-1, 3)
    return vertices, faces.astype(np.int32)


def wavy_with_hole(columns: int = 18, rows: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """A bent sheet with a hole of 3 × 3 vertices: two boundary loops, and no symmetry to tie anything."""
    vertices, faces = grid(columns, rows, jitter=0.2)
    x, y = vertices[:, 0], vertices[:, 1]
    vertices[:, 2] = np.sin(x / 3) * np.cos(y / 4) - 0.02 * (x - 8) ** 2
    middle = (np.abs(x - columns // 2) < 1.5) & (np.abs(y - rows // 2) < 1.5)
    return compact(vertices, faces[~middle[faces].any(1)])


def icosphere(subdivisions: int, radius: float = 1.0, jitter: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """10 · 4^n + 2 vertices on a sphere, outward faces; ``jitter`` moves them on it."""
    g = (1 + 5**0.5) / 2
    vertices = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g)]
    vertices += [(0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]
    faces = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2)]
    faces += [(10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5)]
    faces += [(2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1)]
    points = [np.array(v) / np.linalg.norm(v) for v in vertices]
    for _ in range(subdivisions):
        middles: dict[frozenset, int] = {}

        def middle(i: int, j: int, middles: dict = middles) -> int:
            if frozenset((i, j)) not in middles:
                middles[frozenset((i, j))] = len(points)
                points.append((points[i] + points[j]) / np.linalg.norm(points[i] + points[j]))
            return middles[frozenset((i, j))]

        split = []
        for a, b, c in faces:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            split += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        faces = split
    sphere = np.array(points)
    sphere += jitter * np.random.default_rng(1).normal(size=sphere.shape)
    return radius * sphere / np.linalg.norm(sphere, axis=1, keepdims=True), np.array(faces, dtype=np.int32)


def random_sphere(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A closed convex surface over random points, of very irregular valence."""
    vertices = np.random.default_rng(seed).normal(size=(n, 3))
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    faces = ConvexHull(vertices).simplices
    inward = np.linalg.det(vertices[faces]) < 0
    faces[inward] = faces[inward][:, ::-1]
    return vertices, faces.astype(np.int32)


def torus(around: int = 24, across: int = 12, radius: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """A closed surface of genus 1, tube radius 1, outward faces."""
    u, v = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.arange(across) * 2 * np.pi / across, indexing="ij")
    ring = radius + np.cos(v)
    vertices = np.stack([ring * np.cos(u), ring * np.sin(u), np.sin(v)], axis=-1).reshape(-1, 3)
    ids = np.arange(around * across).reshape(around, across)
    b, d = np.roll(ids, -1, 0), np.roll(ids, -1, 1)
    c = np.roll(b, -1, 1)
    faces = np.concatenate([np.stack([ids, b, c], -1).reshape(-1, 3), np.stack([ids, c, d], -1).reshape(-1, 3)])
    return vertices, faces.astype(np.int32)


def compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop vertices in no face."""
    used, renamed = np.unique(faces, return_inverse=True)
    return vertices[used], renamed.reshape(faces.shape).astype(np.int32)


def neighbours(n: int, faces: np.ndarray) -> list[set[int]]:
    """Plainly: for each vertex, those that share a face with it."""
    sets: list[set[int]] = [set() for _ in range(n)]
    for face in np.asarray(faces).tolist():
        for a in face:
            sets[a] |= set(face) - {a}
    return sets


def boundary_loops(faces: np.ndarray) -> int:
    """Walk along the edges that lie in one face; how many loops they form."""
    edges = {(a, b) for f in np.asarray(faces).tolist() for a, b in zip(f, f[1:] + f[:1], strict=True)}
    following = {a: b for a, b in edges if (b, a) not in edges}
    loops = 0
    while following:
        loops += 1
        at = next(iter(following))
        while at in following:
            at = following.pop(at)
    return loops


def euler_characteristic(n: int, faces: np.ndarray) -> int:
    return n - len({frozenset((f[i], f[i - 1])) for f in np.asarray(faces).tolist() for i in range(3)}) + len(faces)


def rotation(seed: int = 0) -> np.ndarray:
    """A proper rotation, (3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q * [1, 1, -1]


def head_with_eyes(subdivisions: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Three parts, as COMA's template: most of a sphere, open below, and two closed eyeballs inside it."""
    vertices, faces = icosphere(subdivisions, 100.0)
    head = compact(vertices, faces[(vertices[faces][:, :, 1] > -60).all(1)])
    eye, eye_faces = icosphere(subdivisions - 1, 15.0)
    sides = np.array([[-35, 20, 70], [35, 20, 70]])
    parts = [head, *((eye + side, eye_faces) for side in sides)]
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in parts[:-1]])
    joined = [faces + start for (_, faces), start in zip(parts, starts, strict=True)]
    return np.vstack([vertices for vertices, _ in parts]), np.vstack(joined).astype(np.int32)


def half_sphere() -> Template:
    """Half a sphere of 50 mm with landmarks at its five foremost vertices."""
    vertices, faces = icosphere(2, radius=50.0)
    half = Template(vertices, faces, np.empty(0, np.int32), "sphere").keep(np.flatnonzero(vertices[:, 2] > -1))
    front = np.argsort(half.vertices[:, 2])[-5:]
    return Template(half.vertices, half.faces, np.sort(front), "sphere")


def border_of(faces):
    edges = {(a, b) for f in faces.tolist() for a, b in zip(f, f[1:] + f[:1], strict=True)}
    return [a for a, b in edges if (b, a) not in edges]
