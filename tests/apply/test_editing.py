"""Editing by regions."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_shapes import icosphere

from bench3dmm.apply.editing import affine, displacements_of, region_border, sample_region, swap_region
from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.mesh.partition import patches
from bench3dmm.tasks.parts.edits import HandleEditor

VERTICES, FACES = icosphere(3, radius=50.0)
PARTITION = patches(VERTICES, FACES, count=6, controlled=3)
NAME = "patch 2"
CONTROLS = PARTITION.controls[NAME]


class Recorder:
    """Leaves meshes as they are, and remembers what it was told."""

    def __call__(self, sources, displacements):
        self.sources, self.displacements = sources, displacements
        return sources


def test_displacements_by_name():
    by_vertex = np.arange(3 * len(CONTROLS)).reshape(-1, 3)
    moved = displacements_of(PARTITION, {"patch 1": (1, 2, 3), NAME: by_vertex})
    spans = PARTITION.control_spans
    assert (moved[spans["patch 1"]] == (1, 2, 3)).all() and (moved[spans["patch 3"]] == 0).all()
    np.testing.assert_array_equal(moved[spans[NAME]], by_vertex)


@pytest.mark.parametrize("given", [(1, 2), np.zeros((2, 3)), (1, 2, np.nan), np.zeros((3, 8))])
def test_displacements_of_another_shape_are_refused(given):
    with pytest.raises(DataError, match=rf"{NAME} must be finite numbers of shape \(3,\) or \(8, 3\)"):
        displacements_of(PARTITION, {NAME: given})


def test_a_region_without_control_vertices_is_named():
    with pytest.raises(UnknownNameError, match="patch 6"):
        displacements_of(PARTITION, {"patch 6": (0, 0, 1)})


def test_border_vertices_have_a_neighbour_in_another_region():
    border = region_border(PARTITION, FACES, NAME)
    label = PARTITION.names.index(NAME)
    expected = {
        int(v)
        for face in FACES
        for v in face
        if PARTITION.labels[v] == label and (PARTITION.labels[face] != label).any()
    }
    assert set(border.tolist()) == expected


def test_affine_finds_an_affine_map_from_some_points():
    rng = np.random.default_rng(0)
    points, matrix, shift = rng.normal(size=(60, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    np.testing.assert_allclose(affine(points, points @ matrix + shift, np.arange(10)), points @ matrix + shift)


def test_a_donor_that_is_an_affine_image_asks_for_nothing():
    """Where the whole head is larger or elsewhere, its nose is not another nose."""
    editor, donor = Recorder(), 1.3 * VERTICES @ np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 0.8]]) + (4, 5, 6)
    swap_region(editor, PARTITION, FACES, VERTICES, donor, NAME)
    assert np.abs(editor.displacements).max() < 1e-9


def test_a_swapped_region_comes_from_the_donor():
    """Of a bump that does not reach the border all is taken over, and only there."""
    middle = VERTICES[CONTROLS[0]]
    height = np.zeros(len(VERTICES))
    inside = np.flatnonzero(PARTITION.labels == PARTITION.names.index(NAME))
    inside = np.setdiff1d(inside, region_border(PARTITION, FACES, NAME))
    height[inside] = 3 * np.exp(-(np.linalg.norm(VERTICES[inside] - middle, axis=1) ** 2) / 200)
    donor = VERTICES + height[:, None] * VERTICES / 50
    editor = Recorder()
    swap_region(editor, PARTITION, FACES, VERTICES, donor, NAME)
    span = PARTITION.control_spans[NAME]
    np.testing.assert_allclose(editor.displacements[0, span], (donor - VERTICES)[CONTROLS], atol=1e-9)
    editor.displacements[0, span] = 0
    assert (editor.displacements == 0).all()
    swapped = swap_region(HandleEditor(PARTITION), PARTITION, FACES, VERTICES, donor, NAME)
    np.testing.assert_allclose(swapped[CONTROLS], donor[CONTROLS], atol=1e-6)


def test_sampled_regions_have_the_examples_mean_and_spread():
    rng = np.random.default_rng(0)
    heights = rng.normal(2, 0.5, size=400)
    inside = np.setdiff1d(
        np.flatnonzero(PARTITION.labels == PARTITION.names.index(NAME)), region_border(PARTITION, FACES, NAME)
    )
    lifted = np.zeros((len(VERTICES), 1))
    lifted[inside] = 1
    examples = VERTICES + heights[:, None, None] * lifted * VERTICES / 50
    editor = Recorder()
    sample_region(editor, PARTITION, FACES, VERTICES, examples, NAME, 500, seed=1)
    lifts = (editor.displacements[:, PARTITION.control_spans[NAME]] * (VERTICES[CONTROLS] / 50)).sum(axis=2)
    free = np.isin(CONTROLS, inside)
    assert lifts[:, free].mean() == pytest.approx(2, abs=0.1) and lifts[:, free].std() == pytest.approx(0.5, abs=0.08)
    assert np.abs(lifts[:, free] - lifts[:, free][:, :1]).max() < 1e-6  # together, as in the examples
    sample_region(editor, PARTITION, FACES, VERTICES, examples, NAME, 3, scale=0)
    assert np.ptp(editor.displacements, axis=0).max() < 1e-9
