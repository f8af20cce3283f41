"""Work dealt out to threads of one core each, and processes that end with the one that started them.

Torch's own threads meet at the end of every operation. On layers that take tens of microseconds they spend more time
waiting for each other than computing, and where another process wants one of the cores, far more. A whole share of
a batch a thread needs one meeting a step.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from bench3dmm.system.processes import killed_with_parent


class Workers:
    """Up to ``most`` threads, and no more than torch uses; a context manager. Inside, an operation has one thread.

    None instead of a number is this thread, with torch's settings left alone.
    """

    def __init__(self, most: int | None) -> None:
        self.untouched = most is None
        self.cores = torch.get_num_threads()
        self.count = max(1, min(self.cores, most or 1))
        self.pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.untouched:
            return self
        torch.set_num_threads(1)
        if self.count > 1:  # the setting is partly global, partly of each thread
            self.pool = ThreadPoolExecutor(self.count, "bench3dmm", torch.set_num_threads, (1,))
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool:
            self.pool.shutdown()
            self.pool = None
        if not self.untouched:
            torch.set_num_threads(self.cores)

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> list[Any]:
        """The function's values, in the order of the items."""
        return list((self.pool.map if self.pool else map)(function, items))


def end_with_parent() -> None:
    """In a process of `multiprocessing`: end when its parent has ended, however that came about."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    killed_with_parent()  # also while it computes in C and no other thread gets its turn

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)  # nothing half-written is ever read

    threading.Thread(target=watch, daemon=True).start()


@functools.cache
def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next step instead of handing it back to the system.

    A training step frees and allocates the same megabytes again and again; fetching them from the system each time
    (a page fault every 4 KB) took a third of a step. Only where the C library is glibc; returns whether it is.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, top_pad, mmap_threshold, arena_max = -1, -2, -3, -8
    settings = ((mmap_threshold, 32 << 20), (trim_threshold, 2**31 - 1), (top_pad, 64 << 20), (arena_max, 1))
    return all(mallopt(option, value) for option, value in settings)
