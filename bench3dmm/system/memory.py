"""Memory that is not there, in whatever form a library says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIGNS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate",
    "STATUS_ALLOC_FAILED",  # cuBLAS and cuDNN, of a handle or a workspace
)


def is_out_of_memory(error: BaseException) -> bool:
    """Python's MemoryError (NumPy's too), torch's of a GPU or of the CPU's allocator, and those of CUDA's libraries."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign.lower() in said for sign in SIGNS)


def free_memory(device: torch.device) -> str:
    """``3.1 of 80.0 GB free on cuda:0``; of the machine's where the device is the CPU and the system tells."""
    import torch

    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
    else:
        try:
            page = os.sysconf("SC_PAGE_SIZE")
            free, whole = (page * os.sysconf(name) for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"))
        except (AttributeError, ValueError, OSError):
            return f"an unknown amount free on {device}"
    return f"{free / 1e9:.1f} of {whole / 1e9:.1f} GB free on {device}"
