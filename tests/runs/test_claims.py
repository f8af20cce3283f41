"""One claim a run: whoever else comes waits or is sent away, a dead one's is taken over, a late one writes nothing."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import wait_for

from bench3dmm.runs import claims
from bench3dmm.runs.claims import BusyError, ClaimLostError, Holder, claim_path, claimed, holder_of

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc who is there")


@pytest.fixture
def result(tmp_path):
    return tmp_path / "smoke" / "abc.json"


def written(result, seconds=0.0, **fields):
    """A claim of another machine, touched so long ago."""
    holder = dataclasses.replace(Holder.here(), host="elsewhere", place="another", **fields)
    path = claim_path(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(holder)))
    ago = time.time() - seconds
    os.utime(path, (ago, ago))
    return holder


def left(result):
    return sorted(path.name for path in claim_path(result).parent.iterdir())


def test_one_has_it_and_nothing_is_left(result):
    with claimed(result):
        assert holder_of(result).pid == os.getpid()
        with (
            pytest.raises(BusyError, match=rf"abc: process {os.getpid()} on .* trains it"),
            claimed(result, wait=False),
        ):
            pass
        assert holder_of(result), "who was sent away left it alone"
    assert holder_of(result) is None and left(result) == []


def test_a_claim_ends_with_an_exception_too(result):
    with pytest.raises(ZeroDivisionError), claimed(result):
        raise ZeroDivisionError
    assert left(result) == []


def test_who_waits_hears_for_whom_once_and_goes_on_when_it_is_free(result, monkeypatch):
    monkeypatch.setattr(claims, "POLL", 0.01)
    said, order = [], []

    def second():
        with claimed(result, say=said.append):
            order.append("second")

    with claimed(result):
        thread = threading.Thread(target=second)
        thread.start()
        assert wait_for(lambda: said, 10)
        time.sleep(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"] and len(said) == 1 and str(os.getpid()) in said[0]


@pytest.mark.parametrize(("seconds", "busy"), [(0, True), (claims.STALE - 20, True), (claims.STALE + 20, False)])
def test_a_claim_is_as_old_as_its_heartbeat(result, seconds, busy):
    holder = written(result, seconds, job="77")
    assert holder_of(result) == (holder if busy else None)
    if busy:
        with pytest.raises(BusyError, match="on elsewhere, job 77"), claimed(result, wait=False):
            pass
    else:
        with claimed(result, wait=False):
            assert holder_of(result).token != holder.token


def test_the_heart_beats(result, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.02)
    with claimed(result) as claim:
        os.utime(claim.path, (1, 1))
        assert wait_for(lambda: claim.path.stat().st_mtime > 1, 5)


def test_age_is_by_the_disk_s_clock(result, monkeypatch):
    written(result, 10.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this machine's is wrong
    assert 9 < claims._age(claim_path(result)) < 12


def test_who_was_asleep_writes_nothing(result):
    with claimed(result) as claim:
        with claim.writing():
            pass
        os.utime(claim.path, (1, 1))  # its heart stood still
        with claimed(result, wait=False) as other:
            with pytest.raises(ClaimLostError, match=r"abc: process \d+ on .* has taken it over .* nothing more of it"):
                claim.writing().__enter__()
            claim.release()
            with other.writing():
                pass
        with pytest.raises(ClaimLostError, match="taken it over and ended while this process slept"):
            claim.writing().__enter__()
    assert left(result) == []


def test_nobody_takes_over_while_somebody_writes(result, monkeypatch):
    """Stopped in the midst of it, it would write later."""
    monkeypatch.setattr(claims, "LOCKED", 0.05)
    with claimed(result) as claim, claim.writing():
        os.utime(claim.path, (1, 1))
        with pytest.raises(BusyError), claimed(result, wait=False):
            pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "x"}'])
def test_a_broken_claim_is_nobody_s(result, content):
    claim_path(result).parent.mkdir(parents=True)
    claim_path(result).write_text(content)
    with claimed(result, wait=False):
        pass
    assert left(result) == []


@LINUX
def test_a_process_of_this_machine_that_is_gone_is_seen_at_once(result):
    done = subprocess.Popen([sys.executable, "-c", ""])
    pid, started = done.pid, claims._started(done.pid)
    done.wait()
    gone = dataclasses.replace(Holder.here(), pid=pid, started=started)
    assert gone.is_gone
    assert not Holder.here().is_gone
    assert dataclasses.replace(Holder.here(), started="1").is_gone, "its number is another process's now"
    assert not dataclasses.replace(gone, place="another").is_gone, "of another machine nothing can be said"


def _grasp(result, begun, log, often):
    begun.wait()
    while often:
        try:
            with claimed(Path(result), wait=False) as claim, claim.writing(), open(log, "a") as file:  # noqa: PTH123
                file.write("in\n")
                file.flush()
                file.write("out\n")
                often -= 1
        except BusyError:
            pass


def test_of_many_who_grasp_one_has_it(result, tmp_path):
    context = multiprocessing.get_context("spawn")
    begun, log = context.Event(), tmp_path / "log"
    workers = [context.Process(target=_grasp, args=(str(result), begun, str(log), 10)) for _ in range(4)]
    for worker in workers:
        worker.start()
    begun.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    lines = log.read_text().split()
    assert lines == ["in", "out"] * 40
    assert left(result) == []
