"""The hierarchy: topology and sizes of every level, storage and cache."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import igl
import numpy as np
import pytest
from hierarchy_shapes import SHAPES
from mesh_shapes import (
    border_of,
    boundary_loops,
    euler_characteristic,
    grid,
    head_with_eyes,
    icosphere,
    rotation,
    torus,
    wavy_with_hole,
)
from scipy.sparse import csgraph

from bench3dmm.data.synthetic.parts import head_with_eyeballs
from bench3dmm.data.synthetic.sizes import template_of
from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh.geodesic import edge_graph
from bench3dmm.mesh.hierarchy import (
    COARSEST,
    FACTORS,
    PER_BORDER,
    Hierarchy,
    Level,
    build_hierarchy,
    default_reference,
    described,
    factors_for,
    sizes_of,
)
from bench3dmm.mesh.spirals import spirals
from bench3dmm.mesh.template import Template
from bench3dmm.system.storage import read_npz, write_npz


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH3DMM_CACHE", str(tmp_path))
    return tmp_path / "hierarchies"


def same(one: Hierarchy, other: Hierarchy) -> bool:
    """Compared array by array, not by hash."""
    arrays = [[x for level in h.levels for x in (level.vertices, level.faces, level.reference)] for h in (one, other)]
    lists = [[*h.kept, *h.up_index, *h.up_weight] for h in (one, other)]
    first, second = (a + b for a, b in zip(arrays, lists, strict=True))
    return len(first) == len(second) and all(map(np.array_equal, first, second))


# --- every level ---------------------------------------------------------------------------------------


def test_sizes_are_a_quarter_rounded_up(pair):
    template, hierarchy = pair
    n = template.n_vertices
    assert hierarchy.sizes == (n, math.ceil(n / 4), math.ceil(math.ceil(n / 4) / 4))
    assert [len(kept) for kept in hierarchy.kept] == list(hierarchy.sizes[1:])


@pytest.mark.parametrize(
    ("n", "factors", "sizes"),
    [
        (642, (4, 4, 4), (642, 161, 41, 11)),
        (642, (2, 3), (642, 321, 107)),
        (642, (1.07, 2.5), (642, 600, 240)),  # 642 / 1.07 is a little more than 600 in floating point
        (642, (1, 2), (642, 642, 321)),
        (642, (), (642,)),
    ],
)
def test_other_factors(n, factors, sizes):
    assert build_hierarchy(Template(*icosphere(3)), factors, cache=False).sizes == sizes


def test_coarse_vertices_are_fine_vertices_in_order(pair):
    template, hierarchy = pair
    assert np.array_equal(hierarchy.levels[0].vertices, template.vertices)
    assert np.array_equal(hierarchy.levels[0].faces, template.faces)
    for fine, coarse, kept in zip(hierarchy.levels, hierarchy.levels[1:], hierarchy.kept, strict=False):
        assert (np.diff(kept) > 0).all()
        assert np.array_equal(coarse.vertices, fine.vertices[kept])


def test_each_level_is_a_manifold_of_the_same_topology(pair):
    template, hierarchy = pair
    loops = boundary_loops(template.faces)
    euler = euler_characteristic(template.n_vertices, template.faces)
    for level in hierarchy.levels:
        Template(level.vertices, level.faces).check()
        assert boundary_loops(level.faces) == loops
        assert euler_characteristic(len(level.vertices), level.faces) == euler


def test_the_shapes_are_of_different_topology():
    found = {name: (boundary_loops(f), euler_characteristic(len(v), f)) for name, (v, f) in SHAPES.items()}
    assert found["sheet with a hole"] == (2, 0)
    assert found["sphere"] == found["irregular sphere"] == (0, 2)
    assert found["torus"] == (0, 0)
    assert found["flat"] == (1, 1)


def test_border_vertices_stay_on_their_border(built):
    _, hierarchy = built["sheet with a hole"]
    for fine, coarse, kept in zip(hierarchy.levels, hierarchy.levels[1:], hierarchy.kept, strict=False):
        on_fine, on_coarse = (set(border_of(level.faces)) for level in (fine, coarse))
        assert {int(kept[i]) for i in on_coarse} == on_fine & set(kept.tolist())


def test_no_triangle_is_turned():
    vertices, faces = icosphere(3)
    for level in build_hierarchy(Template(vertices, faces), (4, 4, 4), cache=False).levels:
        assert (np.linalg.det(level.vertices[level.faces]) > 0).all()
    flat = build_hierarchy(Template(*grid(17, 15, jitter=0.2)), (4, 4), cache=False)
    for level in flat.levels:
        corners = level.vertices[level.faces]
        assert (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0).all()
        assert coarse_area(level) == pytest.approx(16 * 14)  # the corners and straight sides are kept


def coarse_area(level: Level) -> float:
    corners = level.vertices[level.faces]
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2


def test_the_reference_is_the_vertex_nearest_to_the_fine_one(pair):
    template, hierarchy = pair
    fine = template.vertices[hierarchy.levels[0].reference]
    for level in hierarchy.levels:
        distance = np.linalg.norm(level.vertices - fine, axis=1)
        assert distance[level.reference] == pytest.approx(distance.min(), rel=1e-9)


def test_the_default_reference_is_the_nose_tip():
    vertices, faces = wavy_with_hole()
    vertices = vertices + np.outer(np.exp(-((vertices[:, :2] - [4, 4]) ** 2).sum(1)), [0, 0, 5])
    tip = int(vertices[:, 2].argmax())
    around = np.argsort(np.linalg.norm(vertices[:, :2] - vertices[tip, :2], axis=1))[:9]
    assert default_reference(Template(vertices, faces, around)) == tip


@pytest.mark.parametrize("name", ["sheet with a hole", "irregular sphere"])
def test_pose_unit_and_rounding_noise_do_not_matter(built, name):
    template, hierarchy = built[name]
    noise = 1e-12 * np.random.default_rng(0).normal(size=template.vertices.shape)
    for moved in (template.vertices + noise, 0.001 * template.vertices @ rotation().T + [1.0, 0.2, -3.0]):
        other = build_hierarchy(Template(moved, template.faces), (4, 4), hierarchy.levels[0].reference, cache=False)
        for kept, expected in zip(other.kept, hierarchy.kept, strict=True):
            assert np.array_equal(kept, expected)
        for level in range(2):
            difference = other.upsampling(level) - hierarchy.upsampling(level)
            assert abs(difference).max() < 1e-6


def test_the_same_template_gives_the_same_hierarchy(pair):
    template, hierarchy = pair
    again = build_hierarchy(Template(template.vertices.copy(), template.faces.copy()), (4, 4), cache=False)
    assert same(again, hierarchy)
    assert again.sha256 == hierarchy.sha256


@pytest.mark.parametrize(
    ("shape", "factors", "message"),
    [
        (icosphere(0), (4,), r"bust: level 1 of factors \(4,\) .* stops at 4 vertices, 3 wanted"),
        (torus(), (4, 4, 4), r"level 3 .*\(sizes so far \[288, 72, 18\]\).*topology"),
        (grid(3, 3), (0,), "factors"),
        (grid(3, 3), (1.005,), "two decimals"),
    ],
)
def test_too_coarse_is_refused(shape, factors, message):
    with pytest.raises(MeshError, match=message):
        build_hierarchy(Template(*shape, name="bust"), factors, cache=False)


@pytest.mark.parametrize("shape", [torus(), icosphere(1), grid(5, 5)], ids=["torus", "sphere", "sheet"])
def test_by_default_a_level_ends_where_the_topology_does(shape, cache, monkeypatch):
    monkeypatch.setattr("bench3dmm.mesh.hierarchy.factors_for", lambda template: FACTORS)  # more than can be met
    vertices, faces = shape
    template = Template(vertices, faces, name="bust")
    with pytest.raises(MeshError, match="stops at"):
        build_hierarchy(template, (4, 4, 4, 4))
    hierarchy = build_hierarchy(template)
    assert len(hierarchy.sizes) == 5 and hierarchy.sizes[1] == -(-len(vertices) // 4)
    loops, euler = boundary_loops(faces), euler_characteristic(len(vertices), faces)
    for i, level in enumerate(hierarchy.levels):
        Template(level.vertices, level.faces).check()
        assert (boundary_loops(level.faces), euler_characteristic(len(level.vertices), level.faces)) == (loops, euler)
        if i:
            np.testing.assert_allclose(hierarchy.upsampling(i - 1).sum(axis=1), 1)
    assert described(hierarchy, FACTORS).endswith("where the topology ends it")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(build_hierarchy(template), hierarchy), "also from the cache"
        with pytest.raises(MeshError, match="stops at"):
            build_hierarchy(template, (4, 4, 4, 4))


# --- factors that follow the template ------------------------------------------------------------------


def test_sizes_are_those_of_exact_numbers():
    for n in range(1, 400):
        for hundredths in range(100, 425, 7):
            exact = math.ceil(Fraction(n * 100, hundredths))
            assert sizes_of(n, [hundredths / 100]) == (n, exact)


@pytest.mark.parametrize("name", ["mh-seq", "mh-scan"])
def test_the_embedded_templates_have_the_published_factors(name):
    template = template_of(name)
    assert factors_for(template) == FACTORS
    assert [len(part) for part in build_hierarchy(template, cache=False).parts] == [1] * 5


@pytest.mark.parametrize("n", [3, 12, 20, 21, 42, 72, 100, 300, 600, 1000, 2562, 4800, 4863, 4865, 5023, 20000])
def test_a_smaller_template_gets_one_factor_that_leaves_the_coarsest_level_just_enough(n):
    one, *others = factors_for(strip(n))
    assert others == [one] * 3
    assert sizes_of(n, [one] * 4)[-1] >= min(n, COARSEST)
    if 1 < one < 4:
        assert n / (one + 0.01) ** 4 < COARSEST <= n / one**4
    else:
        assert one == (4 if n > 256 * (COARSEST - 1) else 1)


def strip(n: int) -> Template:
    """A strip of n vertices, one border."""
    ids = np.arange(n - 2)
    faces = np.stack([ids, ids + 1, ids + 2], 1)
    faces[1::2] = faces[1::2, [1, 0, 2]]
    return Template(np.stack([np.arange(n) / 2, np.arange(n) % 2, np.zeros(n)], 1), faces)


def test_more_borders_need_more_vertices():
    vertices, faces = grid(40, 40)
    holed = np.delete(faces, np.arange(200, 200 + 17 * 117, 117), axis=0)  # 17 holes of a triangle, and the sheet's own
    template = Template(vertices, holed)
    assert boundary_loops(holed) == 18
    hierarchy = build_hierarchy(template, cache=False)
    assert PER_BORDER * 18 <= hierarchy.sizes[-1] == sizes_of(1600, factors_for(template))[-1] <= 80
    assert boundary_loops(hierarchy.levels[-1].faces) == 18


def test_borders_of_parts_that_may_vanish_do_not_count():
    vertices, faces = icosphere(3, 100.0)
    flat, triangles = grid(2, 2)
    flakes = [flat + np.array([3.0 * i, 0, -120]) for i in range(30)]
    joined = [faces, *(triangles + len(vertices) + 4 * i for i in range(30))]
    template = Template(np.vstack([vertices, *flakes]), np.vstack(joined))
    assert boundary_loops(template.faces) == 30
    hierarchy = build_hierarchy(template, cache=False)
    assert hierarchy.sizes == sizes_of(762, factors_for(template))
    assert hierarchy.parts[-1].tolist() == [21] + 30 * [0]


def test_a_template_that_does_not_pass_check_is_refused():
    vertices, faces = grid(4, 4)
    with pytest.raises(MeshError, match="isolated vertex 16"):
        build_hierarchy(Template(np.vstack([vertices, [[9.0, 9, 9]]]), faces), (4,), cache=False)
    with pytest.raises(MeshError, match="reference vertex 16 out of 0 … 15"):
        build_hierarchy(Template(vertices, faces), (4,), 16, cache=False)


# --- spirals of a level, storage, cache ----------------------------------------------------------------


def test_spirals_are_those_of_the_level_and_computed_once(built):
    _, hierarchy = built["sheet with a hole"]
    for i, level in enumerate(hierarchy.levels):
        found = hierarchy.spirals(i, 2, 2)
        expected = spirals(level.vertices, level.faces, hops=2, dilation=2, reference=level.reference)
        assert np.array_equal(found, expected)
        assert hierarchy.spirals(i, hops=2, dilation=2) is found


def test_a_saved_hierarchy_comes_back_with_its_spirals(tmp_path, pair):
    _, hierarchy = pair
    stored = [hierarchy.spirals(0), hierarchy.spirals(1, 2, 2)]
    hierarchy.save(tmp_path / "h.npz")
    again = Hierarchy.load(tmp_path / "h.npz")
    assert same(again, hierarchy)
    assert again.sha256 == hierarchy.sha256
    assert set(again._spirals) == set(hierarchy._spirals)
    assert np.array_equal(again.spirals(0), stored[0])
    assert np.array_equal(again.spirals(1, 2, 2), stored[1])


def tamperings():
    def edit(key, at, change):
        def apply(arrays):
            arrays[key] = arrays[key].copy()
            arrays[key][at] += change

        return apply

    yield "a vertex", edit("vertices_1", (3, 0), 1e-12)
    yield "a face", lambda arrays: arrays.update(faces_0=arrays["faces_0"][::-1])
    yield "a weight", edit("up_weight_0", (0, 1), 1e-15)
    yield "a kept vertex", edit("kept_1", 2, 1)
    yield "a reference", lambda arrays: arrays.update(reference_0=np.int64(0))
    yield "a spiral", edit("spirals_0_1_1", (5, 1), 1)
    yield "a type", lambda arrays: arrays.update(vertices_0=arrays["vertices_0"].astype(np.float32))
    yield "a missing array", lambda arrays: arrays.pop("up_index_1")
    yield "missing spirals", lambda arrays: arrays.pop("spirals_0_1_1")
    yield "no meta", lambda arrays: arrays.pop("meta")


@pytest.mark.parametrize("tamper", [pytest.param(t, id=name) for name, t in tamperings()])
def test_an_edited_hierarchy_is_refused(tmp_path, built, tamper):
    _, hierarchy = built["flat"]
    hierarchy.spirals(0)
    hierarchy.save(tmp_path / "h.npz")
    arrays = read_npz(tmp_path / "h.npz")
    tamper(arrays)
    write_npz(tmp_path / "h.npz", arrays)
    with pytest.raises(DataError, match=r"h\.npz"):
        Hierarchy.load(tmp_path / "h.npz")


def test_a_damaged_file_is_refused_or_harmless(tmp_path):
    hierarchy = build_hierarchy(Template(*grid(5, 5, jitter=0.2)), (2,), cache=False)
    path = tmp_path / "h.npz"
    hierarchy.save(path)
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 41):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        try:
            assert same(Hierarchy.load(path), hierarchy)  # a byte that says nothing, as a time stamp
        except DataError:
            refused += 1
        path.write_bytes(whole[:at])
        with pytest.raises(DataError, match=r"h\.npz"):
            Hierarchy.load(path)
    assert refused > 20
    with pytest.raises(DataError, match="no such file"):
        Hierarchy.load(tmp_path / "nowhere.npz")


def test_the_cache_is_read_the_second_time(cache, monkeypatch):
    template = Template(*wavy_with_hole())
    first = build_hierarchy(template, (4,))
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr("bench3dmm.mesh.hierarchy._build", lambda *_: pytest.fail("built again"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(build_hierarchy(template, (4,)), first)


def test_template_factors_and_reference_each_have_their_own_entry(cache):
    vertices, faces = wavy_with_hole()
    template = Template(vertices, faces)
    build_hierarchy(template, (4,))
    build_hierarchy(template, (2,))
    build_hierarchy(template, (4,), 3)
    build_hierarchy(Template(vertices * 2, faces), (4,))
    build_hierarchy(template, (4,))
    assert len(list(cache.iterdir())) == 4
    build_hierarchy(template, (3,), cache=False)
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("damage", ["truncated", "edited", "another's", "not an npz"])
def test_a_damaged_cache_file_is_built_again_aloud(cache, damage):
    template = Template(*wavy_with_hole())
    first = build_hierarchy(template, (4,))
    (path,) = cache.iterdir()
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "edited":
        arrays = read_npz(path)
        arrays["vertices_1"] = arrays["vertices_1"] + 1e-9
        write_npz(path, arrays)
    elif damage == "another's":
        build_hierarchy(Template(template.vertices * 2, template.faces), (4,), cache=False).save(path)
    else:
        path.write_text("gone")
    with pytest.warns(UserWarning, match=rf"{path.name}: .*building the cached hierarchy again"):
        assert same(build_hierarchy(template, (4,)), first)
    assert same(Hierarchy.load(path), first)


# --- parts ---------------------------------------------------------------------------------------------


def test_parts_do_not_mix_on_the_way_up_until_one_vanishes():
    """A head and two eyeballs, as COMA's template."""
    vertices, faces = head_with_eyes(4)
    hierarchy = build_hierarchy(Template(vertices, faces), cache=False)
    _, part = csgraph.connected_components(edge_graph(vertices, faces), directed=False)
    left = []
    for level in range(4):
        coarse = part[hierarchy.kept[level]]
        left.append(sorted(set(coarse.tolist())))
        used = hierarchy.up_weight[level] > 0
        stays = np.isin(part, coarse)
        assert (coarse[hierarchy.up_index[level]] == part[:, None])[used & stays[:, None]].all()
        np.testing.assert_allclose(hierarchy.upsampling(level).sum(axis=1), 1)
        assert hierarchy.up_weight[level].min() >= 0
        assert hierarchy.parts[level + 1].tolist() == np.bincount(coarse, minlength=3).tolist()
        part = coarse
    assert left == [[0, 1, 2]] * 3 + [[0]]
    assert hierarchy.sizes == sizes_of(len(vertices), factors_for(Template(vertices, faces)))
    assert all((hierarchy.spirals(level)[:, 1] >= 0).all() for level in range(5))
    assert described(hierarchy, (3.59,) * 4).endswith("of 3 parts 2 vanish (2 at level 4; 1,284 vertices)")


def test_a_vertex_of_a_part_that_vanishes_rides_on_the_nearest_triangle_that_is_left():
    hierarchy = build_hierarchy(Template(*head_with_eyes(3)), cache=False)
    (level,) = (i for i in range(4) if hierarchy.parts[i].all() and not hierarchy.parts[i + 1].all())
    fine, coarse = hierarchy.levels[level], hierarchy.levels[level + 1]
    _, part = csgraph.connected_components(edge_graph(fine.vertices, fine.faces), directed=False)
    gone = np.flatnonzero(part > 0)
    assert len(gone) == 16
    index, weight = hierarchy.up_index[level], hierarchy.up_weight[level]
    at = (coarse.vertices[index[gone]] * weight[gone][..., None]).sum(1)
    squared, *_ = igl.point_mesh_squared_distance(fine.vertices[gone], coarse.vertices, coarse.faces.astype(np.int64))
    np.testing.assert_allclose(((at - fine.vertices[gone]) ** 2).sum(1), squared, rtol=1e-9)
    faces = {tuple(face) for face in coarse.faces.tolist()}
    assert all(tuple(row) in faces for row in index[gone].tolist())


def test_the_largest_part_and_that_of_the_reference_vertex_stay():
    vertices, faces = head_with_eyes(3)
    template = Template(vertices, faces)
    eye = len(vertices) - 1
    assert build_hierarchy(template, cache=False).parts[-1].tolist() == [21, 0, 0]
    assert build_hierarchy(template, reference=eye, cache=False).parts[-1].tolist() == [17, 0, 4]


def test_a_head_with_eyeballs_keeps_its_coarsest_vertices_for_the_head():
    """COMA's numbers: parts kept to their last vertices left the head 12 of 20, as few as its four borders allow."""
    template = head_with_eyeballs().template
    template.check()
    hierarchy = build_hierarchy(template, cache=False)
    assert factors_for(template) == FACTORS
    assert hierarchy.sizes == (5023, 1256, 314, 79, 20)
    assert hierarchy.parts[0].tolist() == [3931, 546, 546]
    assert hierarchy.parts[3].all() and hierarchy.parts[4].tolist() == [20, 0, 0]


def test_eyeballs_follow_their_eyes():
    heads = head_with_eyeballs()
    turn = rotation()
    moved = 1.1 * heads.rest @ turn.T + [3.0, 2.0, 1.0]
    expected = 1.1 * heads.template.vertices @ turn.T + [3.0, 2.0, 1.0]
    np.testing.assert_allclose(heads.of(np.stack([heads.rest, moved])), [heads.template.vertices, expected], atol=1e-9)
