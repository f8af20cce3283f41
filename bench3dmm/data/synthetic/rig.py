"""From a neutral head and muscle activations to a posed face, with the mechanisms that make real faces nonlinear.

Without any mechanism the model is a plain blendshape rig, linear in identity and in activation. Each mechanism is
argued from anatomy or from how scans are made, and can be switched off by name:

- ``jaw``: the mandible turns about the temporomandibular joints of this very head and slides forward as it opens
  (an arc), carrying the lower-face muscles' displacements with it. Off: a straight displacement.
- ``lids``: eyelids slide on the eyeball (arcs around its centre, never through it). Off: straight lines.
- ``lips``: upper and lower lip touch and do not pass through each other. Off: they may.
- ``tissue``: soft tissue is incompressible, so skin that is squeezed bulges by its thickness; thicker tissue moves
  less. Off: no bulge, the same motion on everyone.
- ``style``: muscles attach and act differently in each person (smooth gain fields), and the action units of the
  ancestries differ in shape. Off: everyone has the average units.
- ``pose``: the neck bends while the scan is aligned to the face, and alignment leaves a small rigid error.
  Off: a still neck, perfect alignment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from bench3dmm.data.synthetic.expressions import CHANNELS
from bench3dmm.data.synthetic.head import Head, one_ring_average, smoothstep, unique_edges
from bench3dmm.data.synthetic.subjects import ANCESTRIES, Subject

MECHANISMS = ("jaw", "lids", "lips", "tissue", "style", "pose")

LEFT_RIGHT_BLEND_MM = 12.0  # width of the seam between the two sides' activations
UNIT_SMOOTHING = 3  # one-ring averages that take the creases out of the units
TMJ = np.array([[66.0, 704.0, 58.0], [-66.0, 704.0, 58.0]])  # jaw joints on the base mesh
PIVOT_SPREAD_MM = 2.5
CONDYLE_SLIDE_MM = np.array([0.0, -1.5, 5.0])  # forward and down at full opening
LID_CLEARANCE_MM = 0.5
FULL_CLOSURE = 0.95
LIP_SOFTNESS_MM = 0.25
LIP_REST_GAP_MM = 0.35
LIP_REACH_MM, LIP_CORNER_MM = 8.0, 7.0
LID_SOFTNESS_MM = 0.3
LID_REACH_MM, LID_CORNER_MM = 4.0, 5.0
GAIN_SPREAD = 0.25
GAIN_LIMITS = (0.5, 1.25)  # stronger than that, units crease the cheeks
GAIN_CENTRES = ((0, 760, 140), (45, 740, 120), (-45, 740, 120), (40, 700, 120), (-40, 700, 120), (0, 690, 150),
                (30, 655, 130), (-30, 655, 130), (0, 615, 130))  # fmt: skip
GAIN_WIDTH_MM = 35.0
# Soft-tissue thickness (mm) at points of the base mesh, after forensic depth tables: thin on the forehead and the
# bridge of the nose, thick on the cheeks.
THICKNESS = (((0, 770, 140), 4.5), ((45, 735, 120), 6.0), ((-45, 735, 120), 6.0), ((0, 715, 150), 4.0),
             ((45, 690, 110), 15.0), ((-45, 690, 110), 15.0), ((50, 640, 80), 16.0), ((-50, 640, 80), 16.0),
             ((0, 670, 150), 11.0), ((0, 615, 135), 10.0), ((0, 830, 20), 5.0))  # fmt: skip
BULGE = 0.5
BULGE_LIMIT_MM = 3.0


@dataclass(frozen=True, eq=False)
class Margin:
    """One side of an opening — a lip or a lid — against the other.

    Attributes:
        line: (P,) vertex ids; other: (Q,) ids of the opposite margin.
        facing: (P, Q) rows that interpolate the opposite margin at each vertex.
        spread: (n_skin, P) carries a correction of the margin to the flesh around it.
        taper: (P,) 1 along the margin, falling to 0 at the corners, where both sides are one.
        up: 1 for the upper side, -1 for the lower.
    """

    line: np.ndarray
    other: np.ndarray
    facing: np.ndarray
    spread: np.ndarray
    taper: np.ndarray
    up: float

    def gap(self, skin: np.ndarray) -> np.ndarray:
        """(B, P) vertical opening in skins (B, n_skin, 3); negative where the sides overlap."""
        return self.up * (skin[:, self.line, 1] - skin[:, self.other, 1] @ self.facing.T)

    def move_apart(self, skin: np.ndarray, push: np.ndarray) -> None:
        """Move this side away from the other by ``push`` (B, P) mm, in place."""
        skin[:, :, 1] += self.up * ((push * self.taper) @ self.spread.T)


def part(skin: np.ndarray, margins: tuple[Margin, Margin], softness: float) -> None:
    """Where two margins would pass through each other, let them meet half-way, in place."""
    for _ in range(2):
        gaps = [margin.gap(skin) for margin in margins]
        for margin, gap in zip(margins, gaps, strict=True):
            margin.move_apart(skin, (softplus(gap, softness) - gap) / 2)


@dataclass(frozen=True, eq=False)
class Rig:
    """What posing needs of the base head, computed once."""

    head: Head

    @cached_property
    def channels(self) -> tuple[str, ...]:
        return tuple(CHANNELS)

    @cached_property
    def left(self) -> np.ndarray:
        """(n_skin,) share of the left side's activation, 1 on the subject's left."""
        x = self.head.base[: self.head.n_skin, 0]
        return 1 / (1 + np.exp(-x / (LEFT_RIGHT_BLEND_MM / 2)))

    @cached_property
    def skin_smoothing(self) -> sparse.csr_matrix:
        """(n_skin, n_skin) one-ring average that leaves lid margins and the lip line alone."""
        n = self.head.n_skin
        average = one_ring_average(unique_edges(self.head.skin_quads), n)
        fixed = np.zeros(n)
        fixed[np.concatenate([self.head.mouth_loop, *self.head.eye_loops])] = 1
        return (sparse.diags(1 - fixed) @ average + sparse.diags(fixed)).tocsr()

    def smooth(self, field: np.ndarray, times: int) -> np.ndarray:
        for _ in range(times):
            field = self.skin_smoothing @ field
        return field

    @cached_property
    def units(self) -> np.ndarray:
        """(ancestry 3, channel K, side 2, n_skin, 3) displacement of each channel at full activation, mm."""
        n, sides = self.head.n_skin, np.stack([self.left, 1 - self.left])[:, :, None]
        fields = np.zeros((len(ANCESTRIES), len(CHANNELS), 2, n, 3))
        for k, (left, right, common, ethnic) in enumerate(CHANNELS.values()):
            for side, names in enumerate((left, right)):
                for name in names:
                    fields[:, k, side] += self.smooth(self.head.target(f"arkit/{name}")[:n], 1)
            for name in common:
                fields[:, k] += sides * self.smooth(self.head.target(f"arkit/{name}")[:n], 1)
            for race, ancestry in enumerate(ANCESTRIES):
                for name in ethnic:
                    unit = self.smooth(self.head.target(f"unit/{ancestry}/{name}")[:n], UNIT_SMOOTHING)
                    fields[race, k] += sides * unit
        return fields

    @cached_property
    def gain_basis(self) -> np.ndarray:
        """(9, n_skin) smooth bumps over the face for the per-subject gain fields."""
        skin = self.head.base[: self.head.n_skin]
        distance = np.linalg.norm(skin[None] - np.array(GAIN_CENTRES, float)[:, None], axis=2)
        return np.exp(-0.5 * (distance / GAIN_WIDTH_MM) ** 2)

    @cached_property
    def thickness(self) -> np.ndarray:
        """(n_skin,) average soft-tissue thickness, mm."""
        skin = self.head.base[: self.head.n_skin]
        points = np.array([point for point, _ in THICKNESS], float)
        weight = np.exp(-0.5 * (np.linalg.norm(skin[:, None] - points, axis=2) / 30.0) ** 2) + 1e-9
        return weight @ np.array([depth for _, depth in THICKNESS]) / weight.sum(axis=1)

    @cached_property
    def bulge_mask(self) -> np.ndarray:
        """(n_skin,) 0 at lids, lips, ears and neck, where area changes for other reasons than squeezing; 1 else."""
        head, skin = self.head, self.head.base[: self.head.n_skin]
        rims = np.concatenate([head.mouth_loop, *head.eye_loops])
        near = self.geodesic(rims)
        face = 1 / (1 + np.exp(-(skin[:, 2] - 85) / 8))
        return face * (1 - np.exp(-((near / 12.0) ** 2)))

    @cached_property
    def edge_graph(self) -> sparse.csr_matrix:
        skin = self.head.base[: self.head.n_skin]
        edges = unique_edges(self.head.skin_quads)
        length = np.linalg.norm(skin[edges[:, 0]] - skin[edges[:, 1]], axis=1)
        return sparse.csr_matrix((length, edges.T), (len(skin), len(skin)))

    def geodesic(self, sources: np.ndarray) -> np.ndarray:
        """(n_skin,) shortest edge path to the nearest source, mm."""
        return dijkstra(self.edge_graph, directed=False, indices=sources, min_only=True)

    @cached_property
    def lips(self) -> tuple[Margin, Margin]:
        """Upper and lower inner lip line."""
        return self._margins(self.head.mouth_loop, LIP_REACH_MM, LIP_CORNER_MM)

    @cached_property
    def lids(self) -> list[tuple[Margin, Margin]]:
        """Upper and lower lid margin, left then right eye."""
        return [self._margins(loop, LID_REACH_MM, LID_CORNER_MM) for loop in self.head.eye_loops]

    def _margins(self, loop: np.ndarray, reach: float, corner: float) -> tuple[Margin, Margin]:
        """The two sides of an opening, from its left to its right corner."""
        skin = self.head.base
        loop = np.roll(loop, -int(skin[loop, 0].argmax()))
        right = int(skin[loop, 0].argmin())
        one, two = loop[: right + 1], np.append(loop[right:], loop[0])[::-1]
        upper, lower = (one, two) if skin[one, 1].mean() > skin[two, 1].mean() else (two, one)
        return self._margin(upper, lower, 1.0, reach, corner), self._margin(lower, upper, -1.0, reach, corner)

    def _margin(self, line: np.ndarray, other: np.ndarray, up: float, reach: float, corner: float) -> Margin:
        x, inner = self.head.base[:, 0], line[1:-1]
        facing = np.stack([np.interp(-x[inner], -x[other], row) for row in np.eye(len(other))], axis=1)
        distance = dijkstra(self.edge_graph, directed=False, indices=inner).T
        weight = np.exp(-((distance / 2.0) ** 2)) + 1e-12
        share = np.exp(-((distance.min(axis=1) / reach) ** 2))
        share[share < 1e-3] = 0
        spread = share[:, None] * weight / weight.sum(axis=1, keepdims=True)
        to_corner = np.minimum(x[line[0]] - x[inner], x[inner] - x[line[-1]])
        return Margin(inner, other, facing, spread, smoothstep(to_corner / corner), up)

    @cached_property
    def neck_bend(self) -> np.ndarray:
        """(n_skin,) share of the neck's bend, 0 on the head, up to 1 at the lower border."""
        head = self.head
        weight = 1 - head.arrays["skin_head"] - head.arrays["skin_jaw"]
        below_face = smoothstep((650 - head.base[: head.n_skin, 1]) / 60)
        return self.smooth(np.clip(weight[: head.n_skin], 0, 1) * below_face, 8)

    def bind(self, subject: Subject, mechanisms: frozenset[str], rng: np.random.Generator) -> BoundRig:
        return BoundRig(self, subject, mechanisms, rng)


class BoundRig:
    """The rig of one person. Random traits are always drawn, so that a mechanism's switch changes nothing else."""

    def __init__(self, rig: Rig, subject: Subject, mechanisms: frozenset[str], rng: np.random.Generator) -> None:
        self.rig, self.on = rig, mechanisms
        head, n, channels = rig.head, rig.head.n_skin, rig.channels
        self.eyeballs = head.eyeballs(subject.shape)
        self.rest = close_lips(rig, subject.shape[:n])
        gain_weights = rng.normal(0.0, GAIN_SPREAD, (len(channels), len(GAIN_CENTRES)))
        pivot_offset = rng.normal(0.0, PIVOT_SPREAD_MM, 3) * (0, 1, 1)
        slide = rng.uniform(0.5, 1.5)

        ancestry = subject.ancestry if "style" in mechanisms else np.full(len(ANCESTRIES), 1 / len(ANCESTRIES))
        units = np.tensordot(ancestry, rig.units, axes=1)
        shared_blink = units[channels.index("blink")].copy()  # lids close fully in everyone: no gain, no build
        if "style" in mechanisms:
            gain = np.clip(1 + gain_weights @ rig.gain_basis, *GAIN_LIMITS)
            units = units * gain[:, None, :, None]
        build = 1 + 0.5 * (subject.weight - 0.5) + 0.2 * (subject.muscle - 0.5) - 0.002 * (subject.age - 44)
        self.thickness = rig.thickness * build
        if "tissue" in mechanisms:
            units = units / np.sqrt(build)
        self.blink = shared_blink
        self.jaw = units[channels.index("jaw_open")].sum(axis=0)
        linear = units.copy()
        linear[[channels.index("blink"), channels.index("jaw_open")]] = 0
        self.linear = linear.reshape(2 * len(channels), 3 * n)

        joints = [self.rest[np.argmin(np.linalg.norm(head.base[:n] - joint, axis=1))] for joint in TMJ]
        self.pivot = np.mean(joints, axis=0) * (0, 1, 1) + pivot_offset
        self.slide = slide * CONDYLE_SLIDE_MM
        self.neck_pivot = np.array([0.0, self.rest[:, 1].min() + 25.0, 0.0])
        self.normals, self.areas = normals_and_areas(self.rest[None], head.skin_quads)

    def pose(self, activation: np.ndarray, bend: np.ndarray) -> np.ndarray:
        """Pose the head.

        Args:
            activation: (B, K, 2) left and right activation of every channel.
            bend: (B, 3) neck rotation vector, radians.

        Returns:
            (B, n_vertices, 3) mm, skin and eye surfaces, in the head's own frame.
        """
        batch, channels = len(activation), self.rig.channels
        skin = self.rest + (activation.reshape(batch, -1) @ self.linear).reshape(batch, -1, 3)
        if "tissue" in self.on:
            skin = skin + self.bulge(skin)
        skin = self.close_lids(skin, activation[:, channels.index("blink")])
        skin = self.open_jaw(skin, activation[:, channels.index("jaw_open")].mean(axis=1))
        if "lips" in self.on:
            part(skin, self.rig.lips, LIP_SOFTNESS_MM)
        if "pose" in self.on:
            skin = self.bend_neck(skin, bend)
        return self.rig.head.place_eyes(skin, self.eyeballs)

    def bulge(self, skin: np.ndarray) -> np.ndarray:
        """Outward displacement of squeezed skin: thickness grows as area shrinks (incompressibility)."""
        _, areas = normals_and_areas(skin, self.rig.head.skin_quads)
        growth = np.log(self.areas / np.maximum(areas, 1e-6))
        growth = self.rig.smooth(growth.T, 4).T * self.rig.bulge_mask
        shift = BULGE_LIMIT_MM * np.tanh(BULGE * self.thickness * growth / BULGE_LIMIT_MM)
        return shift[:, :, None] * self.normals

    def close_lids(self, skin: np.ndarray, closure: np.ndarray) -> np.ndarray:
        """Move the lids by their closing unit, on arcs around the eyeball where ``lids`` is on."""
        skin = skin.copy()
        for side, (centre, radius) in enumerate(self.eyeballs):
            amount = (FULL_CLOSURE * closure[:, side])[:, None, None]
            moved = np.flatnonzero(np.linalg.norm(self.blink[side], axis=1) > 1e-3)
            start = skin[:, moved]
            end = start + self.blink[side][moved]
            if "lids" not in self.on:
                skin[:, moved] = start + amount * (end - start)
                continue
            skin[:, moved] = centre + arc(start - centre, end - centre, amount)
            floor = radius + LID_CLEARANCE_MM
            for _ in range(3):  # parting moves lids towards the eyeball, lifting them off it moves them together
                part(skin, self.rig.lids[side], LID_SOFTNESS_MM)
                arm = skin[:, moved] - centre
                distance = np.linalg.norm(arm, axis=2, keepdims=True)
                skin[:, moved] = centre + arm * ((floor + softplus(distance - floor, 0.3)) / distance)
        return skin

    def open_jaw(self, skin: np.ndarray, opening: np.ndarray) -> np.ndarray:
        """Turn the lower face about the jaw joints by the angle that the opening unit asks of each vertex."""
        opening = opening[:, None]
        if "jaw" not in self.on:
            return skin + opening[:, :, None] * self.jaw
        arm = self.rest - self.pivot
        tangent = np.stack([np.zeros(len(arm)), -arm[:, 2], arm[:, 1]], axis=1)  # (1, 0, 0) × arm
        length2 = np.maximum((tangent**2).sum(axis=1), 1.0)
        angle = (self.jaw * tangent).sum(axis=1) / length2
        rest_of_unit = self.jaw - angle[:, None] * tangent
        share = angle / np.abs(angle).max()
        moved = skin + opening[:, :, None] * rest_of_unit
        y, z = moved[:, :, 1] - self.pivot[1], moved[:, :, 2] - self.pivot[2]
        cos, sin = np.cos(opening * angle), np.sin(opening * angle)
        moved[:, :, 1] = self.pivot[1] + cos * y - sin * z
        moved[:, :, 2] = self.pivot[2] + sin * y + cos * z
        return moved + (opening * np.abs(share))[:, :, None] * self.slide

    def bend_neck(self, skin: np.ndarray, bend: np.ndarray) -> np.ndarray:
        """Turn the neck under the head: the head is where alignment holds it, so the neck moves."""
        angle = np.linalg.norm(bend, axis=1)[:, None]
        axis = (bend / np.maximum(angle, 1e-12))[:, None, :]
        turn = angle * self.rig.neck_bend
        cos, sin = np.cos(turn)[:, :, None], np.sin(turn)[:, :, None]
        arm = skin - self.neck_pivot - (0.0, 60.0, 0.0)
        along = (arm * axis).sum(axis=2, keepdims=True) * axis
        turned = cos * arm + sin * np.cross(np.broadcast_to(axis, arm.shape), arm) + (1 - cos) * along
        return skin + (turned - arm)


def close_lips(rig: Rig, skin: np.ndarray) -> np.ndarray:
    """A neutral skin (n_skin, 3) with the mouth closed: the base mesh's lips stand a little apart."""
    skin = skin[None].copy()
    for _ in range(6):
        gaps = [lip.gap(skin) for lip in rig.lips]
        for lip, gap in zip(rig.lips, gaps, strict=True):
            lip.move_apart(skin, (LIP_REST_GAP_MM - gap) / 2)
    return skin[0]


def arc(start: np.ndarray, end: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """From start to end (…, 3) around the origin: direction and length are interpolated apart."""
    lengths = [np.linalg.norm(v, axis=-1, keepdims=True) for v in (start, end)]
    direction = (1 - amount) * start / lengths[0] + amount * end / lengths[1]
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return ((1 - amount) * lengths[0] + amount * lengths[1]) * direction


def softplus(x: np.ndarray, softness: float) -> np.ndarray:
    """Smooth max(x, 0); equals x far above zero."""
    return np.logaddexp(0.0, x / softness) * softness


def normals_and_areas(skin: np.ndarray, quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vertex normals (B, V, 3) and one-ring areas (B, V) of quad meshes (B, V, 3)."""
    diagonal1 = skin[:, quads[:, 2]] - skin[:, quads[:, 0]]
    diagonal2 = skin[:, quads[:, 3]] - skin[:, quads[:, 1]]
    cross = np.cross(diagonal1, diagonal2) / 2
    n = skin.shape[1]
    gather = sparse.csr_matrix((np.ones(quads.size), (quads.ravel(), np.repeat(np.arange(len(quads)), 4))))
    total = (gather @ cross.transpose(1, 0, 2).reshape(len(quads), -1)).reshape(n, len(skin), 3)
    areas = (gather @ np.linalg.norm(cross, axis=2).T).T / 4
    normals = total.transpose(1, 0, 2)
    return normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12), areas
