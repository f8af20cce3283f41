"""The Gaussian of codes: its moments, and codes that it does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from bench3dmm.errors import Bench3dmmError
from bench3dmm.tasks.parts.latent import LatentGaussian

rng = np.random.default_rng(0)


def test_gaussian_has_the_mean_and_covariance_of_the_codes():
    codes = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) + 5
    fitted = LatentGaussian.fit(codes)
    np.testing.assert_allclose(fitted.factor @ fitted.factor.T, np.cov(codes, rowvar=False), rtol=1e-9)
    assert (fitted.factor.max(axis=0) == np.abs(fitted.factor).max(axis=0)).all(), "an axis has one sign everywhere"
    sampled = fitted.sample(200_000, np.random.default_rng(0))
    deviation = codes.std(axis=0, ddof=1)
    np.testing.assert_allclose(sampled.mean(axis=0), codes.mean(axis=0), atol=0.02 * deviation.max())
    scale = np.outer(deviation, deviation)
    np.testing.assert_allclose(np.cov(sampled, rowvar=False) / scale, np.cov(codes, rowvar=False) / scale, atol=0.02)


def test_a_gaussian_of_codes_without_full_rank_stays_where_they_are():
    codes = np.zeros((50, 6))
    codes[:, [1, 3]] = rng.normal(size=(50, 2))
    codes[:, 4] = 2 * codes[:, 1] + 7
    sampled = LatentGaussian.fit(codes).sample(100, np.random.default_rng(0))
    np.testing.assert_allclose(sampled[:, [0, 2, 5]], 0, atol=1e-12)
    np.testing.assert_allclose(sampled[:, 4], 2 * sampled[:, 1] + 7, atol=1e-9)
    assert sampled[:, 3].std() > 0.5
    few = LatentGaussian.fit(codes[:2]).sample(100, np.random.default_rng(0))  # on the line through two codes
    assert np.linalg.matrix_rank(few - few[0], tol=1e-9) == 1


def test_the_same_draws_are_as_far_out_for_every_gaussian():
    def distances(codes):
        sampled = LatentGaussian.fit(codes).sample(10, np.random.default_rng(3)) - codes.mean(axis=0)
        return np.einsum("ni,ij,nj->n", sampled, np.linalg.inv(np.cov(codes, rowvar=False)), sampled)

    first, second = (distances(rng.normal(size=(40, 3)) @ rng.normal(size=(3, 3))) for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=1e-8)


@pytest.mark.parametrize("codes", [np.zeros((1, 3)), np.zeros(5), np.full((4, 2), np.nan)])
def test_codes_that_fit_no_gaussian_are_refused(codes):
    with pytest.raises(Bench3dmmError, match="two or more finite codes"):
        LatentGaussian.fit(codes)
