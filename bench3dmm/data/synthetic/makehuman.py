"""The embedded sets, generated from CC0 assets: `mh-seq` (expression sequences) and `mh-scan` (single scans).

They copy the *structure* of COMA and of the registered BU3DFE — people, expressions, mesh counts, vertex counts —
and none of their data. Everything is drawn from one seed; every draw has its own named random stream, so switching
a mechanism or the noise off changes nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.data.synthetic.expressions import BU3DFE, CHANNELS, COACTIVATION, COMA
from bench3dmm.data.synthetic.head import (
    LANDMARKS,
    PACK,
    Topology,
    load_head,
    load_topology,
    one_ring_average,
    smoothstep,
    unique_edges,
)
from bench3dmm.data.synthetic.rig import MECHANISMS, Rig
from bench3dmm.data.synthetic.subjects import Subject, sample_subject
from bench3dmm.errors import UnknownNameError
from bench3dmm.mesh.template import Template
from bench3dmm.system.storage import canonical_json

GENERATOR_VERSION = 1  # part of a recipe's hash: count up when a change alters the data
SETS = ("mh-seq", "mh-scan")
SEQ_SUBJECTS = 12
SCAN_SUBJECTS = {"F": 56, "M": 44}
LEVELS = (0.45, 0.65, 0.85, 1.0)  # activation at BU3DFE's four intensity levels
FRAMES_PER_SECOND = 60
BLINKS_PER_SECOND = 0.3
BLINK_FRAMES = 14
STYLE_SPREAD = 0.15  # of a person's strength of each action in each expression
ASYMMETRY_SPREAD = 0.12
JITTER = 0.03  # restless activation of an expression's own channels
NECK_BEND_DEG = 5.0
FINE_EDGE_MM = 1.0  # noise shrinks where the template's edges are shorter


@dataclass(frozen=True)
class Recipe:
    """All that decides the content of a generated set; equal recipes give equal data."""

    base: str
    variant: str = ""
    mechanisms: tuple[str, ...] = MECHANISMS
    smooth_noise_mm: float = 0.0  # standard deviation per coordinate, correlated over a few vertices
    white_noise_mm: float = 0.0  # standard deviation per coordinate
    residual_rotation_deg: float = 0.0  # standard deviation per axis left by rigid alignment
    residual_shift_mm: float = 0.0
    seed: int = 0
    version: int = GENERATOR_VERSION

    @property
    def name(self) -> str:
        return f"{self.base}@{self.variant}" if self.variant else self.base

    @property
    def sha256(self) -> str:
        """Over the fields and the asset pack: what generates the data, without generating it."""
        fields = {key: value for key, value in asdict(self).items() if key != "variant"}
        pack = hashlib.sha256(PACK.read_bytes()).hexdigest()
        return hashlib.sha256(canonical_json({**fields, "pack": pack}).encode()).hexdigest()


NOISE = {"mh-seq": (0.06, 0.02), "mh-scan": (0.15, 0.05)}  # smooth and white, mm
RESIDUAL = {"mh-seq": (0.3, 0.2), "mh-scan": (0.8, 0.6)}  # rotation in degrees, shift in mm


def variants() -> list[str]:
    """What may follow ``@``: the full set without noise, without any mechanism, without one, with one only."""
    return [
        "clean",
        "linear",
        *(f"no-{mechanism}" for mechanism in MECHANISMS),
        *(f"only-{mechanism}" for mechanism in MECHANISMS),
    ]


def recipe(name: str, seed: int = 0) -> Recipe:
    """The recipe of ``mh-seq``, ``mh-scan`` or a variant such as ``mh-scan@no-jaw``.

    Every variant keeps the noise, except ``@clean``.

    Raises:
        UnknownNameError: with the nearest known name.
    """
    base, _, variant = name.partition("@")
    if base not in SETS:
        raise UnknownNameError("dataset", base, SETS)
    if variant and variant not in variants():
        raise UnknownNameError(f"variant of {base}", variant, variants())
    mechanisms: tuple[str, ...] = MECHANISMS
    if variant == "linear":
        mechanisms = ()
    elif variant.startswith("no-"):
        mechanisms = tuple(m for m in MECHANISMS if m != variant[3:])
    elif variant.startswith("only-"):
        mechanisms = (variant[5:],)
    smooth, white = (0.0, 0.0) if variant == "clean" else NOISE[base]
    rotation, shift = RESIDUAL[base] if "pose" in mechanisms else (0.0, 0.0)
    return Recipe(base, variant, mechanisms, smooth, white, rotation, shift, seed)


def stream(made: Recipe, *keys: object) -> np.random.Generator:
    """A random stream of its own for each purpose, independent of mechanisms and noise levels."""
    text = canonical_json([made.base, made.seed, *map(str, keys)])
    return np.random.default_rng(np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint32))


@lru_cache(maxsize=1)
def shared_rig() -> Rig:
    return Rig(load_head())


# --- who and what -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def subjects(made: Recipe) -> list[Subject]:
    """The set's people, in order."""
    if made.base == "mh-seq":
        named = [(f"S{i + 1:02d}", "FM"[i % 2]) for i in range(SEQ_SUBJECTS)]
    else:
        named = [(f"{sex}{i + 1:04d}", sex) for sex, count in SCAN_SUBJECTS.items() for i in range(count)]
    head = load_head()
    return [sample_subject(head, name, sex, stream(made, "subject", name)) for name, sex in named]


def sample_table(made: Recipe) -> pd.DataFrame:
    """One row a mesh, before its geometry is made: subject, expression, level, frame, in the set's order."""
    return (_seq_table if made.base == "mh-seq" else _scan_table)(made)


def _seq_table(made: Recipe) -> pd.DataFrame:
    """Table 1's counts, shared out evenly over the twelve subjects."""
    rows = []
    for subject in range(SEQ_SUBJECTS):
        for number, (expression, total) in enumerate(TABLE1.items()):
            extra = (subject + number) % SEQ_SUBJECTS < total % SEQ_SUBJECTS
            frames = total // SEQ_SUBJECTS + extra
            rows += [(f"S{subject + 1:02d}", expression, frame) for frame in range(frames)]
    table = pd.DataFrame(rows, columns=["subject", "expression", "frame"])
    table["level"] = 0.0  # filled in as the sequence is made
    return table


def _scan_table(made: Recipe) -> pd.DataFrame:
    """Table 2's counts: for each expression a seeded choice among the subjects' intensity levels."""
    names = [f"{sex}{i + 1:04d}" for sex, count in SCAN_SUBJECTS.items() for i in range(count)]
    rows = []
    for expression, total in TABLE2.items():
        levels = [0.0] if expression == "neutral" else [(i + 1) / len(LEVELS) for i in range(len(LEVELS))]
        cells = [(name, level) for name in names for level in levels]
        chosen = stream(made, "table", expression).permutation(len(cells))[:total]
        rows += [(cells[i][0], expression, cells[i][1]) for i in chosen]
    table = pd.DataFrame(rows, columns=["subject", "expression", "level"])
    table["frame"] = 0
    order = {expression: rank for rank, expression in enumerate(TABLE2)}
    keys = table["expression"].map(order)
    return table.assign(rank=keys).sort_values(["subject", "rank", "level"], ignore_index=True).drop(columns="rank")


# --- activations ------------------------------------------------------------------------------------------------


def apex(expression: str, protocol: Mapping[str, Mapping[str, float]], rng: np.random.Generator) -> np.ndarray:
    """(K, 2) left and right activation of one person's full expression."""
    channels = list(CHANNELS)
    activation = np.zeros((len(channels), 2))
    wanted = dict(protocol[expression])
    if expression == "mouth_side" and rng.random() < 0.5:
        wanted = {name.replace("left", "right"): value for name, value in wanted.items()}
    for name, value in wanted.items():
        strength = value * np.clip(1 + STYLE_SPREAD * rng.normal(), 0.6, 1.1)
        tilt = ASYMMETRY_SPREAD * rng.normal()
        activation[channels.index(name)] = strength * np.array([1 + tilt, 1 - tilt])
    return activation


def coactivate(activation: np.ndarray) -> np.ndarray:
    """Add the muscles that fire along; activations stay in [-1, 1]. (…, K, 2) in and out."""
    channels = list(CHANNELS)
    result = activation.copy()
    for driver, follower, gain in COACTIVATION:
        driven = np.maximum(activation[..., channels.index(driver), :], 0)
        result[..., channels.index(follower), :] += gain * driven
    return np.clip(result, -1.0, 1.05)


def sequence(
    expression: str, frames: int, rng: np.random.Generator, protocol: Mapping[str, Mapping[str, float]] = COMA
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neutral → apex → neutral.

    Returns:
        activations (frames, K, 2), level (frames,) in [0, 1], neck bend (frames, 3) in radians.
    """
    channels = list(CHANNELS)
    top = apex(expression, protocol, rng)
    time = np.linspace(0.0, 1.0, frames)
    onset = rng.uniform(0.10, 0.22) + rng.normal(0, 0.03, len(channels))
    rise = rng.uniform(0.10, 0.22) * rng.uniform(0.7, 1.3, len(channels))
    release = rng.uniform(0.70, 0.82) + rng.normal(0, 0.04, len(channels))
    fall = rng.uniform(0.10, 0.18) * rng.uniform(0.7, 1.3, len(channels))
    release = np.minimum(release, 0.99 - fall)  # back to neutral in time
    t = time[:, None]
    envelope = smoothstep((t - onset) / rise) * (1 - smoothstep((t - release) / fall))
    envelope *= 1 + 0.08 * smooth_noise(frames, len(channels), 20, rng)
    activation = envelope[:, :, None] * top
    activation += JITTER * smooth_noise(frames, len(channels), 15, rng)[:, :, None] * (np.abs(top) > 0)
    blink = channels.index("blink")
    activation[:, blink] += blinks(frames, rng)[:, None]
    weight = np.abs(top).sum(axis=1)
    level = envelope @ weight / max(weight.sum(), 1e-12)
    bend = np.radians(NECK_BEND_DEG) * smooth_noise(frames, 3, 60, rng)
    return coactivate(activation), np.clip(level, 0, 1), bend


def blinks(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(frames,) lid closure of spontaneous blinks: fast down, slower up."""
    closure = np.zeros(frames)
    starts = rng.random(frames) < BLINKS_PER_SECOND / FRAMES_PER_SECOND
    for start in np.flatnonzero(starts[: max(frames - BLINK_FRAMES, 0)]):  # none is cut off at the end
        phase = (np.arange(frames) - start) / BLINK_FRAMES
        closure = np.maximum(closure, smoothstep(phase / 0.35) * (1 - smoothstep((phase - 0.45) / 0.55)))
    return closure


def smooth_noise(frames: int, columns: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """(frames, columns) stationary noise of unit variance, correlated over about ``correlation`` frames."""
    reach = int(3 * correlation)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / correlation) ** 2)
    kernel /= np.linalg.norm(kernel)
    white = rng.normal(size=(frames + 2 * reach, columns))
    return np.stack([np.convolve(column, kernel, mode="valid") for column in white.T], axis=1)


# --- geometry ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Registration:
    """From posed heads to the set's aligned meshes: topology, rigid alignment, what registration leaves behind."""

    topology: Topology
    template: Template
    stable: np.ndarray  # vertices that expressions hardly move: forehead, bridge of the nose, eye corners
    noise_operator: sparse.csr_matrix
    noise_scale: np.ndarray  # (V, 1) at most 1: finely meshed parts are also registered more finely

    @staticmethod
    def of(made: Recipe) -> Registration:
        head = load_head()
        topology = load_topology(head, made.base.removeprefix("mh-"))
        rest = head.place_eyes(head.base[None, : head.n_skin], head.eyeballs(head.base))[0]
        vertices = topology.operator @ rest
        origin = np.array([0.0, 700.0, 60.0])
        vertices = np.round(vertices - origin, 3)
        template = Template(vertices, topology.faces, topology.landmarks, name=made.base)
        height, depth = vertices[:, 1], vertices[:, 2]
        forehead = (height > 55) & (height < 95) & (depth > 20)
        bridge = (np.abs(vertices[:, 0]) < 12) & (height > 5) & (height <= 55) & (depth > 20)
        stable = np.flatnonzero(forehead | bridge)
        operator, scale = noise_operator(vertices, topology.faces)
        return Registration(topology, template, stable, operator, scale)

    def align(self, meshes: np.ndarray) -> np.ndarray:
        """Rigidly (rotation and translation) onto the template over the stable vertices (Kabsch 1976)."""
        source, target = meshes[:, self.stable], self.template.vertices[self.stable]
        source_mean, target_mean = source.mean(axis=1, keepdims=True), target.mean(axis=0)
        u, _, vt = np.linalg.svd(np.einsum("bni,nj->bij", source - source_mean, target - target_mean))
        flip = np.ones((len(meshes), 3))
        flip[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
        return (meshes - source_mean) @ ((u * flip[:, None, :]) @ vt) + target_mean

    def disturb(self, meshes: np.ndarray, made: Recipe, rng: np.random.Generator) -> np.ndarray:
        """Residual rigid error and registration noise, with the recipe's published levels."""
        batch, n, _ = meshes.shape
        rotation, shift = rng.normal(size=(2, batch, 3))
        white, smooth = rng.standard_normal((2, batch, n, 3), dtype=np.float32)
        angles = np.radians(made.residual_rotation_deg) * rotation
        if made.residual_rotation_deg:
            from scipy.spatial.transform import Rotation

            meshes = meshes @ Rotation.from_rotvec(angles).as_matrix().transpose(0, 2, 1)
        meshes = meshes + made.residual_shift_mm * shift[:, None, :]
        if made.smooth_noise_mm:
            flat = smooth.transpose(1, 0, 2).reshape(n, -1)
            field = (self.noise_operator @ flat).reshape(n, batch, 3).transpose(1, 0, 2)
            meshes = meshes + made.smooth_noise_mm * self.noise_scale * field
        return meshes + made.white_noise_mm * self.noise_scale * white


def noise_operator(vertices: np.ndarray, faces: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """What turns white noise into noise of unit variance per vertex, correlated over three edges, and its scale.

    The scale (V, 1) falls below one where edges are shorter than `FINE_EDGE_MM`, so that noise flips no triangle.
    """
    n = len(vertices)
    edges = unique_edges(faces)
    average = one_ring_average(edges, n)
    spread = average @ average @ average
    norm = np.sqrt(np.asarray(spread.multiply(spread).sum(axis=1)).ravel())
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    shortest = np.full(n, np.inf)
    np.minimum.at(shortest, edges.ravel(), np.repeat(length, 2))
    scale = np.minimum(1, shortest / FINE_EDGE_MM)[:, None].astype(np.float32)
    return (sparse.diags(1 / norm) @ spread).tocsr().astype(np.float32), scale


def batches(made: Recipe, table: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Generate the set piece by piece: rows of the table, their meshes (B, V, 3) float32, their levels."""
    registration, rig = Registration.of(made), shared_rig()
    by = [table["subject"], table["expression"]] if made.base == "mh-seq" else [table["subject"]]
    keys = list(zip(*by, strict=True))
    pieces = {key: np.flatnonzero([other == key for other in keys]) for key in dict.fromkeys(keys)}
    people = {person.name: person for person in subjects(made)}
    bound: tuple[str, Any] = ("", None)
    for key, rows in pieces.items():
        person = key[0]
        if bound[0] != person:
            traits = stream(made, "traits", person)
            bound = (person, rig.bind(people[person], frozenset(made.mechanisms), traits))
        rng = stream(made, "motion", *key)
        if made.base == "mh-seq":
            activation, level, bend = sequence(key[1], len(rows), rng)
        else:
            activation, level, bend = _scan_activations(made, table.iloc[rows], rng)
        posed = bound[1].pose(activation, bend)
        flat = registration.topology.operator @ posed.transpose(1, 0, 2).reshape(posed.shape[1], -1)
        meshes = flat.reshape(-1, len(rows), 3).transpose(1, 0, 2)
        meshes = registration.disturb(registration.align(meshes), made, stream(made, "noise", *key))
        yield rows, np.round(meshes, 3).astype(np.float32), level


def _scan_activations(
    made: Recipe, rows: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One person's scans: their own version of each expression, at its level, with scan-to-scan variation."""
    person = rows["subject"].iloc[0]
    activation = []
    for expression, level in zip(rows["expression"], rows["level"], strict=True):
        top = apex(expression, BU3DFE, stream(made, "expression", person, expression))
        strength = LEVELS[round(level * len(LEVELS)) - 1] if level else 0.0
        variation = np.clip(1 + 0.08 * rng.normal(size=(len(top), 1)), 0.7, 1.3)
        restless = JITTER * np.abs(rng.normal(size=(len(top), 1))) * (np.abs(top) > 0)
        activation.append(strength * top * variation + restless)
    bend = np.radians(NECK_BEND_DEG) * rng.normal(size=(len(rows), 3))
    return coactivate(np.array(activation)), rows["level"].to_numpy(), bend


def generate(
    made: Recipe, write: Callable[[np.ndarray, np.ndarray], None], progress: Callable[[int], object]
) -> tuple[Template, pd.DataFrame, dict[str, Any]]:
    """Make a set, handing each piece to ``write(rows, meshes)``; returns its template, sample table and card."""
    table = sample_table(made)
    levels = table["level"].to_numpy().copy()
    for rows, meshes, level in batches(made, table):
        levels[rows] = level
        write(rows, meshes)
        progress(len(rows))
    registration = Registration.of(made)
    people = {person.name: person for person in subjects(made)}
    table["level"] = np.round(levels, 4)
    table["sex"] = [people[name].sex for name in table["subject"]]
    table["age"] = [round(people[name].age, 1) for name in table["subject"]]
    card = {
        "source": "generated from MakeHuman's CC0 assets; not COMA, not BU3DFE",
        "license": "CC0-1.0",
        "landmarks": LANDMARKS,
        "recipe": asdict(made),
        "recipe_sha256": made.sha256,
        "noise_mean_mm": round(expected_noise_mm(made) * float(registration.noise_scale.mean()), 4),
    }
    return (
        Registration.of(made).template,
        table[["subject", "expression", "level", "frame", "sex", "age"]],
        card,
    )


def expected_noise_mm(made: Recipe) -> float:
    """Mean length of full-scale noise at a vertex (mean of a Maxwell law)."""
    sigma = float(np.hypot(made.smooth_noise_mm, made.white_noise_mm))
    return float(np.sqrt(8 / np.pi)) * sigma
