"""What a trained autoencoder can make: samples, interpolations, exaggerated expressions, expressions of somebody else.

Everything is arithmetic on codes, for any object with ``encode`` and ``decode`` in millimetres. How well it works is
measured where the data hold the truth: see `transfer_errors` and `path_errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike

from bench3dmm.errors import DataError
from bench3dmm.tasks.parts.latent import LatentGaussian

if TYPE_CHECKING:
    import pandas as pd


NEUTRAL_LEVEL = 0.05  # an expression at most this strong counts as none
PATH_STEPS = 21


class Autoencoder(Protocol):
    """Meshes (B, V, 3) in mm to codes (B, d), and back."""

    def encode(self, meshes: np.ndarray) -> np.ndarray: ...

    def decode(self, codes: np.ndarray) -> np.ndarray: ...


# --- sampling -----------------------------------------------------------------------------------------------------


def sample_shapes(model: Autoencoder, codes: np.ndarray, n: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Random meshes (n, V, 3) mm: decoded draws from a Gaussian fitted to the codes (m, d) of training meshes.

    Args:
        scale: of the deviation; 0 gives the mesh of the mean code n times.
    """
    return model.decode(LatentGaussian.fit(codes).sample(n, np.random.default_rng(seed), scale))


# --- lines in the latent space ------------------------------------------------------------------------------------


def line(start: np.ndarray, end: np.ndarray, places: ArrayLike) -> np.ndarray:
    """Points on the straight line from 0 at `start` to 1 at `end`, two arrays of one shape; (k, …) for k places."""
    share = np.asarray(places, dtype=np.float64).reshape(-1, *[1] * np.ndim(start))
    return (1 - share) * start + share * end


def interpolate(model: Autoencoder, a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """Meshes (steps, V, 3) mm on the latent line between two meshes (V, 3) mm; the ends are their reconstructions."""
    return extrapolate(model, a, b, np.linspace(0, 1, steps))


def extrapolate(model: Autoencoder, a: np.ndarray, b: np.ndarray, places: ArrayLike) -> np.ndarray:
    """Meshes (k, V, 3) mm at places of the latent line: 0 is a, 1 is b, 1.5 half as far again beyond b.

    With a neutral face as a and the same person's expression as b, a place is the expression's strength.
    """
    start, end = model.encode(np.stack([a, b]))
    return model.decode(line(start, end, places))


def transfer(model: Autoencoder, neutral_a: np.ndarray, expressive_a: np.ndarray, neutral_b: np.ndarray) -> np.ndarray:
    """Give b the expression of a by latent arithmetic: decode(z(neutral b) + z(expressive a) - z(neutral a)).

    All (B, V, 3) mm. With b = a it is the reconstruction of a's expression.
    """
    return model.decode(model.encode(neutral_b) + (model.encode(expressive_a) - model.encode(neutral_a)))


def transfer_offsets(neutral_a: np.ndarray, expressive_a: np.ndarray, neutral_b: np.ndarray) -> np.ndarray:
    """The same without a model: every vertex of b moves as that of a did."""
    return neutral_b + (expressive_a - neutral_a)


# --- where the data hold the truth --------------------------------------------------------------------------------


def neutral_rows(samples: pd.DataFrame) -> dict[str, int]:
    """Each person's neutral mesh: the weakest of expression ``neutral`` or of a level of 0.05 at most, the first of
    equals. People without one are left out."""
    samples = samples.reset_index(drop=True)
    calm = samples[(samples["expression"] == "neutral") | (samples["level"] <= NEUTRAL_LEVEL)]
    return {str(person): int(row) for person, row in calm.groupby("subject", sort=False)["level"].idxmin().items()}


def expressive_rows(samples: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Those rows, in their order, that show an expression of a person whose neutral mesh is known."""
    neutral = neutral_rows(samples)
    shown = samples.iloc[rows]
    strong = (shown["expression"] != "neutral") & (shown["level"] > NEUTRAL_LEVEL) & shown["subject"].isin(neutral)
    return np.asarray(rows)[strong.to_numpy()]


def transfer_rows(samples: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """What to transfer, (k, 4) rows: neutral a, expressive a, neutral b and the truth, b's own mesh.

    The truth goes through `rows`, the test meshes. Its example a is the next person, by row, with the same expression
    at the same level; rows without one are left out. Neither a's meshes nor the neutral ones need be test meshes: they
    are what is given.

    Raises:
        DataError: nothing can be transferred.
    """
    neutral = neutral_rows(samples)
    people = samples["subject"].to_numpy(str)
    expressive = expressive_rows(samples, np.arange(len(samples)))
    cells = list(zip(samples["expression"].to_numpy(str), samples["level"].to_numpy(float).round(2), strict=True))
    alike: dict[tuple[str, float], list[int]] = {}
    for row in expressive:
        alike.setdefault(cells[row], []).append(row)
    found = []
    for truth in expressive_rows(samples, rows):
        others = [row for row in alike[cells[truth]] if people[row] != people[truth]]
        if others:
            example = next((row for row in others if row > truth), others[0])
            found.append((neutral[people[example]], example, neutral[people[truth]], truth))
    if not found:
        raise DataError("no test mesh has a neutral mesh of its person and another person's same expression and level")
    return np.array(found)


def path_rows(samples: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Paths with a known point between their ends, (k, 3) rows: a person's neutral mesh, the point, the same
    expression of the same person at its strongest.

    The point goes through `rows`, the test meshes; the ends need not be test meshes.

    Raises:
        DataError: there is no such point.
    """
    neutral = neutral_rows(samples)
    table = samples.reset_index(drop=True)
    strongest = table.groupby(["subject", "expression"])["level"].idxmax()
    found = []
    for row in expressive_rows(samples, rows):
        of = table.iloc[row]
        end = int(strongest[of["subject"], of["expression"]])
        if of["level"] < table["level"][end]:
            found.append((neutral[str(of["subject"])], row, end))
    if not found:
        raise DataError("no test mesh lies between a neutral mesh and a stronger expression of its person")
    return np.array(found)


def align(meshes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Meshes (n, V, 3) rotated and shifted, each onto its target of one (V, 3) or (n, V, 3), in the least squares of
    its vertices (Kabsch, Acta Cryst. A32, 1976); float64."""
    meshes, targets = np.asarray(meshes, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    centred, aim = meshes - meshes.mean(axis=-2, keepdims=True), targets - targets.mean(axis=-2, keepdims=True)
    left, _, right = np.linalg.svd(centred.swapaxes(-1, -2) @ aim)
    left[..., -1] *= np.sign(np.linalg.det(left @ right))[..., None]  # a rotation, no reflection
    return centred @ (left @ right) + targets.mean(axis=-2, keepdims=True)


def shape_error(meshes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean Euclidean distance of corresponding vertices, (n,) mm, once each mesh is aligned to its truth.

    How a head is held is no part of an expression, and differs from scan to scan by more than a weak one.
    """
    return np.linalg.norm(align(meshes, truth) - truth, axis=-1).mean(axis=-1)


def transfer_errors(model: Autoencoder | None, vertices: np.ndarray, quadruples: np.ndarray) -> np.ndarray:
    """How far transferred expressions are from the person's own, (k,) mm, for the rows of `transfer_rows`.

    After rigid alignment, see `shape_error`. No method reaches 0: people make an expression each in their own way, and
    the truth has its scan's noise.

    Args:
        model: None transfers vertex offsets.
        vertices: (N, V, 3) mm.
    """
    meshes = (vertices[quadruples[:, place]] for place in range(3))
    made = transfer_offsets(*meshes) if model is None else transfer(model, *meshes)
    return shape_error(made, vertices[quadruples[:, 3]])


def path_errors(model: Autoencoder | None, vertices: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """How near interpolations come to what really lies between, (k,) mm, for the rows of `path_rows`.

    The error, after rigid alignment, of the nearest of 21 meshes evenly along the path: how strong the expression is at
    a place of the path is not asked, as levels are no lengths.

    Args:
        model: None interpolates vertices, between the true ends.
        vertices: (N, V, 3) mm.
    """
    places = np.linspace(0, 1, PATH_STEPS)
    errors = []
    for first, middle, last in triples:
        a, b = vertices[first], vertices[last]
        path = line(a, b, places) if model is None else extrapolate(model, a, b, places)
        errors.append(shape_error(path, vertices[middle]).min())
    return np.array(errors)


def reconstruction_errors(model: Autoencoder, vertices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What the model loses on the meshes of those rows themselves, (k,) mm, after rigid alignment like the others."""
    return shape_error(model.decode(model.encode(vertices[rows])), vertices[rows])
