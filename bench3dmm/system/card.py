"""The one seam to torch.cuda of trainings side by side: lanes, memory, capture. Tests put a fake in its place."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Turns a function that launches kernels into one that replays them."""


def capture_graph(launch: Callable[[], None]) -> Callable[[], None]:
    """Record what ``launch`` puts on the current GPU, without running it; returns the replay."""
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch()
    return graph.replay


class Card(Protocol):
    """What trainings need of a GPU."""

    device: torch.device

    def lane(self) -> AbstractContextManager[object]:
        """A context that can be entered again and again; what is launched inside runs beside what other lanes run."""

    def capture(self, launch: Callable[[], None]) -> Callable[[], None]:
        """See `capture_graph`."""

    def free_memory(self) -> int:
        """Bytes that nobody has, once this process gave back what it kept unused."""

    def all_memory(self) -> int:
        """Bytes of the card."""

    def wait(self) -> None:
        """Until everything that was launched is done."""


class CudaCard:
    """A GPU of torch.cuda."""

    def __init__(self, device: torch.device) -> None:
        import torch

        index = torch.cuda.current_device() if device.index is None else device.index
        self.device = torch.device("cuda", index)

    def lane(self) -> AbstractContextManager[object]:
        import torch

        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        return torch.cuda.stream(stream)

    def capture(self, launch: Callable[[], None]) -> Callable[[], None]:
        return capture_graph(launch)

    def free_memory(self) -> int:
        import torch

        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(self.device)[0]

    def all_memory(self) -> int:
        import torch

        return torch.cuda.mem_get_info(self.device)[1]

    def wait(self) -> None:
        import torch

        torch.cuda.synchronize(self.device)
