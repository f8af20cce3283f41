"""The hierarchy: topology and sizes of every level, decimation and projection against slow oracles, storage."""

from __future__ import annotations

import math
import warnings

import igl
import numpy as np
import pytest
from mesh_shapes import (
    boundary_loops,
    euler_characteristic,
    grid,
    head_with_eyes,
    icosphere,
    random_sphere,
    rotation,
    torus,
    wavy_with_hole,
)
from scipy.sparse import csgraph

from bench3dmm.errors import DataError, MeshError
from bench3dmm.mesh import decimation
from bench3dmm.mesh.decimation import decimate
from bench3dmm.mesh.geodesic import edge_graph, geodesic_distances
from bench3dmm.mesh.hierarchy import Hierarchy, Level, build_hierarchy, default_reference
from bench3dmm.mesh.spirals import spirals
from bench3dmm.mesh.template import Template
from bench3dmm.mesh.upsampling import closest_on_triangles
from bench3dmm.system.storage import read_npz, write_npz

SHAPES = {
    "sheet with a hole": wavy_with_hole(),
    "sphere": icosphere(3, radius=90.0),
    "irregular sphere": random_sphere(300),
    "torus": torus(),
    "flat": grid(17, 15, jitter=0.2),
}


@pytest.fixture(scope="module")
def built() -> dict[str, tuple[Template, Hierarchy]]:
    templates = {name: Template(*shape, name=name) for name, shape in SHAPES.items()}
    return {name: (t, build_hierarchy(t, (4, 4), cache=False)) for name, t in templates.items()}


@pytest.fixture(params=SHAPES)
def pair(request, built) -> tuple[Template, Hierarchy]:
    return built[request.param]


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
    ("n", "factors", "sizes"), [(642, (4, 4, 4), (642, 161, 41, 11)), (642, (2, 3), (642, 321, 107))]
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


def border_of(faces):
    edges = {(a, b) for f in faces.tolist() for a, b in zip(f, f[1:] + f[:1], strict=True)}
    return [a for a, b in edges if (b, a) not in edges]


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


# --- downsampling and upsampling -----------------------------------------------------------------------


def test_downsampling_undoes_upsampling(pair):
    _, hierarchy = pair
    for level, kept in enumerate(hierarchy.kept):
        down, up = hierarchy.downsampling(level), hierarchy.upsampling(level)
        assert np.array_equal((down @ up).toarray(), np.eye(len(kept)))
        dense = down.toarray()
        assert set(np.unique(dense)) == {0.0, 1.0}
        assert (dense.sum(1) == 1).all()
        assert np.array_equal(down @ hierarchy.levels[level].vertices, hierarchy.levels[level + 1].vertices)


def test_upsampling_rows_are_barycentric(pair):
    _, hierarchy = pair
    for level in range(2):
        index, weight = hierarchy.up_index[level], hierarchy.up_weight[level]
        n, n_coarse = hierarchy.sizes[level : level + 2]
        assert index.shape == weight.shape == (n, 3)
        assert index.dtype == np.int32
        assert weight.dtype == np.float64
        assert weight.min() >= 0
        assert np.abs(weight.sum(1) - 1).max() < 1e-12
        assert np.abs(hierarchy.upsampling(level).sum(1) - 1).max() < 1e-12
        kept = hierarchy.kept[level]
        assert (weight[kept] == [1, 0, 0]).all()
        assert (index[kept, 0] == np.arange(n_coarse)).all()
        triangles = {tuple(sorted(face)) for face in hierarchy.levels[level + 1].faces.tolist()}
        dropped = np.setdiff1d(np.arange(n), kept)
        assert {tuple(sorted(row)) for row in index[dropped].tolist()} <= triangles


def test_upsampling_is_the_dense_sum_of_its_rows(built):
    _, hierarchy = built["torus"]
    dense = np.zeros((hierarchy.sizes[0], hierarchy.sizes[1]))
    for i, (index, weight) in enumerate(zip(hierarchy.up_index[0], hierarchy.up_weight[0], strict=True)):
        for j, w in zip(index, weight, strict=True):
            dense[i, j] += w
    np.testing.assert_array_equal(hierarchy.upsampling(0).toarray(), dense)


def test_linear_functions_on_a_plane_come_back(built):
    _, hierarchy = built["flat"]
    for level in range(2):
        fine, coarse = (
            at.vertices[:, :2] @ [[0.3], [-1.7]] + 4.0 for at in (hierarchy.levels[level], hierarchy.levels[level + 1])
        )
        np.testing.assert_allclose(hierarchy.upsampling(level) @ coarse, fine, atol=1e-10)


@pytest.mark.parametrize("name", ["sheet with a hole", "sphere", "irregular sphere"])
def test_dropped_vertices_go_to_the_nearest_point_of_the_coarse_surface(built, name):
    """Against libigl, which searches all triangles; these surfaces do not come near themselves."""
    _, hierarchy = built[name]
    fine, coarse = hierarchy.levels[:2]
    squared, _, _ = igl.point_mesh_squared_distance(fine.vertices, coarse.vertices, coarse.faces.astype(np.int64))
    distance = np.linalg.norm(hierarchy.upsampling(0) @ coarse.vertices - fine.vertices, axis=1)
    np.testing.assert_allclose(distance, np.sqrt(squared), atol=1e-9 * np.ptp(fine.vertices))


def test_closed_lips_are_not_sewn_together():
    """A sheet folded onto itself at 1/50 of its edge length: nearest in space is not nearest on the surface."""
    vertices, faces = grid(41, 9, jitter=0.2)
    x, y = vertices[:, 0].copy(), vertices[:, 1]
    gap, bulge = 0.02, 0.3 * np.sin(np.minimum(x, 40 - x) / 2) * np.cos(y / 2)  # layers bulge alike
    folded = np.stack([np.abs(x - 20), y, np.where(x > 20, gap, 0.0) + bulge], axis=1)
    template = Template(folded, faces)
    hierarchy = build_hierarchy(template, (4,), cache=False)
    coarse = hierarchy.levels[1]
    far = [geodesic_distances(template, int(kept)) > 12 for kept in hierarchy.kept[0]]
    far = np.array(far).T  # (V, V'): on the other layer, and not near the fold
    assert far.any()

    used = hierarchy.up_weight[0] > 0
    assert not far[np.arange(len(folded))[:, None], hierarchy.up_index[0]][used].any()
    _, nearest, _ = igl.point_mesh_squared_distance(folded, coarse.vertices, coarse.faces.astype(np.int64))
    assert far[np.arange(len(folded))[:, None], coarse.faces[nearest]].any()  # which a search in space does


def test_closest_point_on_triangles_against_a_fine_sampling():
    rng = np.random.default_rng(5)
    points, triangles = rng.normal(size=(60, 3)), rng.normal(size=(60, 3, 3))
    triangles[:3] = triangles[:3, :1] + np.linspace(0, 1, 3)[:, None] * triangles[:3, 1:2]  # three are flat
    barycentric, squared = closest_on_triangles(points, triangles)
    assert barycentric.min() >= 0
    np.testing.assert_allclose(barycentric.sum(1), 1, atol=1e-14)
    at = (barycentric[:, :, None] * triangles).sum(1)
    np.testing.assert_allclose(((at - points) ** 2).sum(1), squared, rtol=1e-12)
    u, v = (part.ravel() for part in np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60)))
    grid_of = np.stack([1 - u - v, u, v], 1)[u + v <= 1 + 1e-12]
    for point, triangle, found in zip(points, triangles, squared, strict=True):
        sampled = ((grid_of @ triangle - point) ** 2).sum(1).min()
        step = max(np.linalg.norm(triangle - np.roll(triangle, 1, 0), axis=1)) / 59
        assert found <= sampled + 1e-12
        assert np.sqrt(sampled) <= np.sqrt(found) + step


# --- decimation ----------------------------------------------------------------------------------------


def slow_terms(vertices, faces):
    """For each vertex what its quadric adds up: (weight, normal, point) of a plane, (weight, None, point) of a
    point; and the vertices in units of the mean edge."""
    edge = [np.linalg.norm(vertices[f[i]] - vertices[f[i - 1]]) for f in faces for i in range(3)]
    points = (vertices - vertices.mean(0)) / np.mean(edge)
    terms = {i: [] for i in range(len(points))}
    for a, b, c in faces:
        normal = np.cross(points[b] - points[a], points[c] - points[a])
        area, normal = np.linalg.norm(normal) / 2, normal / np.linalg.norm(normal)
        for i in (a, b, c):
            terms[i] += [(area, normal, points[a]), (decimation.POINT_WEIGHT * area / 3, None, points[i])]
        for i, j in ((a, b), (b, c), (c, a)):
            if sum(i in f and j in f for f in faces) == 1:
                wall = np.cross(points[j] - points[i], normal)
                for k in (i, j):
                    terms[k].append((decimation.BORDER_WEIGHT * (wall @ wall), wall / np.linalg.norm(wall), points[i]))
    return terms, points


def slow_cost(terms, points, u, v):
    away = [(w, points[v] - p if n is None else n @ (points[v] - p)) for w, n, p in terms[u] + terms[v]]
    return sum(w * np.sum(d**2) for w, d in away)


def test_costs_are_the_weighted_squared_distances():
    vertices, faces = wavy_with_hole(9, 8)
    terms, points = slow_terms(vertices, faces)
    heap = decimation._Collapsing(vertices, faces).heap
    assert len(heap) == 2 * igl.edges(faces.astype(np.int64)).shape[0]
    for cost, u, v, _ in heap:
        assert cost == pytest.approx(slow_cost(terms, points, u, v), abs=2 * 10.0**-decimation.COST_DIGITS)


def slow_decimate(vertices, faces, target):
    """Garland and Heckbert as one would write it down: each step tries all edges, cheapest first, and does the
    first collapse after which the surface is still a manifold of the same topology with no turned triangle."""
    terms, points = slow_terms(vertices, faces)
    triangles = [tuple(f) for f in faces.tolist()]
    loops, euler = boundary_loops(faces), euler_characteristic(len(points), faces)

    def cost(u, v):
        return max(round(slow_cost(terms, points, u, v), decimation.COST_DIGITS), 0.0)

    def collapsed(u, v):
        shared = [t for t in triangles if u in t and v in t]
        if u in border_of(np.array(triangles)) and len(shared) != 1:
            return None
        moved = [t for t in triangles if u in t and v not in t]
        for t in moved:
            before, after = (np.array([points[v if i == u and new else i] for i in t]) for new in (False, True))
            n0, n1 = (np.cross(p[1] - p[0], p[2] - p[0]) for p in (before, after))
            longest = max(np.linalg.norm(after - np.roll(after, 1, 0), axis=1))
            cosine, height = decimation.LIMITS[0]
            if np.linalg.norm(n1) <= height * longest**2:
                return None
            if n0 @ n1 <= cosine * np.linalg.norm(n0) * np.linalg.norm(n1):
                return None
        new = [tuple(v if i == u else i for i in t) for t in triangles if t not in shared]
        left = sorted({i for t in new for i in t})
        if len(left) != n_alive - 1:
            return None
        ids = {i: k for k, i in enumerate(left)}
        renamed = np.array([[ids[i] for i in t] for t in new])
        try:
            Template(points[left], renamed).check()
        except MeshError:
            return None
        good = boundary_loops(renamed) == loops and euler_characteristic(len(left), renamed) == euler
        return (new, left, renamed) if good else None

    n_alive, left, renamed = len(points), list(range(len(points))), faces
    while n_alive > target:
        pairs = {(i, j) for t in triangles for i in t for j in t if i != j}
        for _, u, v in sorted((cost(u, v), u, v) for u, v in pairs):
            if (done := collapsed(u, v)) is not None:
                break
        triangles, left, renamed = done
        terms[v] = terms[u] + terms[v]
        n_alive -= 1
    return np.array(left), renamed


@pytest.mark.parametrize(
    ("shape", "target"),
    [
        (wavy_with_hole(7, 7), 16),
        (random_sphere(40), 8),
        (random_sphere(32, seed=1), 8),
        (icosphere(1, jitter=0.05), 8),
        (torus(7, 5), 18),
    ],
    ids=["sheet with a hole", "irregular sphere", "another", "sphere", "torus"],
)
def test_decimation_equals_the_slow_one(shape, target):
    kept, faces = decimate(*shape, target)
    slow_kept, slow_faces = slow_decimate(*shape, target)
    assert kept.tolist() == slow_kept.tolist()
    assert np.array_equal(faces, slow_faces)


def three_holes():
    """A sheet without three of its faces, apart from each other and from the border: holes of three edges."""
    vertices, faces = grid(7, 6)
    return vertices, np.delete(faces, [14, 30, 40], axis=0)


@pytest.mark.parametrize(
    "shape",
    [
        (np.vstack([np.eye(3), -np.ones(3)]), np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])),
        (np.eye(3), np.array([[0, 1, 2]])),
        icosphere(0),
        random_sphere(9),
        torus(7, 3),
        grid(2, 2),
        grid(5, 2),
        three_holes(),
        wavy_with_hole(7, 7),
    ],
    ids=["tetrahedron", "triangle", "icosahedron", "irregular", "thin torus", "two", "strip", "three holes", "hole"],
)
def test_the_topology_check_allows_what_leaves_the_topology_as_it_is(shape):
    vertices, faces = shape
    Template(vertices, faces).check()
    loops, euler, border = boundary_loops(faces), euler_characteristic(len(vertices), faces), border_of(faces)
    mesh = decimation._Collapsing(vertices, faces)
    scattered = np.random.default_rng(0).normal(size=vertices.shape)  # the outcome's shape is not the question
    for u, v in [(i, j) for i, beside in enumerate(mesh.neighbours) for j in beside]:
        shared = [f for f in faces.tolist() if u in f and v in f]
        left = np.array([[v if i == u else i for i in f] for f in faces.tolist() if f not in shared], int)
        left = left.reshape(-1, 3)
        used, renamed = np.unique(left, return_inverse=True)
        renamed = renamed.reshape(left.shape)
        try:
            Template((scattered if loops else vertices)[used], renamed).check()
            expected = len(used) == len(vertices) - 1
            expected &= boundary_loops(renamed) == loops and euler_characteristic(len(used), renamed) == euler
        except MeshError as error:
            assert "inside out" not in str(error)
            assert "zero area" not in str(error)
            expected = False
        expected &= u not in border or len(shared) == 1  # and a border vertex moves along its border
        assert mesh.keeps_topology(u, v) == expected, (u, v)


def test_flat_parts_go_first():
    vertices, faces = grid(16, 16, jitter=0.2)
    vertices[:, 2] = np.where(vertices[:, 0] > 8, np.sin(2 * vertices[:, 0]) * np.cos(2 * vertices[:, 1]), 0)
    kept, _ = decimate(vertices, faces, 128)
    assert (vertices[kept, 0] > 8).mean() > 0.75


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
    ],
)
def test_too_coarse_is_refused(shape, factors, message):
    with pytest.raises(MeshError, match=message):
        build_hierarchy(Template(*shape, name="bust"), factors, cache=False)


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


def test_every_part_of_a_mesh_stays():
    """A head and two eyeballs, as COMA's template: no part vanishes, and none mixes with another on the way up."""
    vertices, faces = head_with_eyes(4)
    hierarchy = build_hierarchy(Template(vertices, faces), cache=False)
    _, part = csgraph.connected_components(edge_graph(vertices, faces), directed=False)
    for level in range(4):
        coarse = part[hierarchy.kept[level]]
        assert set(coarse) == {0, 1, 2}
        used = hierarchy.up_weight[level] > 0
        assert (coarse[hierarchy.up_index[level]] == part[:, None])[used].all()
        part = coarse
    assert hierarchy.sizes[-1] == -(-len(vertices) // 256)
    assert all((hierarchy.spirals(level)[:, 1] >= 0).all() for level in range(5))
