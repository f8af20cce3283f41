"""Memory that is not there is known in each form that a library gives it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench3dmm.system.memory import free_memory, is_out_of_memory

HUGE = 2**50


def numpy_s():
    return np.empty(HUGE)


def torch_s():
    return torch.empty(HUGE)


@pytest.mark.parametrize("ask", [numpy_s, torch_s])
def test_what_libraries_raise_here(ask):
    with pytest.raises((MemoryError, RuntimeError)) as raised:
        ask()
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_what_cards_say(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), ValueError("out of memory"), KeyboardInterrupt()])
def test_other_errors_are_none(error):
    assert not is_out_of_memory(error)


def test_free_memory_says_of_what():
    assert "on cpu" in free_memory(torch.device("cpu"))
