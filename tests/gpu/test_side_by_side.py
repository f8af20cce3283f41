"""On a card: trainings side by side end as alone, what draws repeats itself, short memory is one error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench3dmm.errors import ShortOfMemoryError
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.runs.side_by_side import train_side_by_side
from bench3dmm.runs.sweep import sweep
from bench3dmm.system.memory import is_out_of_memory

pytestmark = pytest.mark.gpu
DATASET = "sphere_sets:sphere_dataset"
MODEL = """
import torch
from broken_models import Whole


class Drawing(Whole):
    def encode(self, x):
        z = super().encode(x)
        return z + 0.1 * torch.randn_like(z) if self.training else z


class Wide(Whole):
    # Activations of 8 MB a mesh.
    def decode(self, z):
        return super().decode(z) + 0 * z.new_ones(len(z), 2_000_000).mul(z.sum()).sin().sum()


def drawing(hierarchy, latent, *, preset):
    return Drawing(hierarchy.sizes[0], latent)


def wide(hierarchy, latent, *, preset):
    return Wide(hierarchy.sizes[0], latent)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "on_card.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def small_card():
    """A card of a twentieth of its memory."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.05)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def assert_same(folder, other, runs):
    for run in runs:
        one, again = (load_result(result_path(run, where)) for where in (folder, other))
        assert one.provenance["tensors_sha256"] == again.provenance["tensors_sha256"], run
        assert one.metrics == again.metrics
        np.testing.assert_array_equal(one.arrays["loss"], again.arrays["loss"])


def test_side_by_side_ends_as_alone(here, monkeypatch):
    monkeypatch.setattr("bench3dmm.runs.side_by_side.WINDOW", 0.05)
    runs = [Run(DATASET, model="neural3dmm", latent=d, seed=s, epochs=60) for d in (4, 8) for s in (0, 1)]
    runs += [Run(DATASET, model="on_card:drawing", latent=d, epochs=60) for d in (4, 8)]
    runs += [Run(DATASET, model="pca", latent=4)]
    assert train_side_by_side(runs, runs, "beside", "cuda", False, False, 8) == {}
    for run in runs:
        execute(run, "alone", "cuda", progress=False)
    assert_same("beside", "alone", runs)
    made = [load_result(result_path(run, "beside")).provenance["trained_at_once"] for run in runs]
    assert max(made) > 1


def test_a_sweep_takes_that_way(here):
    runs = [Run(DATASET, model="neural3dmm", latent=4, seed=s, epochs=4) for s in range(3)]
    frame = sweep(runs, "results", "cuda", progress=False, jobs=0)
    assert frame["seed"].tolist() == [0, 1, 2]


def test_what_draws_on_the_card_repeats_itself(here):
    run = Run(DATASET, model="on_card:drawing", latent=4, epochs=8)
    execute(run, "one", "cuda", progress=False)
    torch.cuda.manual_seed(99)
    torch.randn(1000, device="cuda")
    execute(run, "two", "cuda", progress=False)
    assert_same("one", "two", [run])


def test_a_step_that_does_not_fit_says_which_batch_would(here, small_card):
    per_mesh = 8e6 * 4  # bytes: it, its product, its sine, and their gradients
    batch = int(torch.cuda.mem_get_info()[1] * 0.05 / per_mesh * 2)
    run = Run("sphere", model="on_card:wide", latent=4, epochs=1, batch_size=batch)
    from sphere_sets import sphere_dataset

    dataset = sphere_dataset(subjects=batch // 4)
    with pytest.raises(ShortOfMemoryError, match=r"out of memory.*A batch of \d+ fits: --batch-size"):
        execute(run, "results", "cuda", progress=False, dataset=dataset)


def test_a_card_that_is_full_is_one_error(here, small_card):
    hogged = []
    try:
        while True:
            hogged.append(torch.empty(2**20, device="cuda"))
    except RuntimeError as error:
        assert is_out_of_memory(error)
    del hogged[:2]
    with pytest.raises(ShortOfMemoryError, match=r"out of memory"):
        execute(Run(DATASET, model="neural3dmm", latent=4, epochs=1), "results", "cuda", progress=False)
