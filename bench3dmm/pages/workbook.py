"""What every notebook does around its figures: train what is missing, save what it shows, say where it came from."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.apply.exported import load_run
from bench3dmm.data.registry import load_dataset
from bench3dmm.errors import DataError
from bench3dmm.papers.artefact import Material
from bench3dmm.papers.protocol import SEEDS
from bench3dmm.papers.registry import papers
from bench3dmm.papers.setup import Setup
from bench3dmm.papers.shown import claims, paper_of_claim, verdicts
from bench3dmm.runs.results import Result, result_path, results_folder
from bench3dmm.runs.stored import stored_results
from bench3dmm.runs.sweep import sweep
from bench3dmm.statistics.claims import Verdict, verdict_table
from bench3dmm.view.style import save_figure
from bench3dmm.view.tables import save_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bench3dmm.apply.generative import Autoencoder
    from bench3dmm.data.dataset import Dataset


SHOWN = ["quote", "place", "effect is", "holds if", "paper", "ours", "95 % interval", "verdict", "because"]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table as notebooks show it: sentences in full, text to the left, where its numbers come from below."""

    frame: pd.DataFrame

    def __repr__(self) -> str:
        return "\n".join(filter(None, [self.frame.to_string(), self.note]))

    def _repr_html_(self) -> str:
        import pandas as pd

        with pd.option_context("display.max_colwidth", None):
            flat = self.frame if list(self.frame.index.names) == [None] else self.frame.reset_index()
            table = flat.to_html(index=False, border=0, classes="bench3dmm", na_rep="–", justify="left")
        notes = "".join(f"<p><small>{html.escape(line)}</small></p>" for line in self.note.splitlines())
        return f"{STYLE}\n{table}\n{notes}"

    @property
    def note(self) -> str:
        return self.frame.attrs.get("footer", "")


STYLE = "<style>table.bench3dmm :is(td, th) {text-align: left !important; vertical-align: top !important}</style>"


class Workbook:
    """The setting of one notebook.

    Args:
        coma, bu3dfe: the datasets that take the places of COMA and BU3DFE.
        profile, seeds: of the runs; ``seeds`` is how many.
        results_dir: where runs are looked for and stored; empty: the checkout's ``results``.
        figures_dir: where figures (PNG, PDF) and tables (CSV, LaTeX) go; empty: nowhere.
        device, jobs: see `bench3dmm.runs.sweep.sweep`.
    """

    def __init__(
        self,
        coma: str = "mh-seq",
        bu3dfe: str = "mh-scan",
        profile: str = "quick",
        seeds: int = len(SEEDS),
        results_dir: str | Path = "",
        figures_dir: str | Path = "",
        device: str = "auto",
        jobs: int = 0,
    ) -> None:
        self.setup = Setup(coma, bu3dfe, profile, tuple(range(seeds)))
        self.results_dir, self.figures_dir = results_folder(results_dir), figures_dir
        self.device, self.jobs = device, jobs
        self.results: list[Result] = []

    def train(self, *experiments: str, **where: object) -> list[Result]:
        """The results of those experiments; runs that are not stored are trained first.

        Where fields are named, e.g. ``latent=16``, only of the runs that have these values.

        Their datasets are loaded too, so that one that has to be generated says so here and not between the numbers.
        """
        runs = self.setup.runs(*experiments, **where)
        sweep(runs, self.results_dir, self.device, jobs=self.jobs)
        for name in dict.fromkeys(run.dataset for run in runs):
            load_dataset(name)
        self.results = stored_results(runs, self.results_dir)
        return self.results

    def weights(self, results: Sequence[Result]) -> dict[str, Autoencoder]:
        """The trained models of results, by run id.

        Raises:
            DataError: results are shared without their weights: the command that trains them again.
        """
        models: dict[str, Autoencoder] = {}
        for run in (result.run for result in results):
            models[run.run_id] = load_run(result_path(run, self.results_dir))
        return models

    def stored(self, *experiments: str) -> list[Result]:
        """The results of those experiments that are stored; says in a line how many, and what trains the others.

        For experiments of hours: nothing is trained.
        """
        runs = self.setup.runs(*experiments)
        self.results = stored_results(runs, self.results_dir)
        print(f"{len(self.results)} of {len(runs)} runs are stored", end="")
        lacking = set(runs) - {result.run for result in self.results}
        commands = [self.setup.command(name) for name in experiments if lacking & set(self.setup.runs(name))]
        print(f"; the rest: {' and '.join(commands)}" if commands else "")
        return self.results

    def dataset(self, place: str) -> Dataset:
        """The dataset in the place of ``coma`` or ``bu3dfe``."""
        return load_dataset(getattr(self.setup, place))

    def figure(self, figure: Figure, name: str) -> Figure:
        """Save a figure and pass it on, to be shown."""
        if self.figures_dir:
            save_figure(figure, self.figures_dir, name)
        return figure

    def table(self, frame: pd.DataFrame, name: str) -> Sheet:
        """Save a table, and have it shown whole."""
        if self.figures_dir:
            save_table(frame, self.figures_dir, name)
        return Sheet(frame)

    def show(self, make: Callable[..., Any], name: str, *given: Any, **options: Any) -> Figure | Sheet | None:
        """What an artefact makes of the results, saved; where their runs are not stored, what trains them."""
        from matplotlib.figure import Figure

        try:
            made = make(self.results, *given, setup=self.setup, **options)
        except DataError as error:
            print(error)
            return None
        return self.figure(made, name) if isinstance(made, Figure) else self.table(made, name)

    def say(self, make: Callable[[Sequence[Result], Setup], list[str]]) -> None:
        """Print the sentences that something makes of the results, or what trains their runs."""
        try:
            print("\n".join(make(self.results, self.setup)))
        except DataError as error:
            print(error)

    def judge(self, *ids: str) -> list[Verdict]:
        """The verdicts on claims of a paper from the results trained or loaded so far; on all of the first one's, if
        none is named. Raises UnknownNameError for a claim that no paper makes."""
        wanted = [(paper_of_claim(name), name) for name in ids] or [
            (paper, name) for paper in [next(iter(papers()))] for name in claims(paper)
        ]
        material = Material(self.results, self._datasets(), self.setup)
        found = {
            (paper, verdict.claim.id): verdict
            for paper in dict.fromkeys(paper for paper, _ in wanted)
            for verdict in verdicts(paper, material)
        }
        return [found[key] for key in wanted]

    def _datasets(self) -> dict[str, Dataset]:
        """Those of the results, in either place."""
        places = dict.fromkeys((self.setup.coma, self.setup.bu3dfe))
        used = {result.run.dataset for result in self.results}
        return {name: load_dataset(name) for name in places if name in used}

    def verdicts(self, *ids: str) -> pd.DataFrame:
        """The same as a table, see `claims_table`."""
        return claims_table(self.judge(*ids))

    def provenance(self) -> pd.DataFrame:
        """Where the numbers come from: one row for each dataset, machine, commit and version among the results."""
        import pandas as pd

        rows = [
            {
                "dataset": result.run.dataset,
                "profile": result.run.profile,
                "data sha256": str(result.provenance["dataset_sha256"])[:12],
                "device": result.provenance["device"],
                "commit": (result.provenance.get("git") or {}).get("commit", "")[:10],
                "torch": result.provenance["versions"]["torch"],
                "minutes": result.provenance["training_seconds"] / 60,
            }
            for result in self.results
        ]
        keys = ["dataset", "profile", "data sha256", "device", "commit", "torch"]
        grouped = pd.DataFrame(rows, columns=[*keys, "minutes"]).groupby(keys, sort=False)["minutes"]
        return grouped.agg(runs="size", minutes="sum").round(1).reset_index()


def claims_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts as notebooks show them; below on which data, and what else a reader should know of the claims."""
    table = verdict_table(verdicts).rename(columns={"reason": "because"})[SHOWN].round(3)
    measured = dict.fromkeys(part for verdict in verdicts for part in verdict.data.split("; "))
    notes: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.claim.note:
            notes.setdefault(verdict.claim.note, []).append(verdict.claim.id)
    said = [f"{', '.join(claims)}: {note}" for note, claims in notes.items()]
    table.attrs["footer"] = "\n".join([" · ".join(measured), *said])
    return table
