"""The generated sets: counts, determinism, geometry, and what each mechanism promises."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sphere_sets import sphere_dataset

from bench3dmm.data import dataset_names, load_dataset, register_dataset
from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.data.synthetic.expressions import BU3DFE, COMA
from bench3dmm.data.synthetic.head import boundary_loops, load_head, load_topology
from bench3dmm.data.synthetic.makehuman import (
    GENERATOR_VERSION,
    Registration,
    batches,
    blinks,
    recipe,
    sample_table,
    sequence,
    shared_rig,
    smooth_noise,
    stream,
    subjects,
    variants,
)
from bench3dmm.data.synthetic.rig import MECHANISMS
from bench3dmm.errors import DataError, UnknownNameError

ALL = frozenset(MECHANISMS)
# Tip of the nose in the last mesh of the first person (or sequence), and its meshes' spread along x, y, z; mm.
PINNED = {
    "mh-scan": ((-1.557, -8.624, 103.27), (28.808, 34.039, 15.658)),
    "mh-seq": ((-0.189, -12.687, 103.943), (43.737, 50.595, 48.59)),
}


def bound_rig(name: str = "mh-scan", person: int = 0, mechanisms: frozenset[str] = ALL):
    made = recipe(name)
    subject = subjects(made)[person]
    return shared_rig().bind(subject, mechanisms, stream(made, "traits", subject.name))


def activation(batch: int = 1, **channels: float) -> np.ndarray:
    names = shared_rig().channels
    values = np.zeros((batch, len(names), 2))
    for name, value in channels.items():
        values[:, names.index(name)] = np.asarray(value).reshape(-1, 1)
    return values


def still(batch: int = 1) -> np.ndarray:
    return np.zeros((batch, 3))


def first_pieces(name: str, count: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    made = recipe(name)
    pieces = batches(made, sample_table(made))
    return [(rows, meshes) for rows, meshes, _ in (next(pieces) for _ in range(count))]


# --- tables -----------------------------------------------------------------------------------------------------


def test_mh_seq_counts_are_table_1_and_even_over_subjects():
    table = sample_table(recipe("mh-seq"))
    assert len(table) == 20466
    assert table["expression"].value_counts().to_dict() == TABLE1
    per_cell = table.groupby(["subject", "expression"]).size().unstack()
    assert per_cell.shape == (12, 12)
    assert (per_cell.max() - per_cell.min()).max() <= 1
    frames = table[(table["subject"] == "S03") & (table["expression"] == "eyebrow")]["frame"]
    assert frames.tolist() == list(range(len(frames)))


def test_mh_scan_counts_are_table_2_and_no_scan_repeats():
    table = sample_table(recipe("mh-scan"))
    assert len(table) == 1779
    assert table["expression"].value_counts().to_dict() == TABLE2
    assert not table.duplicated(["subject", "expression", "level"]).any()
    assert table["subject"].nunique() == 100
    assert table.groupby("subject").size().min() >= 2


def test_people_have_the_paper_s_shares():
    people = subjects(recipe("mh-scan"))
    assert sum(person.sex == "F" for person in people) == 56
    assert sum(person.sex == "M" for person in people) == 44
    ages = [person.age for person in people]
    assert min(ages) >= 18
    assert max(ages) <= 70
    assert all(abs(person.ancestry.sum() - 1) < 1e-12 for person in people)


def test_every_expression_has_a_description():
    assert set(COMA) == set(TABLE1)
    assert set(BU3DFE) == set(TABLE2)


# --- names, determinism, cache ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "hint"), [("mh-scam", "mh-scan"), ("mh-scan@no-yaw", "no-jaw")])
def test_wrong_names_are_answered_with_the_nearest(name, hint):
    with pytest.raises(UnknownNameError, match=f"Did you mean '{hint}'"):
        load_dataset(name)


def test_recipes_differ_exactly_where_the_data_do():
    hashes = [recipe(f"mh-scan@{variant}").sha256 for variant in variants()] + [recipe("mh-scan").sha256]
    assert len(set(hashes)) == len(hashes)
    assert recipe("mh-scan", seed=1).sha256 != recipe("mh-scan").sha256
    assert recipe("mh-scan").sha256 == recipe("mh-scan").sha256


def test_generation_is_deterministic_and_the_seed_matters():
    (_, once), (_, again) = first_pieces("mh-scan")[0], first_pieces("mh-scan")[0]
    np.testing.assert_array_equal(once, again)
    made = recipe("mh-scan", seed=1)
    _, other, _ = next(batches(made, sample_table(made)))
    assert np.abs(other[0] - once[0]).max() > 1


@pytest.mark.parametrize("name", ["mh-scan", "mh-seq"])
def test_the_data_of_this_generator_version_are_pinned(name):
    """A change that alters the data must count up GENERATOR_VERSION, or stale caches pass for new data."""
    meshes = first_pieces(name)[0][1]
    tip = Registration.of(recipe(name)).template.landmarks[30]
    assert GENERATOR_VERSION == 1
    np.testing.assert_allclose(meshes[-1, tip], PINNED[name][0], atol=2e-3)
    np.testing.assert_allclose(meshes.std(axis=(0, 1)), PINNED[name][1], atol=2e-3)


def test_clean_differs_from_the_set_by_the_published_noise_alone():
    (_, noisy), (_, clean) = first_pieces("mh-scan")[0], first_pieces("mh-scan@clean")[0]
    made = recipe("mh-scan")
    scale = Registration.of(made).noise_scale
    expected = np.hypot(made.smooth_noise_mm, made.white_noise_mm)
    full = scale[:, 0] == 1
    assert np.std((noisy - clean)[:, full]) == pytest.approx(expected, rel=0.05)
    assert np.abs(np.mean(noisy - clean)) < 0.01  # mm; chance alone gives about 0.002


def test_a_loaded_set_is_complete_and_damage_is_named(tmp_path, monkeypatch):
    from bench3dmm.data import cache

    monkeypatch.setenv("BENCH3DMM_CACHE", str(tmp_path))
    small = sample_table(recipe("mh-scan")).iloc[:40].reset_index(drop=True)
    monkeypatch.setattr("bench3dmm.data.synthetic.makehuman.sample_table", lambda made: small)
    monkeypatch.setattr(cache, "TABLE2", {"all": len(small)})
    dataset = load_dataset("mh-scan", progress=False)
    assert dataset.vertices.shape == (40, 6704, 3)
    assert isinstance(dataset.vertices, np.memmap)
    assert not dataset.vertices.flags.writeable
    assert dataset.samples.columns.tolist() == ["subject", "expression", "level", "frame", "sex", "age"]
    assert load_dataset("mh-scan").sha256 == dataset.sha256

    folder = cache.folder_of(recipe("mh-scan"))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # nothing half-made stays
    card = json.loads((folder / "card.json").read_text())
    assert card["license"] == "CC0-1.0"
    assert "not BU3DFE" in card["source"]
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o055, "others may read a shared cache"
    for file, content in whole.items():
        for damaged in (b"", content[: len(content) // 2]):
            (folder / file).write_bytes(damaged)
            with pytest.raises(DataError, match="delete the folder"):
                load_dataset("mh-scan")
        (folder / file).write_bytes(content)
    assert load_dataset("mh-scan").sha256 == dataset.sha256


def test_an_interrupted_generation_leaves_nothing(tmp_path, monkeypatch):
    from bench3dmm.data import cache

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setenv("BENCH3DMM_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "generate", stop)
    with pytest.raises(KeyboardInterrupt):
        load_dataset("mh-scan", progress=False)
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_user_s_dataset_can_be_registered(monkeypatch):
    monkeypatch.setattr("bench3dmm.data.registry._registered", {})
    register_dataset("mine", sphere_dataset)
    assert load_dataset("mine").name == "mine"
    assert "mine" in dataset_names()


# --- geometry ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "size", "borders"), [("mh-seq", 5023, 2), ("mh-scan", 6704, 2)])
def test_templates_are_clean(name, size, borders):
    template = Registration.of(recipe(name)).template
    template.check()
    assert template.n_vertices == size
    assert len(boundary_loops(template.faces)) == borders  # mouth and outer border; the eyes are closed
    assert len(np.unique(template.landmarks)) == 66
    extent = np.ptp(template.vertices, axis=0)
    assert (extent > 100).all()
    assert (extent < 300).all()


@pytest.mark.parametrize("name", ["mh-seq", "mh-scan"])
def test_landmarks_are_symmetric_and_where_they_should_be(name):
    points = Registration.of(recipe(name)).template.vertices
    points = points[Registration.of(recipe(name)).template.landmarks]
    jaw, brows, nose, right_eye, left_eye = points[:17], points[17:27], points[27:36], points[36:42], points[42:48]
    lips = points[48:]
    mirrored = jaw[::-1] * (-1, 1, 1)
    assert np.linalg.norm(jaw - mirrored, axis=1).max() < 6
    assert right_eye[:, 0].max() < 0 < left_eye[:, 0].min()
    assert brows[:, 1].min() > max(right_eye[:, 1].max(), left_eye[:, 1].max())
    assert lips[:, 1].max() < nose[:, 1].min() < nose[0, 1]
    assert jaw[8, 1] < lips[:, 1].min()
    assert nose[3, 2] == points[:, 2].max()  # the tip of the nose is the foremost landmark


def test_operators_are_affine():
    head = load_head()
    for name in ("seq", "scan"):
        operator = load_topology(head, name).operator
        np.testing.assert_allclose(np.asarray(operator.sum(axis=1)).ravel(), 1, atol=1e-12)


@pytest.mark.parametrize("name", ["mh-scan", "mh-seq"])
def test_no_triangle_is_degenerate_or_folded_where_faces_are_smooth(name):
    """Folds sharper than 120° occur only at lid and lip margins, nostrils and ears, and are few."""
    template = Registration.of(recipe(name)).template
    faces, points = template.faces, template.vertices
    pieces = first_pieces(name, 6)
    meshes = np.concatenate([meshes[:: 20 if name == "mh-seq" else 2] for _, meshes in pieces]).astype(float)
    corners = meshes[:, faces]
    normals = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    double_area = np.linalg.norm(normals, axis=2)
    assert double_area.min() > 1e-4
    normals /= double_area[:, :, None]
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    order = np.lexsort(edges.T)
    owner = np.tile(np.arange(len(faces)), 3)[order]
    inner = (edges[order][1:] == edges[order][:-1]).all(axis=1)
    bend = (normals[:, owner[:-1][inner]] * normals[:, owner[1:][inner]]).sum(axis=2)
    folded = bend < -0.5
    assert folded.mean() < 0.001
    place = points[edges[order][1:][inner]].mean(axis=1)
    creased = points[template.landmarks[27:]]  # nose, eyes, lips
    smooth = (np.linalg.norm(place[:, None] - creased, axis=2).min(axis=1) > 12) & (np.abs(place[:, 0]) < 65)
    assert smooth.mean() > 0.3
    assert not folded[:, smooth].any()


def test_meshes_are_aligned_on_the_stable_vertices():
    made = recipe("mh-scan@clean")
    registration = Registration.of(made)
    rng = np.random.default_rng(0)
    meshes = registration.template.vertices + rng.normal(0, 0.5, (4, 6704, 3))
    from scipy.spatial.transform import Rotation

    turned = meshes @ Rotation.from_euler("xyz", (20, -30, 10), degrees=True).as_matrix().T + (50, -20, 5)
    np.testing.assert_allclose(registration.align(turned), registration.align(meshes), atol=1e-9)
    stable = registration.stable
    expected, _ = Rotation.align_vectors(  # an independent Kabsch
        registration.template.vertices[stable] - registration.template.vertices[stable].mean(axis=0),
        turned[0, stable] - turned[0, stable].mean(axis=0),
    )
    rotated = expected.apply(turned[0] - turned[0, stable].mean(axis=0))
    moved = registration.align(turned[:1])[0] - registration.template.vertices[stable].mean(axis=0)
    np.testing.assert_allclose(moved, rotated, atol=1e-6)


# --- mechanisms -------------------------------------------------------------------------------------------------


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


# --- motion -----------------------------------------------------------------------------------------------------


def test_sequences_go_from_neutral_to_the_apex_and_back():
    motion, level, _ = sequence("high_smile", 160, np.random.default_rng(0))
    smile = motion[:, shared_rig().channels.index("smile")].mean(axis=1)
    assert level[0] == level[-1] == 0
    assert level.max() > 0.9
    assert smile[70:100].mean() > 0.7
    assert abs(smile[0]) < 0.15
    assert np.abs(np.diff(smile)).max() < 0.12  # no jumps between frames


def test_blinks_close_and_open_again():
    closure = blinks(4000, np.random.default_rng(1))
    assert closure.max() > 0.9
    assert 0.005 < (closure > 0.5).mean() < 0.1
    for seed in range(200):
        closure = blinks(100, np.random.default_rng(seed))
        assert closure[0] == 0
        assert closure[-1] < 1e-3  # no blink is cut off


def test_smooth_noise_has_unit_variance_and_the_correlation_asked_for():
    noise = smooth_noise(4000, 8, 10, np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=0.1)
    lag = (noise[:-10] * noise[10:]).mean()
    assert lag == pytest.approx(np.exp(-0.25), abs=0.1)  # a Gaussian kernel's autocorrelation at one width
