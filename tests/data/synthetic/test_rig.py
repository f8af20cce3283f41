"""What each mechanism of the rig promises."""

from __future__ import annotations

import numpy as np
import pytest
from rigs import ALL, activation, bound_rig, still

from bench3dmm.data.synthetic.head import load_head
from bench3dmm.data.synthetic.makehuman import shared_rig


def test_without_mechanisms_posing_is_linear_in_activation():
    rig = bound_rig(mechanisms=frozenset())
    n = load_head().n_skin
    drive = {"smile": 0.6, "jaw_open": 0.7, "blink": 0.5, "frown": 0.3}
    rest = rig.pose(activation(), still())[0, :n]
    whole = rig.pose(activation(**drive), still())[0, :n] - rest
    parts = sum(rig.pose(activation(**{name: value}), still())[0, :n] - rest for name, value in drive.items())
    np.testing.assert_allclose(whole, parts, atol=1e-9)


def test_the_jaw_turns_about_its_joint_instead_of_moving_straight():
    opening = np.linspace(0, 1, 5)
    n = load_head().n_skin
    chin = int(np.argmin(np.linalg.norm(load_head().base[:n] - (0, 602, 134), axis=1)))

    def path(mechanisms):
        return bound_rig(mechanisms=mechanisms).pose(activation(5, jaw_open=opening), still(5))[:, chin]

    def sagitta(points):
        chord = (points[-1] - points[0]) / np.linalg.norm(points[-1] - points[0])
        offset = points - points[0]
        return np.linalg.norm(offset - (offset @ chord)[:, None] * chord, axis=1).max()

    assert sagitta(path(frozenset())) < 1e-9
    assert sagitta(path(frozenset({"jaw"}))) > 0.5


def test_lids_stay_outside_the_eyeball_and_meet():
    closure = np.linspace(0, 1, 6)
    rig = bound_rig(mechanisms=frozenset({"lids"}))
    head = load_head()
    skin = rig.pose(activation(6, blink=closure), still(6))[:, : head.n_skin]
    for side, (centre, radius) in enumerate(rig.eyeballs):
        moved = np.linalg.norm(rig.blink[side], axis=1) > 1e-3
        assert np.linalg.norm(skin[:, moved] - centre, axis=2).min() > radius
        for margin in shared_rig().lids[side]:
            middle = margin.taper == 1
            gap = margin.gap(skin)[:, middle]
            assert gap.min() > 0
            assert gap[-1].max() < 0.6 * gap[0].max()


@pytest.mark.parametrize("person", [0, 50, 99])
def test_lips_touch_and_do_not_pass_through_each_other(person):
    pressed = activation(press=1.0, shrug_lower=1.0)

    def least_gap(mechanisms):
        skin = bound_rig(person=person, mechanisms=mechanisms).pose(pressed, still())
        return min(margin.gap(skin)[:, margin.taper == 1].min() for margin in shared_rig().lips)

    assert least_gap(frozenset()) < -2  # blendshapes alone run the lips through each other
    assert least_gap(frozenset({"lips"})) > -0.1


def test_squeezed_skin_bulges_outwards_and_stretched_skin_sinks():
    rig = bound_rig(mechanisms=frozenset({"tissue"}))
    squeezed = rig.rest[None] * (0.97, 0.97, 0.97)
    stretched = rig.rest[None] * (1.03, 1.03, 1.03)
    outward = (rig.bulge(squeezed) * rig.normals).sum(axis=2)
    inward = (rig.bulge(stretched) * rig.normals).sum(axis=2)
    assert outward.max() > 0.1
    assert outward.min() > -1e-6
    assert inward.max() < 1e-6
    np.testing.assert_allclose(rig.bulge(rig.rest[None]), 0, atol=1e-9)


def test_style_makes_people_move_differently():
    n = load_head().n_skin

    def motion(person, mechanisms):
        rig = bound_rig(person=person, mechanisms=mechanisms)
        smile = rig.pose(activation(smile=1.0), still())[0, :n]
        return smile - rig.pose(activation(), still())[0, :n]

    plain, styled = frozenset(), frozenset({"style"})
    np.testing.assert_allclose(motion(0, plain), motion(1, plain), atol=1e-9)
    assert np.abs(motion(0, styled) - motion(1, styled)).max() > 1


def test_pose_bends_the_neck_and_leaves_the_face():
    rig = bound_rig("mh-seq", mechanisms=frozenset({"pose"}))
    bent = rig.pose(activation(), np.radians([[8.0, 0, 0]]))[0] - rig.pose(activation(), still())[0]
    base = load_head().base[: load_head().n_skin]
    face = (base[:, 2] > 100) & (base[:, 1] > 640)
    moved = np.linalg.norm(bent[: len(base)], axis=1)
    assert moved[face].max() < 0.2
    assert moved[base[:, 1] < 610].max() > 2


@pytest.mark.parametrize(
    ("mechanism", "quiet"),
    [("jaw", {"smile": 0.5}), ("lids", {"jaw_open": 0.5}), ("pose", {"smile": 0.5}), ("lips", {"jaw_open": 0.6})],
)
def test_switching_a_mechanism_changes_nothing_else(mechanism, quiet):
    """Where it has nothing to do a mechanism does nothing, and nobody's random traits depend on it."""
    n = load_head().n_skin
    full = bound_rig().pose(activation(**quiet), still())[0, :n]
    without = bound_rig(mechanisms=ALL - {mechanism}).pose(activation(**quiet), still())[0, :n]
    touched = {
        "jaw": np.zeros(n, bool),
        "pose": np.zeros(n, bool),
        "lids": np.linalg.norm(np.abs(load_head().base[:n]) - (31, 728, 135), axis=1) < 35,
        "lips": np.linalg.norm(load_head().base[:n] - (0, 661, 145), axis=1) < 45,
    }[mechanism]
    np.testing.assert_allclose(full[~touched], without[~touched], atol=1e-9)
