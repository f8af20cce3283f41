"""Other programs that are started and end with this process, however it ends: also killed, also while they compute."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

Started: TypeAlias = subprocess.Popen

PR_SET_PDEATHSIG, SIGKILL = 1, 9
LAUNCH = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {SIGKILL})
if os.getppid() != int(sys.argv[1]):
    os._exit(1)  # it has ended meanwhile
os.execvp(sys.argv[2], sys.argv[2:])
"""


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run` of a program that ends with this process, see `with_parent`."""
    return subprocess.run(with_parent(command), **options)


def start(command: Sequence[str], **options: Any) -> Started[Any]:
    """`subprocess.Popen` of a program that ends with this process, see `with_parent`."""
    return subprocess.Popen(with_parent(command), **options)


def with_parent(command: Sequence[str]) -> list[str]:
    """The command line of a program that the system kills when the thread that starts it ends (Linux).

    It is started through a small Python program, which asks the system for that and becomes the program, 20 ms later;
    asking in the fork (``preexec_fn``) is not safe where there are threads. A program that is not there ends with 1.
    Elsewhere than on Linux the command is as it was, and who waits for it must end it.
    """
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-ISc", LAUNCH, str(os.getpid()), *command]


def killed_with_parent() -> bool:
    """Ask the system to kill this process when the thread that started it ends; whether it was asked (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL) == 0
