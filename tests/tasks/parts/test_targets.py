"""What a manipulation trains towards: which meshes, and how much of the way."""

from __future__ import annotations

import torch

from bench3dmm.tasks.parts.targets import Targets
from bench3dmm.training.losses import mean_absolute


def test_targets_are_the_next_meshes_and_alpha_grows_to_one():
    objective = Targets(mean_absolute, epochs=30)
    for epoch, most in ((0, 0.625), (1, 1.0), (29, 1.0)):
        rows, targets, alpha = objective.examples(400, 0, epoch)
        assert sorted(rows.tolist()) == list(range(400))
        assert targets.tolist() == [*rows[1:].tolist(), rows[0].item()]
        assert 0.25 <= alpha.min() < 0.3 and most - 0.05 < alpha.max() <= most
    again = objective.examples(400, 0, 29)
    assert all(torch.equal(one, other) for one, other in zip(again, (rows, targets, alpha), strict=True))
    assert not torch.equal(objective.examples(400, 1, 29)[2], alpha)
    assert not torch.equal(objective.examples(400, 0, 28)[2], alpha)
