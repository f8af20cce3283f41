"""Editing meshes by regions: displacements by name, regions of somebody else, random regions.

Everything ends in displacements of control vertices, given to any editor (see `bench3dmm.tasks.parts.edits`); those of
a region that is not edited are zero (LAMM, section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.mesh.partition import Partition
from bench3dmm.tasks.parts.edits import Editor
from bench3dmm.tasks.parts.latent import LatentGaussian


def displacements_of(partition: Partition, by_region: Mapping[str, ArrayLike]) -> np.ndarray:
    """(C, 3) mm for all control vertices, zero where nothing is given.

    Args:
        by_region: for each region that is edited one (3,) for all of its control vertices, or (n, 3), one for each.

    Raises:
        UnknownNameError: for a region that has no control vertices.
        DataError: displacements of another shape, or not finite.
    """
    result = np.zeros((len(partition.control_ids), 3))
    for name, given in by_region.items():
        span = control_span(partition, name)
        moved = np.asarray(given, dtype=np.float64)
        count = span.stop - span.start
        if moved.shape not in ((3,), (count, 3)) or not np.isfinite(moved).all():
            raise DataError(
                f"displacements of {name} must be finite numbers of shape (3,) or ({count}, 3) in mm, not {moved.shape}"
            )
        result[span] = moved
    return result


def control_span(partition: Partition, name: str) -> slice:
    """Where a region's control vertices stand among all. Raises UnknownNameError, with the nearest name."""
    if name not in partition.control_spans:
        raise UnknownNameError("region with control vertices", name, partition.control_spans)
    return partition.control_spans[name]


def swap_region(
    editor: Editor, partition: Partition, faces: np.ndarray, mesh: np.ndarray, donor: np.ndarray, name: str
) -> np.ndarray:
    """A mesh with a region of another: (V, 3) mm each.

    The donor's region is laid into the mesh by the affine map that brings its border nearest the mesh's, in the least
    squares; the control vertices then go to where the donor's are.

    Raises:
        UnknownNameError: for a region that has no control vertices.
    """
    span = control_span(partition, name)
    controls = partition.control_ids[span]
    laid = affine(donor, mesh, region_border(partition, faces, name))
    moved = np.zeros((1, len(partition.control_ids), 3))
    moved[0, span] = laid[controls] - mesh[controls]
    return editor(mesh[None], moved)[0]


def sample_region(
    editor: Editor,
    partition: Partition,
    faces: np.ndarray,
    mesh: np.ndarray,
    examples: np.ndarray,
    name: str,
    count: int,
    seed: int = 0,
    scale: float = 1.0,
) -> np.ndarray:
    """A mesh (V, 3) with random shapes of one region, (count, V, 3) mm: drawn from a Gaussian of its control vertices.

    Args:
        examples: (m, V, 3) mm; each one's region is laid into the mesh as `swap_region` does, which gives one sample of
            where control vertices can be.
        scale: of the deviation; 0 gives the mean of the examples ``count`` times.

    Raises:
        UnknownNameError: for a region that has no control vertices.
    """
    span = control_span(partition, name)
    controls = partition.control_ids[span]
    border = region_border(partition, faces, name)
    placed = np.stack([(affine(example, mesh, border)[controls] - mesh[controls]).ravel() for example in examples])
    drawn = LatentGaussian.fit(placed).sample(count, np.random.default_rng(seed), scale)
    moved = np.zeros((count, len(partition.control_ids), 3))
    moved[:, span] = drawn.reshape(count, -1, 3)
    return editor(np.broadcast_to(mesh, (count, *mesh.shape)), moved)


def region_border(partition: Partition, faces: np.ndarray, name: str) -> np.ndarray:
    """Ids of a region's vertices that are joined to another region."""
    return np.unique(partition.border_edges(faces, name)[:, 0])


def affine(points: np.ndarray, onto: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Points (V, 3) by the affine map that brings those of ``rows`` nearest to ``onto``'s, in the least squares."""
    homogeneous = np.column_stack([points, np.ones(len(points))])
    return homogeneous @ np.linalg.lstsq(homogeneous[rows], onto[rows], rcond=None)[0]
