"""What a report is made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench3dmm.data.dataset import Dataset
from bench3dmm.papers.artefact import Material
from bench3dmm.papers.setup import Setup
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result
from bench3dmm.statistics.claims import Verdict

DEFAULT_RESULTS = "results"


@dataclass
class Evidence:
    """What is stored, and what it says.

    Attributes:
        runs: of each experiment, as far as its runs can be told.
        results: of these runs, as far as they are stored.
        beyond: tasks of stored runs that no paper asks for.
        datasets: those that can be loaded; ``unavailable`` says why the others cannot.
        verdicts: by paper; ``unjudged`` says why a paper has none.
    """

    setup: Setup
    results_dir: Path
    runs: Mapping[str, Sequence[Run]]
    results: Sequence[Result]
    beyond: Sequence[str] = ()
    datasets: dict[str, Dataset] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"bench3dmm: {self.setup.coma} and {self.setup.bu3dfe}, profile {self.setup.profile}"

    @property
    def material(self) -> Material:
        return Material(self.results, self.datasets, self.setup)

    def stored(self, *experiments: str) -> int:
        """How many runs of those experiments are stored."""
        stored = {result.run for result in self.results}
        return len({run for name in experiments for run in self.runs.get(name, ())} & stored)

    def located(self, text: str) -> str:
        return located(text, self.results_dir)


def located(text: str, results_dir: Path) -> str:
    """A text whose sweep commands also name the results folder, where it is not the default one."""
    folder = "" if results_dir == Path(DEFAULT_RESULTS) else f" --results-dir {results_dir}"
    return re.sub(r"`(bench3dmm sweep [^`]+)`", lambda found: f"`{found[1]}{folder}`", text)
