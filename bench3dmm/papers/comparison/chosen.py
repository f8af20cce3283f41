"""Which results are compared: those of this package's models, and of others on the same protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench3dmm.errors import DataError
from bench3dmm.papers.comparison.experiments import PEERS
from bench3dmm.papers.setup import Chosen, Setup, choose
from bench3dmm.runs.stored import on_protocol
from bench3dmm.statistics.headline import headline
from bench3dmm.statistics.ranking import LEAST_SEEDS, Ranking, Standing, rankings

if TYPE_CHECKING:
    from bench3dmm.runs.results import Result


PLACES = (("bu3dfe", "percentage"), ("coma", "percentage"), ("bu3dfe", "identity"))
"""Whose place the dataset takes, and the split: what the experiment ``peers`` measures."""

PEER_EXPERIMENTS = ("peers", "common-training", "extrapolation")
COMMON_LATENT = 16  # at which other measures than the mean error are compared
MOST_NOTES = 160  # characters that a foot spends on what is missing
HOLLOW = f"hollow marks: fewer than {LEAST_SEEDS} seeds"


# --- which results ------------------------------------------------------------------------------------------------


def chosen_of(what: str, results: Sequence[Result], setup: Setup, place: str, split: str, **where: Any) -> Chosen:
    """The peers' runs on one dataset and split, and those of models of others."""
    where = {"dataset": getattr(setup, place), "split": split, **where}
    return choose(what, results, setup, "peers", optional=foreign_runs(results, setup, **where), **where)


def foreign_runs(results: Sequence[Result], setup: Setup, **where: Any) -> list:
    """Runs of models that are not this package's, on the same protocol."""
    where = {"profile": setup.profile, **where}
    return [
        result.run
        for result in results
        if result.run.model not in PEERS
        and on_protocol(result.run)
        and result.run.seed in setup.seeds
        and result.run.has(**where)
    ]


@dataclass(frozen=True)
class Panel:
    """What was measured on one dataset and split."""

    chosen: Chosen
    rankings: list[Ranking]

    @property
    def title(self) -> str:
        return f"{self.rankings[0].dataset}, {self.rankings[0].split}"


def panels_of(what: str, results: Sequence[Result], setup: Setup, **where: Any) -> list[Panel]:
    """Those of `PLACES` of which something is there.

    Raises:
        DataError: nothing is there at all.
    """
    panels, reasons = [], []
    for place, split in PLACES:
        try:
            chosen = chosen_of(what, results, setup, place, split, **where)
        except DataError as error:
            reasons.append(error)
            continue
        panels.append(Panel(chosen, rankings(chosen.results)))
    if not panels:
        raise reasons[0]
    return panels


def peer_rankings(results: Sequence[Result], setup: Setup | None = None) -> list[Ranking]:
    """The rankings on every dataset, split and latent size of the experiment ``peers``.

    Raises:
        DataError: none of its runs is among the results.
    """
    return [ranking for panel in panels_of("the ranking", results, setup or Setup()) for ranking in panel.rankings]


def peers_headline(results: Sequence[Result], setup: Setup | None = None) -> list[str]:
    """Where PCA is first, and where not, in sentences to stand above everything else; see `peer_rankings`."""
    return headline(peer_rankings(results, setup))


def regions_of(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(region for result in results for region in result.metrics.get("by_region", {})))


# --- shared -------------------------------------------------------------------------------------------------------


def results_of(chosen: Chosen, standing: Standing) -> list[Result]:
    """The results behind one standing."""
    return [result for result in chosen.results if result.run in standing.runs]


def in_order(models) -> list[str]:
    """Each model once: this package's in their order, then those of others by name."""
    found = set(models)
    return [*(name for name in PEERS if name in found), *sorted(found - set(PEERS))]


def foot(chosen: Chosen, setup: Setup, experiment: str) -> str:
    """Dataset, split, profile, seeds, and what is missing; in full where that is short, else how much it is."""
    line = chosen.footer
    whole, _, missing = line.partition("missing: ")
    if len(missing) > MOST_NOTES:
        line = f"{whole}{runs_missing(chosen, setup, experiment)}"
    return line


def runs_missing(chosen: Chosen, setup: Setup, experiment: str) -> str:
    """How many runs are missing, and what trains them; empty where none is."""
    count = len(chosen.missing)
    return f"{count} of {count + len(chosen.results)} runs missing: `{setup.command(experiment)}`" if count else ""
