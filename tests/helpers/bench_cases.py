"""A machine of round numbers, and a case small enough to be timed in tests."""

from __future__ import annotations

import torch

from bench3dmm.bench.cases import Case

CPU = torch.device("cpu")
MACHINE = {"gemm_flops": 1e11, "bandwidth": 1e10, "gemm_flops_one_thread": 1e11, "bandwidth_one_thread": 1e10}
SMALL = Case("face-1200", batch=4)
