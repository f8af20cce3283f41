"""Checkpoints: what was written comes back, and nothing else does."""

from __future__ import annotations

import contextlib
import dataclasses
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench3dmm.errors import TrainingError
from bench3dmm.training.checkpoint import Checkpoint
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import make_optimizer

SCHEDULE = Schedule(epochs=4, batch_size=4, learning_rate=1e-3, decay=0.99, weight_decay=5e-5)
SITTINGS = [{"host": "here", "first_epoch": 1, "last_epoch": 2, "seconds": 3.5}]


def trained(steps=2):
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    model.register_buffer("ids", torch.arange(4, dtype=torch.bfloat16))
    optimizer = make_optimizer(model, SCHEDULE, torch.device("cpu"))
    for _ in range(steps):
        model(torch.randn(5, 6)).square().mean().backward()
        optimizer.step()
    return model, optimizer


@pytest.fixture
def written(tmp_path):
    model, optimizer = trained()
    Checkpoint(tmp_path / "c.safetensors", "print").save(model, optimizer, [0.5, 0.25], SITTINGS)
    return tmp_path / "c.safetensors", model, optimizer


def test_what_was_written_comes_back(written):
    path, model, optimizer = written
    fresh, state = trained(1)
    assert Checkpoint(path, "print").resume(fresh, state, SCHEDULE) == ([0.5, 0.25], SITTINGS)
    for name, tensor in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor)
    for one, other in zip(optimizer.state_dict()["state"].values(), state.state_dict()["state"].values(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_any_bit_that_flips_is_noticed(written):
    path, *_ = written
    whole, refused = path.read_bytes(), 0
    for place in np.random.default_rng(0).integers(8 * len(whole), size=200):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        fresh, state = trained(1)
        try:
            assert Checkpoint(path, "print").resume(fresh, state, SCHEDULE) == ([], []), "it starts over"
        except TrainingError as error:
            assert re.search(r"c\.safetensors.*delete it", str(error))
            refused += 1
    assert refused > 190  # a few bits are of the hash's own name


def test_equal_states_make_equal_files(written, tmp_path):
    path, model, optimizer = written
    for i in range(8):
        Checkpoint(tmp_path / f"{i}", "print").save(model, optimizer, [0.5, 0.25], SITTINGS)
        assert (tmp_path / f"{i}").read_bytes() == path.read_bytes()


def test_it_is_written_in_the_context_that_may_refuse(written):
    path, model, optimizer = written
    before = path.read_bytes()

    @contextlib.contextmanager
    def refuses():
        raise TrainingError("not yours")
        yield

    with pytest.raises(TrainingError, match="not yours"):
        Checkpoint(path, "print", writing=refuses).save(model, optimizer, [0.5], SITTINGS)
    assert path.read_bytes() == before


def test_one_without_a_hash_or_of_more_epochs_starts_over(written, capsys):
    path, model, optimizer = written
    assert Checkpoint(path, "print").resume(model, optimizer, dataclasses.replace(SCHEDULE, epochs=1)) == ([], [])
    save_file(load_file(path), path, {"losses": "[0.5]", "seconds": "1.0", "fingerprint": "print"})
    assert Checkpoint(path, "print").resume(model, optimizer, SCHEDULE) == ([], [])
    assert "starts over" in capsys.readouterr().err
