"""A step that needs more memory than there is: one error, with the batch that would fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench3dmm.errors import ShortOfMemoryError
from bench3dmm.training.fit import fit
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.schedule import Schedule

SCHEDULE = Schedule(epochs=2, batch_size=16, learning_rate=1e-3, decay=0.99, weight_decay=0.0)


NONE_LEFT = torch.OutOfMemoryError("CUDA out of memory")


class Hungry(nn.Module):
    def __init__(self, most, error=NONE_LEFT, backward=False):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.most, self.error, self.backward, self.asked = most, error, backward, []

    def forward(self, x):
        self.asked.append(len(x))
        out = x * self.scale
        if len(x) > self.most:
            if not self.backward:
                raise self.error
            out.register_hook(self.fails)
        return out

    def fails(self, gradient):
        raise self.error


def train(model):
    torch.set_num_threads(1)
    fit(model, torch.randn(40, 5, 3), mean_absolute, SCHEDULE, 0, progress=False)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("out of memory"), MemoryError()])
def test_the_largest_batch_that_fits_is_named(backward, error):
    model = Hungry(5, error, backward)
    with pytest.raises(
        ShortOfMemoryError, match=r"a step of 16 meshes needs more\. A batch of 4 fits: --batch-size 4"
    ) as raised:
        train(model)
    assert model.asked[-3:] == [16, 8, 4]
    assert raised.value.__context__ is None, "nothing holds the memory of the step that failed"


def test_not_even_one_mesh():
    with pytest.raises(ShortOfMemoryError, match="Not even one mesh at a time fits: a smaller model, or stop"):
        train(Hungry(0))


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="size mismatch"):
        train(Hungry(5, RuntimeError("size mismatch")))
