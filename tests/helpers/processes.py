"""Who is left of processes that were stopped."""

from __future__ import annotations

import os
import time
from pathlib import Path


def alive(pid):
    """Whether a process is there and has not ended (Linux)."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids(folder):
    """Of those that left a file ``pid-NUMBER`` in a folder."""
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


def wait_for(condition, seconds):
    """Whether it holds within that time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def nobody_left(folder, seconds):
    return wait_for(lambda: not any(map(alive, pids(folder))), seconds)
