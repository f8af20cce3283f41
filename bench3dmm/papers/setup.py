"""Which stored runs stand for the paper's, what of them is missing, and what they amount to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.data.registry import departures
from bench3dmm.data.tables import persons
from bench3dmm.errors import DataError
from bench3dmm.papers.protocol import SEEDS
from bench3dmm.papers.registry import experiment
from bench3dmm.runs.results import CHECKOUT_RESULTS
from bench3dmm.runs.stored import check_comparable
from bench3dmm.statistics.bootstrap import bootstrap_mean
from bench3dmm.system.words import small_print
from bench3dmm.view.curves import run_line

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.record.run import Run
    from bench3dmm.runs.results import Result


BENCH_JSON = CHECKOUT_RESULTS / "bench.json"  # speed and memory, as ``bench3dmm bench`` measured them
PRINTED = {"coma": "COMA", "bu3dfe": "BU3DFE"}
"""The licensed datasets, by the names they are imported under, as papers write them."""

CELL = ("dataset", "split", "model", "loss", "latent")  # what is varied; seeds are averaged over


@dataclass(frozen=True)
class Setup:
    """Which runs an artefact shows.

    Attributes:
        coma, bu3dfe: the datasets that take the places of COMA and BU3DFE.
        profile: of the runs.
        seeds: averaged over.
    """

    coma: str = "mh-seq"
    bu3dfe: str = "mh-scan"
    profile: str = "quick"
    seeds: Sequence[int] = SEEDS

    def runs(self, *needs: str, **where: Any) -> list[Run]:
        """The runs of experiments (see `bench3dmm.papers.registry.experiment`) whose fields have these values."""
        runs = [run for name in needs for run in experiment(name, self.coma, self.bu3dfe, self.profile, self.seeds)]
        return [run for run in dict.fromkeys(runs) if run.has(**where)]

    def command(self, name: str) -> str:
        """What trains an experiment's runs."""
        default = Setup()
        datasets = "".join(
            f" --{place} {getattr(self, place)}"
            for place in ("coma", "bu3dfe")
            if getattr(self, place) != getattr(default, place)
        )
        seeds = "" if max(self.seeds) < len(SEEDS) else f" --seeds {max(self.seeds) + 1}"
        return f"bench3dmm sweep {name}{datasets} --profile {self.profile}{seeds}"


def is_original(dataset: str, place: str) -> bool:
    """Whether a dataset is the licensed one of this place, imported here, and complete."""
    return dataset == place and departures(dataset) == []


@dataclass(frozen=True)
class Chosen:
    """The results of the runs an artefact needs, in the experiment's order, and the runs without one."""

    results: list[Result]
    missing: list[Run]

    def where(self, **fields: Any) -> list[Result]:
        return [result for result in self.results if result.run.has(**fields)]

    @property
    def footer(self) -> str:
        """Dataset, split, profile, seeds, preset, and which runs are missing."""
        presets = dict.fromkeys(result.run.preset for result in self.results)
        preset = f"preset {', '.join(presets)}" if len(self.results) > 1 else ""  # a single run's line has it
        return small_print(run_line(*self.results), preset, self._missing_note())

    @property
    def several_seeds(self) -> bool:
        return len({result.run.seed for result in self.results}) > 1

    def _missing_note(self) -> str:
        """Latent sizes that lack the same seeds in one breath: ``missing: identity d = 256, 512 (seed 1)``."""
        runs = [result.run for result in self.results] + self.missing
        varying = [name for name in CELL if len({getattr(run, name) for run in runs}) > 1]
        lacking: dict[tuple[str, int], list[int]] = {}
        for run in self.missing:
            label = " ".join(getattr(run, name) for name in varying if name != "latent")
            lacking.setdefault((label, run.latent), []).append(run.seed)
        latents: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for (label, latent), seeds in lacking.items():
            latents.setdefault((label, tuple(seeds)), []).append(latent)
        notes = []
        for (label, absent), sizes in latents.items():
            sizes_note = f"d = {_listed(sizes)}" if "latent" in varying else ""
            seeds_note = f"(seed {_listed(absent)})" if set(absent) != {run.seed for run in runs} else ""
            notes.append(" ".join(filter(None, [label, sizes_note, seeds_note])))
        return f"missing: {'; '.join(notes)}" if notes else ""


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def choose(
    what: str, results: Iterable[Result], setup: Setup, *needs: str, optional: Iterable[Run] = (), **where: Any
) -> Chosen:
    """Pick the results an artefact shows.

    Args:
        what: the artefact, for messages.
        needs: experiments it is drawn from.
        optional: runs to take where they are there, and not to miss.
        where: fields that its runs have, e.g. ``split="identity"``.

    Raises:
        DataError: if there is none, with the command that trains them; if they were not measured on one version of
            a dataset and split.
    """
    given = {result.run: result for result in results}
    runs = setup.runs(*needs, **where)
    found = [given[run] for run in runs if run in given]
    if not found:
        commands = " and ".join(f"`{setup.command(name)}`" for name in needs)
        raise DataError(f"{what}: none of its {len(runs)} runs is among the results; run {commands}")
    found += [given[run] for run in optional if run in given and run not in runs]
    check_comparable(what, found)
    return Chosen(found, [run for run in runs if run not in given])


def summarise(results: Sequence[Result]) -> pd.DataFrame:
    """Errors over seeds: one row a combination of `CELL`, in the order of the results.

    Columns besides those of `CELL`: ``mean``, ``sd`` (n - 1; NaN for one seed), ``lowest`` and ``highest`` of the
    seeds' mean errors; ``low`` and ``high``, a 95 % bootstrap interval over test persons (meshes, where it is not
    known whose they are) and seeds; ``median``;
    ``near`` and ``far``, with ``near_sd`` and ``far_sd`` (NaN without landmarks); ``seeds``, how many. All in mm.
    """
    import pandas as pd

    cells: dict[tuple, list[Result]] = {}
    for result in results:
        cells.setdefault(tuple(getattr(result.run, name) for name in CELL), []).append(result)
    return pd.DataFrame([{**dict(zip(CELL, cell, strict=True)), **_over_seeds(cells[cell])} for cell in cells])


def _over_seeds(results: Sequence[Result]) -> dict[str, float]:
    def metric(name: str) -> np.ndarray:
        return np.array([result.metrics.get(name, np.nan) for result in results])

    means = metric("mean_mm")
    known = persons(results[0].run.dataset)
    units = None if known is None else known[results[0].arrays["sample_index"]]
    interval = bootstrap_mean(np.stack([result.arrays["sample_error"] for result in results]), units)
    return {
        "mean": means.mean(),
        "sd": _sd(means),
        "lowest": means.min(),
        "highest": means.max(),
        "low": interval.low,
        "high": interval.high,
        "median": metric("median_mm").mean(),
        "near": metric("near_mm").mean(),
        "near_sd": _sd(metric("near_mm")),
        "far": metric("far_mm").mean(),
        "far_sd": _sd(metric("far_mm")),
        "seeds": len(results),
    }


def _sd(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
