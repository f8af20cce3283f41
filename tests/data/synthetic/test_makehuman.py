"""The generated sets: counts, determinism, geometry and motion."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench3dmm.data import load_dataset
from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.data.synthetic.head import boundary_loops
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
    subjects,
    variants,
)
from bench3dmm.errors import DataError, UnknownNameError

# Tip of the nose in the last mesh of the first person (or sequence), and its meshes' spread along x, y, z; mm.
PINNED = {
    "mh-scan": ((-1.557, -8.624, 103.27), (28.808, 34.039, 15.658)),
    "mh-seq": ((-0.189, -12.687, 103.943), (43.737, 50.595, 48.59)),
}


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
