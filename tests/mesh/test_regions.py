"""Regions of a face: mirrored, on the embedded templates, and found again on a template that says nothing of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mesh_shapes import icosphere
from scipy.spatial import cKDTree

from bench3dmm.data.faces import face_regions
from bench3dmm.data.synthetic.sizes import template_of
from bench3dmm.mesh.regions import REGIONS, lay_over, similarity
from bench3dmm.mesh.template import Template

NO_LANDMARKS = np.array([], dtype=np.int32)


def turned(vertices, angle=0.15, scale=0.9, shift=(3.0, 20.0, -50.0)):
    cos, sin = np.cos(angle), np.sin(angle)
    return scale * vertices @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]).T + shift


@pytest.mark.parametrize("name", ["mh-scan", "mh-seq"])
def test_landmarks_lie_in_their_regions(name):
    template = template_of(name)
    labels = face_regions(template)
    of_landmark = [REGIONS[label] for label in labels[template.landmarks]]
    assert set(of_landmark[17:27]) == set(of_landmark[36:48]) == {"eyes"}
    assert set(of_landmark[27:36]) == {"nose"}
    assert set(of_landmark[48:66]) == {"mouth"}
    assert "mouth" not in of_landmark[:5]  # the jaw line's ends, at the ears
    assert all((labels == i).sum() > 100 for i in range(len(REGIONS)))


@pytest.mark.parametrize("name", ["mh-scan", "mh-seq"])
def test_regions_are_mirror_images(name):
    template = template_of(name)
    labels = face_regions(template)
    distance, partner = cKDTree(template.vertices * (-1, 1, 1)).query(template.vertices)
    paired = distance < 0.5
    assert paired.mean() > 0.9
    assert (labels[paired] == labels[partner[paired]]).mean() > 0.97


@pytest.mark.parametrize("name", ["mh-scan", "mh-seq"])
def test_regions_are_found_without_landmarks_on_another_person_moved_turned_and_scaled(name):
    template = template_of(name)
    slimmer = template.vertices * (0.93, 1.03, 1.0)
    other = Template(turned(slimmer), template.faces, NO_LANDMARKS, name="another")
    assert (face_regions(other) == face_regions(template)).mean() > 0.95


def test_landmarks_in_another_order_are_not_taken_for_ours():
    template = template_of("mh-scan")
    shuffled = dataclasses.replace(template, landmarks=np.random.default_rng(0).permutation(template.landmarks))
    assert (face_regions(shuffled) == face_regions(template)).mean() > 0.95


def test_what_is_no_face_has_no_regions():
    vertices, faces = icosphere(3, radius=80.0)
    assert face_regions(Template(vertices * (1, 3, 0.2), faces, NO_LANDMARKS, name="pancake")) is None


def test_similarity_is_recovered():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    scale, found, shift = similarity(points, 2.5 * points @ rotation.T + (1, 2, 3))
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(found, rotation, atol=1e-12)
    np.testing.assert_allclose(shift, (1, 2, 3), atol=1e-12)


def test_a_reflection_is_no_rotation():
    points = np.random.default_rng(0).normal(size=(50, 3))
    _, rotation, _ = similarity(points, points * (-1, 1, 1))
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_a_template_laid_over_itself_is_where_it_was():
    template = template_of("mh-scan")
    moved, left = lay_over(turned(template.vertices), template)
    assert np.linalg.norm(moved - template.vertices, axis=1).mean() < 0.5
    assert left < 0.005
