"""The hierarchy: quadric decimation to kept vertices, and barycentric upsampling back (reference: Garland &
Heckbert, SIGGRAPH 1997; Ranjan et al., ECCV 2018, section 3; Bouritsas et al., ICCV 2019).

A coarse vertex *is* a vertex of the finer level, so downsampling is a selection (one-hot rows). Upsampling
gives every dropped vertex three barycentric weights of the coarse triangle nearest to it: affine rows.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse

from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.decimation import decimate
from bench3dmm.mesh.spirals import spirals
from bench3dmm.mesh.template import Template
from bench3dmm.mesh.upsampling import project
from bench3dmm.system.storage import cache_dir, canonical_json, hash_arrays, read_npz, write_npz

FACTORS = (4, 4, 4, 4)
"""By which the published models' levels have fewer vertices."""
ALGORITHM = "half-edge quadric decimation, surface-local projection, 2"  # part of the cache key: count up on change


@dataclass(frozen=True, eq=False)
class Level:
    """One level: vertices (V_l, 3) float64 mm, faces (F_l, 3) int32, the spirals' reference vertex."""

    vertices: np.ndarray
    faces: np.ndarray
    reference: int


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Levels of a template, finest first, and what takes features from one to the next.

    Attributes:
        levels: L + 1 levels for L factors.
        kept: L arrays (V_{l+1},) int32, ascending: coarse vertex i is vertex ``kept[l][i]`` of level l.
        up_index: L arrays (V_l, 3) int32 into the coarse level l + 1.
        up_weight: L arrays (V_l, 3) float64 >= 0, rows sum to 1. Rows of kept vertices are (1, 0, 0).
    """

    levels: tuple[Level, ...]
    kept: tuple[np.ndarray, ...]
    up_index: tuple[np.ndarray, ...]
    up_weight: tuple[np.ndarray, ...]
    _spirals: dict[tuple[int, int, int], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Vertices of each level, e.g. (5023, 1256, 314, 79, 20)."""
        return tuple(len(level.vertices) for level in self.levels)

    @cached_property
    def sha256(self) -> str:
        """Content hash over levels, reference vertices, kept vertices and upsampling."""
        arrays = self._geometry()
        return hash_arrays(*arrays.values(), salt=canonical_json(list(arrays)))

    def spirals(self, level: int, hops: int = 1, dilation: int = 1) -> np.ndarray:
        """Spirals (V_l, L) int32 of a level, -1 for no vertex; see `bench3dmm.mesh.spirals.spirals`."""
        key = (level, hops, dilation)
        if key not in self._spirals:
            at = self.levels[level]
            self._spirals[key] = spirals(at.vertices, at.faces, hops=hops, dilation=dilation, reference=at.reference)
        return self._spirals[key]

    def upsampling(self, level: int) -> sparse.csr_matrix:
        """U, (V_l, V_{l+1}): takes features of level ``level + 1`` to ``level``."""
        index, weight = self.up_index[level], self.up_weight[level]
        rows = np.repeat(np.arange(len(index)), 3)
        shape = (len(index), len(self.kept[level]))
        matrix = sparse.csr_matrix((weight.ravel(), (rows, index.ravel())), shape=shape)
        matrix.eliminate_zeros()
        return matrix

    def downsampling(self, level: int) -> sparse.csr_matrix:
        """D, (V_{l+1}, V_l): takes features of level ``level`` to ``level + 1``; one-hot rows."""
        kept = self.kept[level]
        ones = np.ones(len(kept))
        return sparse.csr_matrix((ones, (np.arange(len(kept)), kept)), shape=(len(kept), self.sizes[level]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays, with the spirals computed so far and hashes: for a checkpoint."""
        named = {f"spirals_{at}_{h}_{d}": array for (at, h, d), array in self._spirals.items()}
        meta = {"levels": len(self.levels), "sha256": self.sha256, "spirals_sha256": _hash_spirals(named)}
        text = np.frombuffer(canonical_json(meta).encode(), dtype=np.uint8)
        return {**self._geometry(), **named, "meta": text}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], source: str | Path = "arrays") -> Hierarchy:
        """The inverse of `arrays`.

        Raises:
            DataError: naming ``source``, where an array is missing or the content does not match its hash.
        """
        try:
            meta = json.loads(bytes(np.asarray(arrays["meta"], dtype=np.uint8)))
            n = int(meta["levels"])
            levels = tuple(
                Level(arrays[f"vertices_{i}"], arrays[f"faces_{i}"], int(arrays[f"reference_{i}"])) for i in range(n)
            )
            kept, up_index, up_weight = (
                tuple(arrays[f"{key}_{i}"] for i in range(n - 1)) for key in ("kept", "up_index", "up_weight")
            )
            named = {key: arrays[key] for key in sorted(arrays) if key.startswith("spirals_")}
            computed = {}
            for key, array in named.items():
                level, hops, dilation = map(int, key.split("_")[1:])
                computed[level, hops, dilation] = array
            hierarchy = cls(levels, kept, up_index, up_weight, computed)
            stored = (meta["sha256"], meta["spirals_sha256"])
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{source}: not a stored hierarchy ({error!r}); build or copy it again") from None
        if stored != (hierarchy.sha256, _hash_spirals(named)):
            raise DataError(
                f"{source}: the hierarchy's content does not match its sha256 {meta['sha256'][:12]}…: it "
                "is damaged or was edited; restore it (a trained model needs exactly this hierarchy)"
            )
        return hierarchy

    def save(self, path: str | Path) -> None:
        """Write one .npz of plain arrays."""
        write_npz(Path(path), self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> Hierarchy:
        """Read what `save` wrote.

        Raises:
            DataError: where the file is missing, unreadable, or does not match its hash.
        """
        try:
            arrays = read_npz(Path(path))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file") from None
        except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for a damaged file
            raise DataError(f"{path}: cannot be read ({error!r}); build or copy it again") from None
        return cls.from_arrays(arrays, source=path)

    def _geometry(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        for i, level in enumerate(self.levels):
            arrays[f"vertices_{i}"], arrays[f"faces_{i}"] = level.vertices, level.faces
            arrays[f"reference_{i}"] = np.array(level.reference, dtype=np.int64)
        for key in ("kept", "up_index", "up_weight"):
            arrays |= {f"{key}_{i}": array for i, array in enumerate(getattr(self, key))}
        return arrays


def _hash_spirals(named: dict[str, np.ndarray]) -> str:
    return hash_arrays(*(named[key] for key in sorted(named)), salt=canonical_json(sorted(named)))


def build_hierarchy(
    template: Template,
    factors: tuple[int, ...] | None = None,
    reference: int | None = None,
    *,
    cache: bool = True,
) -> Hierarchy:
    """Decimate a template level by level: ceil(V / factor) vertices each, or as many as its topology needs.

    Args:
        template: a mesh that passes `Template.check`.
        factors: one a level, to be met; by default `FACTORS`, where a level of a small template, or of one with many
            holes or parts, ends where its topology does.
        reference: vertex that the spirals are oriented by; `default_reference` if not given. The reference
            of a coarse level is its vertex nearest (Euclidean) to the fine one.
        cache: keep the result in ``<cache>/hierarchies``, by algorithm, template, factors and reference. A
            trained model stores its own copy (`Hierarchy.arrays`) and never depends on this cache.

    Raises:
        MeshError: for a template that does not pass `Template.check`, or cannot be decimated that far.
    """
    template.check()
    exact = factors is not None
    factors = FACTORS if factors is None else tuple(int(factor) for factor in factors)
    if any(factor < 1 for factor in factors):
        raise MeshError(f"factors {factors}: each must be 1 or more")
    reference = default_reference(template) if reference is None else int(reference)
    if not 0 <= reference < template.n_vertices:
        raise MeshError(f"{template.name}: reference vertex {reference} out of 0 … {template.n_vertices - 1}")

    key = hash_arrays(salt=canonical_json([ALGORITHM, template.sha256, factors, reference]))
    path = cache_dir() / "hierarchies" / f"{key[:24]}.npz"
    if cache and path.exists():
        try:
            hierarchy = Hierarchy.load(path)
            _check_belongs(hierarchy, template, factors, reference, path, exact)
            return hierarchy
        except DataError as error:
            warnings.warn(f"{error} — building the cached hierarchy again", stacklevel=2)
    hierarchy = _build(template, factors, reference, exact)
    if cache:
        for level in range(len(factors)):
            hierarchy.spirals(level)  # the published ones, so that they are cached too
        hierarchy.save(path)
    return hierarchy


def _check_belongs(
    hierarchy: Hierarchy, template: Template, factors: tuple[int, ...], reference: int, path: Path, exact: bool
) -> None:
    """A sound file under another's name is as wrong as a damaged one."""
    sizes, finest = hierarchy.sizes, hierarchy.levels[0]
    wanted = tuple(math.ceil(size / factor) for size, factor in zip(sizes, factors, strict=False))
    belongs = (
        len(sizes) == len(factors) + 1
        and (sizes[1:] == wanted or not exact)
        and finest.reference == reference
        and np.array_equal(finest.vertices, template.vertices)
        and np.array_equal(finest.faces, template.faces)
    )
    if not belongs:
        raise DataError(f"{path}: holds the hierarchy of another template, factors or reference vertex")


def default_reference(template: Template) -> int:
    """About the nose tip, on a face that looks along +z: the vertex nearest to the landmarks' centroid (or
    that of all vertices, where there are no landmarks) moved forward to the frontmost of them."""
    points = template.vertices[template.landmarks] if len(template.landmarks) else template.vertices
    target = np.array([*points[:, :2].mean(0), points[:, 2].max()])
    return _nearest(template.vertices, target)


def _nearest(vertices: np.ndarray, point: np.ndarray) -> int:
    """Nearest vertex; the first of those that tie but for rounding."""
    distance = np.linalg.norm(vertices - point, axis=1)
    return int(np.flatnonzero(distance <= distance.min() * (1 + 1e-9))[0])


def _build(template: Template, factors: tuple[int, ...], reference: int, exact: bool = True) -> Hierarchy:
    levels = [Level(template.vertices, template.faces, reference)]
    kept, up_index, up_weight = [], [], []
    for factor in factors:
        fine = levels[-1]
        target = math.ceil(len(fine.vertices) / factor)
        try:
            keep, faces = decimate(fine.vertices, fine.faces, target, exact=exact)
        except MeshError as error:
            sizes = [len(level.vertices) for level in levels]
            raise MeshError(
                f"{template.name}: level {len(levels)} of factors {factors} (sizes so far {sizes}): {error}. "
                "Use fewer or smaller factors"
            ) from None
        vertices = fine.vertices[keep]
        index, weight = project(fine.vertices, fine.faces, keep, faces)
        levels.append(Level(vertices, faces, _nearest(vertices, template.vertices[reference])))
        kept.append(keep)
        up_index.append(index)
        up_weight.append(weight)
    return Hierarchy(tuple(levels), tuple(kept), tuple(up_index), tuple(up_weight))
