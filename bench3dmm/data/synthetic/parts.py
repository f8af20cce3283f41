"""A head with two separate eyeballs, in COMA's numbers: of mh-seq, whose own eyes are closed by a surface.

For measuring what a hierarchy makes of several parts; it is no dataset of the benchmark.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from bench3dmm.data.synthetic.head import Head, load_head, load_topology
from bench3dmm.data.synthetic.makehuman import Registration, recipe
from bench3dmm.mesh.decimation import decimate
from bench3dmm.mesh.template import Template

HEAD_VERTICES = 3931
ON_EYE = 0.25  # of the weights of a vertex, those of the eye's surface; the lids take the rest
MERIDIANS, PARALLELS = 34, 16  # of an eyeball, beside its two poles: 546 vertices


@dataclass(frozen=True, eq=False)
class HeadWithEyeballs:
    """A head and two eyeballs, and how they follow a mesh of mh-seq.

    Attributes:
        template: 5,023 vertices: the head's 3,931, then 546 of the left and 546 of the right eyeball.
        head: (3931,) ids of the head's vertices in mh-seq.
        eyes: for each eyeball, the ids in mh-seq of the eye surface that it replaces.
        rest: (5023, 3), mh-seq's template.
    """

    template: Template
    head: np.ndarray
    eyes: tuple[np.ndarray, np.ndarray]
    rest: np.ndarray

    def of(self, meshes: np.ndarray) -> np.ndarray:
        """Meshes (N, 5023, 3) of mh-seq as heads with eyeballs (N, 5023, 3): an eyeball is moved, turned and scaled as
        the eye's surface is."""
        meshes = np.asarray(meshes, np.float64)
        n_eye = (self.template.n_vertices - len(self.head)) // 2
        balls = self.template.vertices[len(self.head) :].reshape(2, n_eye, 3)
        moved = [_follow(ball, self.rest[ids], meshes[:, ids]) for ball, ids in zip(balls, self.eyes, strict=True)]
        return np.concatenate([meshes[:, self.head], *moved], axis=1)


@functools.cache
def head_with_eyeballs() -> HeadWithEyeballs:
    """Of mh-seq's template: the eye surfaces are cut out, the rest is decimated, and MakeHuman's eyeballs are added."""
    head = load_head()
    whole = Registration.of(recipe("mh-seq")).template
    on_eye = load_topology(head, "seq").operator[:, head.n_skin :]
    left, right = (
        np.flatnonzero(np.asarray(on_eye[:, start : start + head.eye_patch_size].sum(axis=1)).ravel() > ON_EYE)
        for start in (0, head.eye_patch_size)
    )
    skin = np.setdiff1d(np.arange(whole.n_vertices), np.concatenate([left, right]))
    open_eyed = Template(whole.vertices, whole.faces).keep(skin)
    kept, faces = decimate(open_eyed.vertices, open_eyed.faces, HEAD_VERTICES)

    vertices, joined = [open_eyed.vertices[kept]], [faces]
    ball, ball_faces = _ball()
    origin = _origin(whole, head)
    for centre, radius in head.eyeballs(head.base):
        joined.append(ball_faces + sum(map(len, vertices)))
        vertices.append(centre - origin + radius * ball)
    template = Template(np.concatenate(vertices), np.concatenate(joined), name="head-with-eyeballs")
    return HeadWithEyeballs(template, skin[kept], (left, right), whole.vertices)


def _origin(whole: Template, head: Head) -> np.ndarray:
    """What was subtracted from the head's coordinates: a rest mesh of the topology less the template."""
    rest = head.place_eyes(head.base[None, : head.n_skin], head.eyeballs(head.base))[0]
    return np.round((load_topology(head, "seq").operator @ rest - whole.vertices).mean(0), 3)


def _ball() -> tuple[np.ndarray, np.ndarray]:
    """The unit sphere with its poles along z."""
    polar, around = np.meshgrid(
        np.pi * np.arange(1, PARALLELS + 1) / (PARALLELS + 1),
        2 * np.pi * np.arange(MERIDIANS) / MERIDIANS,
        indexing="ij",
    )
    rows = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    vertices = np.concatenate([[[0, 0, 1.0]], rows.reshape(-1, 3), [[0, 0, -1.0]]])
    ids = 1 + np.arange(MERIDIANS * PARALLELS).reshape(PARALLELS, MERIDIANS)
    a, b, c, d = ids[:-1], ids[1:], np.roll(ids[1:], -1, 1), np.roll(ids[:-1], -1, 1)
    faces = [np.stack(corners, -1).reshape(-1, 3) for corners in ((a, b, c), (a, c, d))]
    for pole, ring in ((0, ids[0]), (len(vertices) - 1, ids[-1][::-1])):
        faces.append(np.stack([np.full(MERIDIANS, pole), ring, np.roll(ring, -1)], -1))
    return vertices, np.concatenate(faces).astype(np.int32)


def _follow(points: np.ndarray, source: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Points (P, 3) under the similarities that take source (n, 3) nearest to targets (N, n, 3) (Umeyama 1991)."""
    source_mean, target_mean = source.mean(0), targets.mean(1, keepdims=True)
    centred = source - source_mean
    u, s, vt = np.linalg.svd(np.einsum("bni,nj->bij", targets - target_mean, centred))
    sign = np.ones((len(targets), 3))
    sign[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    turn = (u * sign[:, None, :]) @ vt
    scale = (s * sign).sum(1) / (centred**2).sum()
    return scale[:, None, None] * ((points - source_mean) @ turn.transpose(0, 2, 1)) + target_mean
