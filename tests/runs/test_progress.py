"""What a sweep says while several runs are trained."""

from __future__ import annotations

import math

import pytest

from bench3dmm.record.run import Run
from bench3dmm.runs.progress import SweepProgress

RUNS = [Run("faces", latent=d, epochs=100) for d in (2, 3, 4)]
PCA = Run("faces", model="pca")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def shown(clock, runs=RUNS, seconds=None, on=True):
    return SweepProgress(runs, runs, seconds or {}, on, clock)


def test_runs_weigh_what_they_take(clock):
    progress = shown(clock, seconds={RUNS[0]: 300.0, RUNS[1]: 100.0, RUNS[2]: math.inf})
    assert progress.work == {RUNS[0]: 300.0, RUNS[1]: 100.0, RUNS[2]: 200.0}
    progress.epoch(RUNS[0], 0)
    progress.epoch(RUNS[0], 50)
    assert progress.share == pytest.approx(150 / 600)


def test_time_left_is_by_what_was_done_here(clock):
    progress = shown(clock)
    progress.epoch(RUNS[0], 80)  # it resumed there
    clock.now = 10.0
    progress.epoch(RUNS[0], 90)
    assert progress.text == "0 of 3 runs, 1 in training; 10 epochs, 1 a second; about 210 s left".replace(
        "210 s", "4 min"
    )


def test_a_run_that_resumes_says_so_once(clock, capsys):
    progress = shown(clock)
    for epoch in (30, 31):
        progress.epoch(RUNS[0], epoch)
    progress.epoch(RUNS[1], 0)
    assert capsys.readouterr().err == f"{RUNS[0].run_id}: goes on after epoch 30 of 100\n"


def test_a_line_for_each_run_and_a_few_between(clock, capsys):
    progress = shown(clock)
    for second in range(300):
        clock.now = float(second)
        progress.epoch(RUNS[0], second // 3)
    progress.finished(RUNS[0], "0.8 mm, 300 s")
    progress.close()
    *between, last = capsys.readouterr().err.splitlines()
    assert (
        between == [line for line in between if line.startswith("0 of 3 runs, 1 in training; ")] and len(between) == 4
    )
    assert last.startswith(f"[1/3] {RUNS[0].run_id} latent=2: 0.8 mm, 300 s; about 10 min left")


def test_at_the_end_no_time_is_left(clock, capsys):
    seconds = {RUNS[0]: 0.1, RUNS[1]: 0.2, RUNS[2]: 0.3}  # whose shares add up to a little less than one
    progress = shown(clock, seconds=seconds)
    for run in RUNS:
        clock.now += 1.0
        progress.finished(run, "0.8 mm, 1 s")
    assert capsys.readouterr().err.endswith("latent=4: 0.8 mm, 1 s\n")


def test_what_is_fitted_at_once_and_what_failed_count_too(clock, capsys):
    progress = shown(clock, [PCA, RUNS[0]])
    progress.epoch(PCA, 1)
    clock.now = 1.0
    progress.finished(PCA, "failed, no disk")
    assert "[1/2]" in capsys.readouterr().err and progress.share == 0.5


def test_quiet_says_nothing(clock, capsys):
    progress = shown(clock, on=False)
    clock.now = 100.0
    progress.epoch(RUNS[0], 50)
    progress.finished(RUNS[0], "0.8 mm")
    progress.close()
    assert capsys.readouterr() == ("", "")
