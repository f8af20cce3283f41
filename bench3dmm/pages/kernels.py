"""The process that runs a notebook's cells. It ends with the one that started it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_core.utils import run_sync

from bench3dmm.system.processes import with_parent

LOGGERS = ("tornado.general", "tornado.application", "asyncio")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """What is cut off in the midst of a message says so in a page, which nobody needs who stopped it."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


class Kernel(AsyncKernelManager):
    """A kernel that whoever makes it also ends; `jupyter_client` has it look for its parent once a second, which it
    cannot while a cell computes in C without letting go of Python, nor before it runs."""

    _client: Any = None

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        return with_parent(super().format_kernel_cmd(extra_arguments))

    def client(self, **options: Any) -> Any:
        self._client = super().client(**options)
        return self._client

    def end(self, now: bool) -> None:
        """Once: told to and given time, or with all of its processes ``now``."""
        with _silenced() if now else contextlib.nullcontext():
            if self._client is not None:
                self._client.stop_channels()
            run_sync(self._end)(now)

    async def _end(self, now: bool) -> None:
        if now:  # what was waiting for the cell's end would report that the kernel died
            waiting = asyncio.all_tasks() - {asyncio.current_task()}
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if self.has_kernel:
            await self.shutdown_kernel(now=now)
