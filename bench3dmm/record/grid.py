"""Many runs: all combinations of fields, and what tells runs apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench3dmm.record.run import Run


def grid(make: Callable[..., Run] = Run, /, **axes: Any) -> list[Run]:
    """Runs of all combinations: each field of `Run` is a value or a list of values; the first varies slowest.

    Args:
        make: gives a run of its fields; see `bench3dmm.tasks.published.published_run` for another.

    >>> [run.latent for run in grid(dataset="mh-scan", latent=[8, 16], seed=[0, 1])]
    [8, 8, 16, 16]
    """
    values = [v if isinstance(v, list | tuple | range) else [v] for v in axes.values()]
    return [make(**dict(zip(axes, chosen, strict=True))) for chosen in itertools.product(*values)]


def shown_value(run: Run, field: str) -> object:
    """A field as tables show it: how many epochs, not that they are the profile's."""
    return run.n_epochs if field == "epochs" else getattr(run, field)


def varying_fields(runs: Iterable[Run]) -> list[str]:
    """The fields in which runs differ, in the order of `Run`'s."""
    runs = list(runs)
    return [name for name in Run.field_names() if len({shown_value(run, name) for run in runs}) > 1]


def differences(run: Run, runs: Sequence[Run]) -> str:
    """The fields in which runs differ, as one of them has them: ``latent=16, seed=1``."""
    return ", ".join(f"{name}={shown_value(run, name)}" for name in varying_fields(runs)) or run.dataset
