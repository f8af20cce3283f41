"""Trainings side by side on one card: each ends as it would alone, and how many there are is measured.

A fake stands where torch.cuda would; tests/gpu has what needs a card.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_card import FakeCard

from bench3dmm.errors import TrainingError
from bench3dmm.record.run import Run
from bench3dmm.runs import side_by_side
from bench3dmm.runs import sweep as sweeps
from bench3dmm.runs.claims import claimed
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.runs.side_by_side import Width, train_side_by_side
from bench3dmm.training import fit as trainer

DATASET = "sphere_sets:sphere_dataset"
MODEL = """
import torch
from torch import nn


class Plain(nn.Module):
    limit = 10**9

    def __init__(self, vertices, latent):
        super().__init__()
        self.down, self.up = nn.Linear(3 * vertices, latent), nn.Linear(latent, 3 * vertices)
        self.noise = 0.0

    def encode(self, x):
        return self.down(x.flatten(1))

    def decode(self, z):
        return self.up(z).unflatten(1, (-1, 3))

    def forward(self, x):
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        z = self.encode(x)
        return self.decode(z + self.noise * torch.randn_like(z) if self.training and self.noise else z)


def plain(hierarchy, latent, *, preset):
    return Plain(hierarchy.sizes[0], latent)


def drawing(hierarchy, latent, *, preset):
    model = plain(hierarchy, latent, preset=preset)
    model.noise = 0.1
    return model


def large(hierarchy, latent, *, preset):
    model = plain(hierarchy, latent, preset=preset)
    if latent == 3:
        model.limit = 5
    return model


def failing(hierarchy, latent, *, preset):
    if latent == 3:
        raise ZeroDivisionError("nothing to divide by")
    return plain(hierarchy, latent, preset=preset)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "lanes.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def runs_of(model, **fields):
    return [Run(DATASET, model=f"lanes:{model}", latent=d, profile="smoke", **fields) for d in (2, 3, 4)]


def train(runs, most=8, card=None, **options):
    return train_side_by_side(runs, runs, "results", "cpu", False, False, most, card or FakeCard(), **options)


def as_if_wide(monkeypatch, wanted=3):
    """As many from the start."""
    monkeypatch.setattr(Width, "wanted", wanted)
    monkeypatch.setattr(
        side_by_side, "Width", lambda most, wait: Width(most, wait, wanted=min(wanted, most), settled=True)
    )


@pytest.mark.parametrize("model", ["plain", "drawing"])
def test_each_ends_as_it_would_alone(here, monkeypatch, model):
    as_if_wide(monkeypatch)
    runs = [*runs_of(model, epochs=4), Run(DATASET, model="pca", latent=4, profile="smoke")]
    card = FakeCard()
    assert train(runs, card=card) == {}
    assert card.lanes == 4 and card.captures == (3 if model == "plain" else 0), "graphs share one seed"
    turns = "".join(map(str, card.entered))
    assert "123123" in turns, "in turn"
    for run in runs:
        alone = execute(run, "alone", "cpu", progress=False)
        beside = load_result(result_path(run, "results"))
        assert beside.metrics == alone.metrics
        assert beside.provenance["tensors_sha256"] == alone.provenance["tensors_sha256"]
        np.testing.assert_array_equal(beside.arrays["loss"], alone.arrays["loss"])
    made = [load_result(result_path(run, "results")).provenance["trained_at_once"] for run in runs[:3]]
    assert made == [3, 3, 3], "their times say little"


def test_the_data_lie_on_the_card_once(here, monkeypatch):
    as_if_wide(monkeypatch)
    loaded, load = [], trainer.load_normalised

    def counts(*given):
        loaded.append(load(*given))
        return loaded[-1]

    monkeypatch.setattr("bench3dmm.runs.execute.load_normalised", counts)
    train([*runs_of("plain"), *runs_of("plain", split="identity")])
    assert len(loaded) == 2, "of two splits"


def test_one_that_fails_costs_its_own_run(here, monkeypatch):
    as_if_wide(monkeypatch)
    runs = runs_of("failing")
    failures = train(runs)
    assert failures == {runs[1]: "ZeroDivisionError: nothing to divide by"}
    assert [result_path(run, "results").exists() for run in runs] == [True, False, True]


def test_one_without_memory_is_tried_alone_and_then_says_what_would_fit(here, monkeypatch):
    as_if_wide(monkeypatch)
    begun, begin = [], side_by_side.execute_by_steps

    def notes(run, *given, **options):
        begun.append((run.latent, options["shared"].at_once))
        return begin(run, *given, **options)

    monkeypatch.setattr(side_by_side, "execute_by_steps", notes)
    runs = runs_of("large")
    failures = train(runs)
    assert [latent for latent, _ in begun] == [2, 3, 4, 3] and begun[-1][1] == 0
    assert list(failures) == [runs[1]]
    assert "out of memory" in failures[runs[1]] and "A batch of 4 fits: --batch-size 4" in failures[runs[1]]


def test_what_another_sweep_trains_is_left_to_it(here, monkeypatch):
    monkeypatch.setattr(side_by_side, "POLL", 0.01)
    monkeypatch.setattr("bench3dmm.runs.plan.POLL", 0.01)
    runs = runs_of("plain")
    order = []
    claim = claimed(result_path(runs[0], "results"))
    claim.__enter__()

    def heard(self, run, line):
        order.append(run.latent)
        if len(order) == 2:
            claim.__exit__(None, None, None)

    monkeypatch.setattr(side_by_side.SweepProgress, "finished", heard)
    assert train(runs) == {}
    assert order == [3, 4, 2]


def test_nothing_of_a_stopped_one_is_claimed_and_it_goes_on(here, monkeypatch):
    as_if_wide(monkeypatch)
    monkeypatch.setattr(trainer, "EVERY", 0.0)
    runs = runs_of("plain", epochs=4)

    def stops(self, run, epoch):
        if epoch == 2 and run is runs[1]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(side_by_side.SweepProgress, "epoch", stops)
        with pytest.raises(KeyboardInterrupt):
            train(runs)
    partial = here / "results" / "smoke" / ".partial"
    assert not list(partial.glob("*.claim")) and list(partial.glob("*/checkpoint.safetensors"))
    assert train(runs) == {}
    sittings = load_result(result_path(runs[1], "results")).provenance["sittings"]
    assert [(one["first_epoch"], one["last_epoch"]) for one in sittings] == [(1, 2), (3, 4)]


def test_a_sweep_on_a_card_trains_so(here, monkeypatch):
    asked = []
    monkeypatch.setattr(sweeps, "resolve_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(sweeps, "train_side_by_side", lambda *given: asked.append(given) or {})
    runs = runs_of("plain")
    monkeypatch.setattr(sweeps, "_one_after_another", lambda *given: [])
    for jobs in (0, 2, 1):
        sweeps.sweep(runs, "results", "cuda", progress=False, jobs=jobs)
    assert [given[6] for given in asked] == [3, 2]


# --- how many ---------------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def widened(rate, most=64):
    """How a width grows on a card that makes ``rate(n)`` steps a second of n trainings."""
    clock = Clock()
    width = Width(most, lambda: None, clock)
    seen = []
    while not width.settled:
        seen.append(width.wanted)
        width.start()
        before = width.wanted
        while width.wanted == before and not width.settled:
            clock.now += before / rate(before)
            width.round(before)
    return seen, width.wanted


def test_as_many_as_do_more_in_the_same_time():
    seen, wanted = widened(lambda n: 800 * min(n, 5) ** 0.9)
    assert seen == [1, 2, 4, 8, 16] and wanted == 8


def test_one_where_more_do_not_pay():
    assert widened(lambda n: 800.0) == ([1, 2], 1)


def test_no_more_than_told():
    assert widened(lambda n: 800.0 * n, most=6) == ([1, 2, 4, 6], 6)


def test_rounds_of_fewer_say_nothing():
    clock = Clock()
    width = Width(8, lambda: None, clock, wanted=4)
    width.start()
    clock.now = 100.0
    width.round(3)
    assert not width.settled and width.wanted == 4


def test_memory_bounds_how_many(here, monkeypatch):
    """A training takes 200 MB of 1 GB, of which a tenth is kept free: four fit."""
    as_if_wide(monkeypatch, 8)
    card = FakeCard(lambda lanes: 10**9 - lanes * 2 * 10**8)
    most = []
    monkeypatch.setattr(Width, "no_more_than", lambda self, count: most.append(count) or setattr(self, "wanted", count))
    runs = [Run(DATASET, model="lanes:plain", latent=d, profile="smoke", epochs=40) for d in range(2, 8)]
    assert train(runs, card=card) == {}
    assert most and most[0] == 4


def test_a_card_that_is_full_at_once_still_trains_one(here):
    runs = runs_of("plain")
    assert train(runs, card=FakeCard(lambda lanes: 0)) == {}


def test_a_whole_sweep_says_who_failed(here, monkeypatch):
    monkeypatch.setattr(sweeps, "resolve_device", lambda name: torch.device("cuda"))
    runs = runs_of("failing")

    def on_fake(*given):
        return train_side_by_side(*given[:3], "cpu", *given[4:], FakeCard())

    monkeypatch.setattr(sweeps, "train_side_by_side", on_fake)
    with pytest.raises(TrainingError, match=r"1 of 3 runs failed:\n.*latent=3.*nothing to divide by"):
        sweeps.sweep(runs, "results", "cpu", progress=False)
