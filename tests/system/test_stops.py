"""Who is asked to stop stops, also where Python swallows the exception that says so."""

from __future__ import annotations

import os
import signal

import pytest
from sphere_sets import sphere_dataset

from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute
from bench3dmm.system import stops
from bench3dmm.system.stops import check_stop, heed


@pytest.fixture
def heeded():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heed()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    stops._asked = False


class Deaf:
    """Is asked to stop while it is destroyed."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        for _ in range(1000):
            pass  # the signal is handled here


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_destructor_swallowed_is_heard_all_the_same(heeded, number, tmp_path):
    check_stop()
    deaf = Deaf(number)
    del deaf
    with pytest.raises(KeyboardInterrupt):
        check_stop()
    with pytest.raises(KeyboardInterrupt):
        execute(Run("sphere", latent=4), tmp_path, "cpu", progress=False, dataset=sphere_dataset())
    heed()
    check_stop()


def test_it_is_an_interrupt_where_nothing_swallows_it(heeded):
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
