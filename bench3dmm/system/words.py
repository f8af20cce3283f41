"""Numbers and lists in sentences."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, thing: str) -> str:
    """``1 mesh``, ``1,234 vertices``."""
    several = {"mesh": "meshes", "vertex": "vertices"}.get(thing, f"{thing}s")
    return f"{number:,} {thing if number == 1 else several}"


def listed(values: Iterable[object]) -> str:
    """``8``, ``8 and 16``, ``8, 16 and 64``; of at least one."""
    *rest, last = map(str, values)
    return f"{', '.join(rest)} and {last}" if rest else last


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def small_print(*parts: str) -> str:
    """``a · b``: a footer of those parts that say something."""
    return " · ".join(filter(None, parts))
