"""Who trains a run now: one claim a run, so that several sweeps on one results folder share the work.

A claim is a small file beside the checkpoints. Whoever trains touches it again and again; a file that nobody touched
for `STALE` seconds is of a process that is gone; of one of this machine that is seen at once. Who takes a stale claim
over writes a token of its own, so that a holder that was only asleep finds out before it writes anything.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from filelock import FileLock, Timeout

from bench3dmm.errors import TrainingError
from bench3dmm.system.machine import scheduler_job
from bench3dmm.system.stops import check_stop
from bench3dmm.system.storage import write_json
from bench3dmm.system.words import duration

BEAT = 20.0  # seconds from touch to touch
STALE = 120.0  # seconds untouched: six touches were missed
POLL = 2.0  # seconds until a claim of somebody else is looked at again
LOCKED = 10.0  # seconds that whoever holds the lock may take; one that sleeps in it keeps its claim


class BusyError(TrainingError):
    """Somebody else trains the run now."""


class ClaimLostError(BusyError):
    """Somebody else took the run over while this process slept: nothing of it is written any more."""


@dataclass(frozen=True)
class Holder:
    """Who has a claim.

    Attributes:
        place: what its process ids are of: this start of this machine, and of its containers this one.
        job: the scheduler's, empty without one.
        started: of the process, as the system counts; a later one may have the same id.
    """

    host: str
    place: str
    pid: int
    started: str
    job: str
    token: str

    @classmethod
    def here(cls) -> Holder:
        pid = os.getpid()
        return cls(platform.node(), _place(), pid, _started(pid), scheduler_job() or "", uuid.uuid4().hex)

    @property
    def is_gone(self) -> bool:
        """Whether it is a process of this machine that has ended."""
        return bool(self.place) and self.place == _place() and _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", job {self.job}" if self.job else "")


@functools.cache
def _place() -> str:
    """Empty where the system does not tell: then a claim is stale by its age alone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in the system's ticks; empty where there is none (or it has ended, unread)."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    state, began = said[0], said[19]
    return "" if state in "ZX" else began


class Claim:
    """What `claimed` gives: the right to train a run and to write what comes out."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path, self.holder = path, holder
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._touch, name=f"claim {path.stem}", daemon=True)
        self._beat.start()

    def _touch(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError):  # whether the claim still stands is asked before every writing
                os.utime(self.path)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, nobody takes the run over. Raises ClaimLostError where somebody has."""
        with _lock(self.path):
            holder = _read(self.path)
            if holder is None:
                _forget(self.path)
            if holder != self.holder:
                who = f"{holder} has taken it over" if holder else "somebody has taken it over and ended"
                raise ClaimLostError(
                    f"{self.path.stem}: {who} while this process slept, which writes nothing more of it"
                )
            yield

    def release(self) -> None:
        """Also of a claim that is lost, which stays."""
        self._ended.set()
        self._beat.join()
        with contextlib.suppress(TrainingError, OSError), self.writing():
            self.path.unlink()
            _forget(self.path)


@contextlib.contextmanager
def claimed(result: Path, *, wait: bool = True, say: Callable[[str], None] | None = None) -> Iterator[Claim]:
    """Have the run of that result to oneself.

    Args:
        wait: until whoever has it is done; else BusyError.
        say: hears who that is, once.
    """
    while True:
        try:
            claim = _take(result)
            break
        except BusyError as busy:
            if not wait:
                raise
            if say:
                say(f"{busy}; waiting for what comes out")
                say = None
        time.sleep(POLL)
        check_stop()
    try:
        yield claim
    finally:
        claim.release()


def holder_of(result: Path) -> Holder | None:
    """Who trains the run of that result now, None where nobody does."""
    path = claim_path(result)
    holder = _read(path)
    return None if holder is None or holder.is_gone or _age(path) > STALE else holder


def claim_path(result: Path) -> Path:
    """Beside its checkpoint."""
    return result.parent / ".partial" / f"{result.stem}.claim"


def _take(result: Path) -> Claim:
    """Raises BusyError where somebody has it."""
    path = claim_path(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        if other := holder_of(result):
            raise BusyError(f"{result.stem}: {other} trains it")
        holder = Holder.here()
        write_json(path, asdict(holder))
        return Claim(path, holder)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Of one claim, held for the moment in which it is read and something is written."""
    lock = FileLock(_lock_path(path), timeout=LOCKED, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        waited = duration(LOCKED)
        raise BusyError(f"{lock.lock_file}: locked for {waited} by a process that may be stopped") from None
    try:
        yield
    finally:
        lock.release()


def _forget(path: Path) -> None:
    """Remove the lock that is held: who waits for it sees that its file has no name any more, and makes a new one."""
    with contextlib.suppress(OSError):  # Windows keeps what is open
        _lock_path(path).unlink()


def _lock_path(path: Path) -> Path:
    return path.with_suffix(".lock")


def _read(path: Path) -> Holder | None:
    """None where there is no claim, or one that nobody can have written."""
    try:
        said = json.loads(path.read_text())
        return Holder(**{field.name: said[field.name] for field in fields(Holder)})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _age(path: Path) -> float:
    """Seconds since it was touched, by the clock of the disk it lies on, which need not be this machine's."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp") as probe:
            return os.fstat(probe.fileno()).st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")  # released meanwhile
    except OSError:
        return time.time() - path.stat().st_mtime
