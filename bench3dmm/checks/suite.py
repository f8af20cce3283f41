"""A suite of checks, each of which says what was seen or how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench3dmm.checks.subject import NotAsked, Wrong

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Check:
    """What came of one check.

    Attributes:
        outcome: ``passed``, ``failed`` or ``skipped``.
        sentence: what was seen; of a failed check what is wrong and how to mend it.
    """

    name: str
    outcome: str
    sentence: str


def outcome_of(label: str, ask: Callable[[Any], str], subject: Any) -> Check:
    """One check of a subject; whatever somebody else's code raises is what failed."""
    try:
        return Check(label, PASSED, ask(subject))
    except NotAsked as reason:
        return Check(label, SKIPPED, str(reason))
    except Wrong as reason:
        return Check(label, FAILED, str(reason))
    except Exception as error:  # whatever somebody else's model raises
        return Check(label, FAILED, f"{_first_sentence(ask)} Instead it raised {short(error)}")


def _first_sentence(ask: Callable[..., Any]) -> str:
    return " ".join((ask.__doc__ or "").partition("\n\n")[0].split())


def short(error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line[:200]}"
