"""What is asked of a statistical shape model besides generalization: specificity and compactness.

Davies et al., "A minimum description length approach to statistical shape modeling", IEEE TMI 21(5), 2002, after
Davies' thesis, with the distance of this benchmark: the mean Euclidean distance of corresponding vertices, in mm.

**Specificity**: shapes drawn at random from the model should look like shapes of its class. Codes are drawn from the
Gaussian with the training codes' mean and covariance, decoded, and the distance to the nearest training mesh is
averaged; lower is better. A model that only returns its mean has a low one, so it says little without generalization.

**Compactness**: the share of the training meshes' variance (about their mean, in mm²) that their reconstructions
explain. Of PCA that is the usual one, the variance of its first d components over that of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from scipy.spatial import cKDTree

from bench3dmm.errors import TrainingError
from bench3dmm.models.interface import arrange, as_coder
from bench3dmm.system.device import full_precision
from bench3dmm.tasks.parts.latent import LatentGaussian

if TYPE_CHECKING:
    from torch import nn

    from bench3dmm.data.normaliser import Normaliser

SAMPLES, SEED = 100, 0
BATCH = {"cpu": 32, "cuda": 256}
PATCH = 16  # vertices whose mean offset bounds the distance from below
EXACT_AT_A_TIME = 8


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """Measures of a trained model on the meshes it was trained on.

    Attributes:
        compactness: share of variance, 1 for a model that reconstructs every training mesh.
        specificity: (SAMPLES,) distance of each random shape to the nearest training mesh, mm.
    """

    compactness: float
    specificity: np.ndarray


def measure_shape_model(
    model: nn.Module, vertices: np.ndarray, rows: np.ndarray, normaliser: Normaliser, device: torch.device
) -> ShapeModel:
    """Compactness and specificity on the training rows of meshes (N, V, 3) in mm.

    Raises:
        TrainingError: if a reconstruction or a random shape is not finite.
    """
    model.eval()
    coder = as_coder(model)
    codes, unexplained, total = [], 0.0, 0.0
    with full_precision(), torch.inference_mode():
        for start in range(0, len(rows), BATCH[device.type]):
            meshes = np.asarray(vertices[rows[start : start + BATCH[device.type]]])
            z = coder.encode(arrange(model, torch.from_numpy(normaliser.apply(meshes)).to(device)))
            offset = normaliser.invert(coder.decode(z).cpu().numpy()) - meshes
            unexplained += float(np.square(offset, dtype=np.float64).sum())
            total += float(np.square(meshes - normaliser.mean, dtype=np.float64).sum())
            codes.append(z.cpu().numpy())
        drawn = LatentGaussian.fit(np.concatenate(codes)).sample(SAMPLES, np.random.default_rng(SEED))
        pieces = torch.from_numpy(drawn.astype(np.float32)).to(device).split(BATCH[device.type])
        decoded = [coder.decode(z).cpu().numpy() for z in pieces]
    shapes = normaliser.invert(np.concatenate(decoded))
    if not np.isfinite(unexplained) or not np.isfinite(shapes).all():
        raise TrainingError("a reconstruction of a training mesh or a random shape is not finite")
    return ShapeModel(1 - unexplained / max(total, 1e-12), nearest_distances(shapes, vertices, rows))


def nearest_distances(shapes: np.ndarray, vertices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean Euclidean vertex distance (mm) of each shape (k, V, 3) to the nearest of the rows of meshes (N, V, 3).

    Exact. The length of a patch's mean offset is at most the mean length of its offsets, so patches bound the distance
    from below, and only meshes whose bound lies below the nearest so far are looked at in full.
    """
    averages, share = _patches(vertices[rows[0]])

    def patch_means(meshes: np.ndarray) -> np.ndarray:
        return np.stack([averages @ mesh for mesh in meshes])

    coarse = np.concatenate([patch_means(vertices[part]) for part in np.array_split(rows, -(-len(rows) // 64))])
    nearest = np.empty(len(shapes))
    for place, (shape, coarse_shape) in enumerate(zip(shapes, patch_means(shapes), strict=True)):
        bound = np.linalg.norm(coarse - coarse_shape, axis=2) @ share
        best = np.inf
        for part in np.array_split(np.argsort(bound, kind="stable"), -(-len(rows) // EXACT_AT_A_TIME)):
            if bound[part[0]] >= best:
                break
            meshes = vertices[np.sort(rows[part])]
            best = min(best, float(np.linalg.norm(meshes - shape, axis=2).mean(axis=1).min()))
        nearest[place] = best
    return nearest


def _patches(mesh: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Means over patches of neighbouring vertices, as a matrix (P, V), and each patch's share (P,) of the vertices."""
    _, patch = cKDTree(mesh[::PATCH]).query(mesh)
    count = np.bincount(patch)
    ones = np.ones(len(mesh), dtype=np.float32)
    member = sparse.csr_matrix((ones, (patch, np.arange(len(mesh)))), shape=(len(count), len(mesh)))
    return sparse.diags_array(1 / np.maximum(count, 1), dtype=np.float32) @ member, count / len(mesh)
