"""The hierarchy: quadric decimation to kept vertices, and barycentric upsampling back (reference: Garland &
Heckbert, SIGGRAPH 1997; Ranjan et al., ECCV 2018, section 3; Bouritsas et al., ICCV 2019).

Where not told, the factors follow the template, see `factors_for`.

A coarse vertex *is* a vertex of the finer level, so downsampling is a selection (one-hot rows). Upsampling
gives every dropped vertex three barycentric weights of the coarse triangle nearest to it: affine rows.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse

from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.decimation import boundary_loops, decimate, largest_part, parts_of
from bench3dmm.mesh.spirals import spirals
from bench3dmm.mesh.template import Template
from bench3dmm.mesh.upsampling import project
from bench3dmm.system.storage import cache_dir, canonical_json, hash_arrays, read_npz, write_npz
from bench3dmm.system.words import counted, listed

FACTORS = (4, 4, 4, 4)
"""By which the published models' levels have fewer vertices."""
COARSEST = 20
"""Vertices of the coarsest level that the published models have on COMA's 5,023."""
PER_BORDER = 4
"""Least vertices of the coarsest level for each border loop: a triangle around it stands on three of its own."""
ALGORITHM = "half-edge quadric decimation over all parts, surface-local projection, 3"  # in the cache key: count up


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
    def parts(self) -> np.ndarray:
        """(L + 1, P) vertices that each connected part of the template has at each level; 0 where it has vanished."""
        n_parts, part = parts_of(self.sizes[0], self.levels[0].faces)
        counts = [np.bincount(part, minlength=n_parts)]
        for kept in self.kept:
            part = part[kept]
            counts.append(np.bincount(part, minlength=n_parts))
        return np.array(counts)

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


def factors_for(template: Template) -> tuple[float, ...]:
    """The factors of a template where none are told: `FACTORS` if they leave the coarsest level enough vertices.

    Enough are `COARSEST`, as the published models have them, and `PER_BORDER` for each border loop of the largest part,
    so that its holes can stay open. A smaller template gets as many levels, which the published models need, and one
    factor for all, ``(V / enough) ** (1 / 4)`` rounded down to two decimals: the levels are evenly spaced, and the
    last has just enough: 1,000 vertices get 2.65 (1,000, 378, 143, 54, 21). One with fewer than are enough is not made
    coarser, its factors are 1.
    """
    n_parts, part = parts_of(template.n_vertices, template.faces)
    faces = template.faces
    if n_parts > 1:
        faces = faces[part[faces[:, 0]] == largest_part(template.vertices, faces, part)]
    enough = max(COARSEST, PER_BORDER * boundary_loops(faces))
    if sizes_of(template.n_vertices, FACTORS)[-1] >= enough:
        return FACTORS
    ratio = (template.n_vertices / enough) ** (1 / len(FACTORS))
    factor = min(max(math.floor(100 * ratio) / 100, 1.0), float(max(FACTORS)))
    return tuple(_number(factor) for _ in FACTORS)


def described(hierarchy: Hierarchy, factors: Sequence[float]) -> str:
    """Levels, factors, and what vanishes, in one line: ``5,023, 1,256, 314, 79 and 20 vertices (factors 4,4,4,4)``."""
    said = f"{listed(f'{size:,}' for size in hierarchy.sizes)} vertices (factors {','.join(map(str, factors))})"
    if hierarchy.sizes != sizes_of(hierarchy.sizes[0], factors):
        said += ", where the topology ends it"
    parts = hierarchy.parts
    gone = (parts == 0).argmax(axis=0)[parts[-1] == 0]  # the level at which each vanishes
    if len(gone):
        levels = listed(f"{(gone == level).sum()} at level {level}" for level in np.unique(gone))
        of = counted(int(parts[0][parts[-1] == 0].sum()), "vertex")
        said += f"; of {parts.shape[1]} parts {len(gone)} vanish ({levels}; {of})"
    return said


def sizes_of(n_vertices: int, factors: Sequence[float]) -> tuple[int, ...]:
    """Vertices of each level where the topology allows it: ceil(V / factor), factors being of two decimals."""
    sizes = [n_vertices]
    for factor in factors:
        sizes.append(-(-100 * sizes[-1] // round(100 * factor)))
    return tuple(sizes)


def _number(factor: float) -> float:
    """4 for 4.0: one spelling, as it is part of the cache key."""
    return int(factor) if float(factor).is_integer() else float(factor)


def build_hierarchy(
    template: Template,
    factors: Sequence[float] | None = None,
    reference: int | None = None,
    *,
    cache: bool = True,
) -> Hierarchy:
    """Decimate a template level by level: ceil(V / factor) vertices each, or as many as its topology needs.

    Small parts may vanish on the way (see `decimate`). Those with the largest area and with the reference vertex stay.

    Args:
        template: a mesh that passes `Template.check`.
        factors: one a level, 1 or more, of two decimals at most, to be met; none for the template alone. By default
            those of `factors_for`, where a level ends where the template's topology does.
        reference: vertex that the spirals are oriented by; `default_reference` if not given. The reference
            of a coarse level is its vertex nearest (Euclidean) to the fine one.
        cache: keep the result in ``<cache>/hierarchies``, by algorithm, template, factors and reference. A
            trained model stores its own copy (`Hierarchy.arrays`) and never depends on this cache.

    Raises:
        MeshError: for a template that does not pass `Template.check`, or cannot be decimated that far.
    """
    template.check()
    exact = factors is not None
    factors = factors_for(template) if factors is None else tuple(map(_number, factors))
    if not all(factor >= 1 and math.isclose(100 * factor, round(100 * factor)) for factor in factors):
        raise MeshError(f"factors {factors}: each must be 1 or more, and of two decimals at most")
    reference = default_reference(template) if reference is None else int(reference)
    if not 0 <= reference < template.n_vertices:
        raise MeshError(f"{template.name}: reference vertex {reference} out of 0 … {template.n_vertices - 1}")
    cache = cache and len(factors) > 0  # one level is built as quickly as it is read

    key = hash_arrays(salt=canonical_json([ALGORITHM, template.sha256, factors, reference, exact]))
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
    hierarchy: Hierarchy, template: Template, factors: tuple[float, ...], reference: int, path: Path, exact: bool
) -> None:
    """A sound file under another's name is as wrong as a damaged one."""
    sizes, finest = hierarchy.sizes, hierarchy.levels[0]
    belongs = (
        len(sizes) == len(factors) + 1
        and (sizes == sizes_of(template.n_vertices, factors) or not exact)
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


def _build(template: Template, factors: tuple[float, ...], reference: int, exact: bool = True) -> Hierarchy:
    levels = [Level(template.vertices, template.faces, reference)]
    kept, up_index, up_weight = [], [], []
    _, part = parts_of(template.n_vertices, template.faces)
    stays = np.isin(part, [part[reference], largest_part(template.vertices, template.faces, part)])
    for factor in factors:
        fine = levels[-1]
        _, target = sizes_of(len(fine.vertices), [factor])
        try:
            keep, faces = decimate(fine.vertices, fine.faces, target, exact=exact, stays=stays)
        except MeshError as error:
            sizes = [len(level.vertices) for level in levels]
            raise MeshError(
                f"{template.name}: level {len(levels)} of factors {factors} (sizes so far {sizes}): {error}. "
                "Use fewer or smaller factors"
            ) from None
        vertices, stays = fine.vertices[keep], stays[keep]
        index, weight = project(fine.vertices, fine.faces, keep, faces)
        levels.append(Level(vertices, faces, _nearest(vertices, template.vertices[reference])))
        kept.append(keep)
        up_index.append(index)
        up_weight.append(weight)
    return Hierarchy(tuple(levels), tuple(kept), tuple(up_index), tuple(up_weight))
