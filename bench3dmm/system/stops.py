"""Being asked to stop: SIGTERM is as orderly as Ctrl-C, and neither is lost.

Both raise KeyboardInterrupt wherever the process happens to be. Where that is a destructor, Python prints it and goes
on; long work therefore asks now and then whether it was asked.
"""

from __future__ import annotations

import signal
from types import FrameType

_asked = False


def heed() -> None:
    """From now on, as the entry point does; what whoever started this process has it ignore stays ignored."""
    global _asked
    _asked = False
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt


def check_stop() -> None:
    """Raises KeyboardInterrupt where this process was asked to stop and went on."""
    if _asked:
        raise KeyboardInterrupt
