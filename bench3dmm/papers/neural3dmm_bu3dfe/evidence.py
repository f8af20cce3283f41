"""From stored results to the effects of the paper's claims."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.errors import DataError
from bench3dmm.mesh.roughness import error_roughness
from bench3dmm.papers.neural3dmm_bu3dfe.cells import Cell, CellClaim, Errors
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result
from bench3dmm.statistics.bootstrap import (
    Interval,
    draw_units,
    interval_of_largest,
    interval_of_smallest,
    resampled_means,
)
from bench3dmm.statistics.claims import LEAST_SEEDS, LEAST_UNITS, Finding

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset


PUBLISHED = PROFILES["paper"]
VARYING = ("dataset", "split", "loss", "latent", "seed")  # fields of a run in which a claim's runs may differ
SAMPLES = {"error": "sample_error", "near_error": "sample_near_error", "far_error": "sample_far_error"}
PAPER_NAMES = {"coma": "COMA", "bu3dfe": "BU3DFE"}


class Evidence:
    """The results that claims may read, and their resamples, each computed once.

    All draws come from generators of their own, named after what is drawn, so that neither the order of the results
    nor which others there are changes an interval.
    """

    def __init__(
        self,
        results: Iterable[Result],
        names: Mapping[str, str],
        datasets: Mapping[str, Dataset],
        resamples: int,
        seed: int,
        published: Mapping[str, float],
    ) -> None:
        self.names = names
        self.published = published
        self._datasets = datasets
        self._resamples = resamples
        self._seed = seed
        self._runs: dict[tuple[str, str, str, int], dict[int, Result]] = {}
        self._draws: dict[Any, np.ndarray] = {}
        kept = [result for result in results if result.run.dataset in names.values()]
        _check_of_one_kind(kept, datasets)
        for result in kept:
            run = result.run
            by_seed = self._runs.setdefault((run.dataset, run.split, run.loss, run.latent), {})
            if run.seed in by_seed:
                raise DataError(f"the result of run {run.run_id} is given twice")
            by_seed[run.seed] = result
        self.profile = kept[0].run.profile if kept else None
        self.all_seeds = sorted({result.run.seed for result in kept})

    def find(self, claim: CellClaim) -> Finding:
        """The effect of a claim, what it rests on, and why that may not suffice."""
        seeds = self.seeds(claim.needs)
        lacking = list(dict.fromkeys(lack for cell in claim.needs if (lack := self.lacks(cell))))
        effect, seed_effects = (None, ()) if lacking or not seeds else self.estimate(claim, seeds)
        return Finding(
            effect=effect,
            obstacles=tuple(lacking or _obstacles(claim, self, seeds)),
            seed_effects=seed_effects,
            paper_effect=self.published.get(claim.id),
            datasets=tuple(dict.fromkeys(self.names[cell.dataset] for cell in claim.needs)),
            profile=self.profile,
            seeds=seeds,
            **_sizes(claim, self),
        )

    def runs(self, cell: Cell) -> dict[int, Result]:
        """The results of a configuration by seed."""
        return self._runs.get((self.names[cell.dataset], cell.split, cell.loss, cell.latent), {})

    def seeds(self, cells: Iterable[Cell]) -> tuple[int, ...]:
        """The seeds that every one of the cells has."""
        return tuple(sorted(set.intersection(*(set(self.runs(cell)) for cell in cells))))

    def lacks(self, cell: Cell) -> str:
        """What the cell cannot be computed for, or nothing."""
        name = self.names[cell.dataset]
        if not (runs := self.runs(cell)):
            return f"run {self.describe(cell)} is not stored"
        if cell.quantity == "noise" and name not in self._datasets:
            return f"the edges of {name}'s template are not given (datasets=)"
        if cell.quantity in SAMPLES and not all(SAMPLES[cell.quantity] in r.arrays for r in runs.values()):
            return f"run {self.describe(cell)} has no errors near landmarks"
        return ""

    def other(self, role: str) -> list[str]:
        """Why millimetres on the set in this place are not comparable with the published ones."""
        name = self.names[role]
        about = f"about millimetres on {PAPER_NAMES[role]}, and {name}"
        if name != role:
            return [f"{about} is another set"]
        if name not in self._datasets:
            return [f"{about} is not at hand to see whether it is complete (datasets=)"]
        departures = self._datasets[name].card.get("departures", ["its import did not check that"])
        return [f"{about} departs from it: {'; '.join(departures)}"] if departures else []

    def short_of_published(self, cells: Iterable[Cell]) -> list[str]:
        """How the runs' training is less than the published one."""
        runs = {result.run for cell in cells for result in self.runs(cell).values()}
        epochs = min((run.n_epochs for run in runs), default=PUBLISHED.epochs)
        found = [f"{epochs} of the paper's {PUBLISHED.epochs} epochs"] if epochs < PUBLISHED.epochs else []
        if any(PROFILES[run.profile].max_train for run in runs):
            found.append(f"profile {self.profile} leaves training meshes out")
        return found

    def describe(self, cell: Cell) -> str:
        return f"{self.names[cell.dataset]}, {cell.split}, {cell.loss}, d = {cell.latent}"

    def rows(self, cell: Cell) -> np.ndarray:
        """The dataset's rows that the cell is a mean over."""
        result = next(iter(self.runs(cell).values()))
        return result.arrays["reconstruction_index" if cell.quantity == "noise" else "sample_index"]

    def persons(self, cell: Cell) -> np.ndarray | None:
        """Whose mesh each row is, where that is known."""
        dataset = self._datasets.get(self.names[cell.dataset])
        return None if dataset is None else dataset.samples["subject"].to_numpy(str)[self.rows(cell)]

    def values(self, cell: Cell, seeds: Sequence[int]) -> np.ndarray:
        """A row for each seed, a column for each mesh: (S, m)."""
        return np.stack([self._values_of_run(cell, self.runs(cell)[seed]) for seed in seeds]).astype(np.float64)

    def _values_of_run(self, cell: Cell, result: Result) -> np.ndarray:
        if cell.quantity == "parameters":
            return np.full(len(self.rows(cell)), result.provenance["parameters"])
        if cell.quantity == "noise":
            faces = self._datasets[result.run.dataset].template.faces
            return error_roughness(result.arrays["reconstruction_offset"], faces)
        return result.arrays[SAMPLES[cell.quantity]]

    def estimate(self, claim: CellClaim, seeds: Sequence[int]) -> tuple[Interval, tuple[float, ...]]:
        """The effect with its interval, and of each seed alone."""
        of_seed = {cell: self.values(cell, seeds).mean(axis=1) for cell in claim.needs}
        points = np.array(claim.comparisons(Errors(lambda cell: of_seed[cell].mean())))
        draws = np.array(claim.comparisons(Errors(lambda cell: self._resampled(cell, tuple(seeds)))))
        interval = (interval_of_largest if claim.side == "below" else interval_of_smallest)(points, draws)
        return interval, tuple(claim.effect(Errors(of_seed.__getitem__)).tolist())

    def _resampled(self, cell: Cell, seeds: tuple[int, ...]) -> np.ndarray:
        if (key := (cell, seeds)) not in self._draws:
            values = self.values(cell, seeds)
            seed_counts = self._counts("seeds", np.arange(len(seeds)))
            self._draws[key] = resampled_means(values, self._mesh_counts(cell), seed_counts)
        return self._draws[key]

    def _mesh_counts(self, cell: Cell) -> np.ndarray:
        rows, persons = self.rows(cell), self.persons(cell)
        name = f"{self.names[cell.dataset]} {cell.split} {'shown' if cell.quantity == 'noise' else 'all'}"
        return self._counts(name, rows if persons is None else persons)

    def _counts(self, name: str, units: np.ndarray) -> np.ndarray:
        if (key := (name, len(units))) not in self._draws:
            rng = np.random.default_rng([self._seed, zlib.crc32(name.encode())])
            self._draws[key] = draw_units(units, self._resamples, rng)
        return self._draws[key]


def _check_of_one_kind(results: Sequence[Result], datasets: Mapping[str, Dataset]) -> None:
    """Refuse to compare results that differ in more than a claim is about."""
    for field in Run.field_names():
        found = sorted({getattr(result.run, field) for result in results})
        if field not in VARYING and len(found) > 1:
            raise DataError(f"the results differ in {field} ({', '.join(map(str, found))}); give those of one kind")
    data = {name: dataset.sha256 for name, dataset in datasets.items()}
    rows: dict[tuple[str, str], np.ndarray] = {}
    for result in results:
        run = result.run
        made_on = result.provenance["dataset_sha256"]
        if data.setdefault(run.dataset, made_on) != made_on:
            raise DataError(f"run {run.run_id} was measured on another version of {run.dataset} than the rest")
        index = result.arrays["sample_index"]
        if not np.array_equal(rows.setdefault((run.dataset, run.split), index), index):
            raise DataError(f"run {run.run_id} was tested on other meshes of {run.dataset}, {run.split} than the rest")


def _obstacles(claim: CellClaim, evidence: Evidence, seeds: Sequence[int]) -> list[str]:
    """Why the runs that are there do not suffice."""
    found = []
    if len(seeds) < LEAST_SEEDS:
        missing = [
            f"run {evidence.describe(cell)}, seed {seed} is not stored"
            for cell in claim.needs
            for seed in evidence.all_seeds
            if seed not in evidence.runs(cell)
        ]
        found += [f"{len(seeds)} seeds, at least {LEAST_SEEDS} are needed", *dict.fromkeys(missing)]
    for cell in claim.needs:
        persons = evidence.persons(cell)
        units = len(np.unique(evidence.rows(cell) if persons is None else persons))
        if units < LEAST_UNITS:
            what = "test meshes" if persons is None else "test persons"
            found.append(f"{evidence.describe(cell)}: {units} {what}, at least {LEAST_UNITS} are needed")
    if claim.original:
        found += [reason for role in dict.fromkeys(c.dataset for c in claim.needs) for reason in evidence.other(role)]
        found += evidence.short_of_published(claim.needs)
    return list(dict.fromkeys(found))


def _sizes(claim: CellClaim, evidence: Evidence) -> dict[str, dict[str, int]]:
    """Test meshes, and persons where they are known, by dataset and split."""
    meshes, persons = {}, {}
    for cell in claim.needs:
        if evidence.runs(cell):
            where = f"{evidence.names[cell.dataset]} {cell.split}"
            meshes[where] = len(evidence.rows(cell))
            if (whose := evidence.persons(cell)) is not None:
                persons[where] = len(np.unique(whose))
    return {"test_meshes": meshes, "persons": persons}
