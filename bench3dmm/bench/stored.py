"""A bench on disk: one JSON record, whose sections may be of several machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench3dmm.errors import DataError

SECTIONS = ("compare", "peers", "lamm", "layers", "scaling", "together", "around")
SCHEMA = 1


def load_bench(path: str | Path) -> dict[str, Any]:
    """The record that `bench3dmm.bench.sections.save_bench` wrote. Raises DataError."""
    try:
        record = json.loads(Path(path).read_text())
        if record["schema"] != SCHEMA:
            raise DataError(f"{path}: of schema {record['schema']}, this version reads {SCHEMA}; run bench3dmm bench")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a stored bench ({error!r}); run bench3dmm bench") from None
    return record


def of_section(record: dict[str, Any], section: str) -> dict[str, Any]:
    """The record as that of the machine on which a section was measured."""
    return {**record, **record["measured"].get(section, {}).get("on", {})}


def joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new sections and, of the old ones, those that are not measured anew.

    The record is that of the machine it was begun on, as long as a section of it is left; sections of another machine
    have this under ``on``.
    """
    sections = {name: old for name in SECTIONS if name in old} | {name: new for name in SECTIONS if name in new}
    made_on = {name: _machine_of(of_section(record, name)) for name, record in sections.items()}
    left = any(record is old and _same(made_on[name], old) for name, record in sections.items())
    own = _machine_of(old if left else new)
    measured = {}
    for name, record in sections.items():
        measured[name] = {key: value for key, value in record["measured"].get(name, {}).items() if key != "on"}
        if not _same(made_on[name], own):
            measured[name]["on"] = made_on[name]
    return {"schema": SCHEMA, **own, "measured": measured} | {name: sections[name][name] for name in sections}


def _machine_of(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("device", "threads", "versions", "machine")}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both are of one device with the same versions; its rates vary from time to time."""
    return all(one[key] == other[key] for key in ("device", "threads", "versions"))
