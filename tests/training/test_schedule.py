"""How the learning rate goes."""

from __future__ import annotations

import pytest
import torch

from bench3dmm.training.schedule import Schedule


def test_cosine_is_pytorchs_step_by_step():
    schedule = Schedule(3, 4, 1e-2, 0.99, 0, shape="cosine", final_learning_rate=1e-4)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-2)
    other = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3 * 5, 1e-4)
    for step in range(15):
        optimizer.step()
        other.step()
        assert schedule.rate(step // 5, (step % 5 + 1) / 5) == pytest.approx(other.get_last_lr()[0])


def test_warm_up_grows_evenly_to_the_learning_rate():
    schedule = Schedule(10, 4, 1e-2, 0.99, 0, shape="cosine", warm_up=0.2)
    assert [schedule.rate(0, 0.5), schedule.rate(0, 1.0), schedule.rate(1, 0.5)] == pytest.approx(
        [2.5e-3, 5e-3, 7.5e-3]
    )
    assert schedule.rate(1, 1.0) == pytest.approx(1e-2) and schedule.rate(5, 1.0) == pytest.approx(5e-3)
    assert schedule.rate(9, 1.0) == pytest.approx(0)
    plain = Schedule(10, 4, 1e-2, 0.9, 0, warm_up=0.05)
    assert plain.rate(0, 0.25) == pytest.approx(5e-3) and plain.rate(3, 0.1) == pytest.approx(1e-2 * 0.9**3)
