"""Losses by name."""

from __future__ import annotations

import torch

from bench3dmm.training.losses import mean_absolute


def test_l1_is_the_mean_absolute_difference():
    assert mean_absolute(torch.tensor([[[1.0, 2, 3]]]), torch.tensor([[[0.0, 4, 3]]])) == 1
