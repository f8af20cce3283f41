"""Content hashes, the user cache, and files that are never seen half-written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

CACHE_VARIABLE = "BENCH3DMM_CACHE"
LITTER = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")  # the names that `write_atomically` writes under
LITTER_SECONDS = 24 * 3600  # longer than any file takes to be written


def cache_dir() -> Path:
    """Where generated datasets and hierarchies live: ``$BENCH3DMM_CACHE`` or the user's cache folder."""
    if override := os.environ.get(CACHE_VARIABLE):
        return Path(override).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("bench3dmm"))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_arrays(*arrays: np.ndarray, salt: str = "") -> str:
    """sha256 over dtype, shape and bytes of the arrays, in order."""
    digest = hashlib.sha256(salt.encode())
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()


def hash_named(arrays: Mapping[str, np.ndarray], salt: str = "") -> str:
    """sha256 over names, dtypes, shapes and bytes of arrays, whatever their order and the file they lie in."""
    names = sorted(arrays)
    return hash_arrays(*(arrays[name] for name in names), salt=canonical_json([names, salt]))


def hash_file(path: Path) -> str:
    """sha256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file aside in the same folder, flush it to disk, then rename it over ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~umask())  # mkstemp makes private files
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _clear_litter(path.parent)


def _clear_litter(folder: Path) -> None:
    """Remove what processes left behind that were killed while they wrote here, a day ago or more."""
    longest = time.time() - LITTER_SECONDS
    for entry in os.scandir(folder):
        if LITTER.fullmatch(entry.name):
            with contextlib.suppress(OSError):  # somebody else was faster
                if entry.stat().st_mtime < longest:
                    Path(entry.path).unlink()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))


def sorted_header(tensors: bytes) -> bytes:
    """The content of a safetensors file with its header's keys sorted: the library writes metadata in a random order,
    so that equal tensors would make files that differ."""
    size = int.from_bytes(tensors[:8], "little")
    header = canonical_json(json.loads(tensors[8 : 8 + size])).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + tensors[8 + size :]


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]  # taken for allow_pickle


def read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
