"""Verdicts on the paper's claims: stored results in, effects with bootstrap intervals out.

The claims themselves stand in `bench3dmm.statements`, the statistics in `bench3dmm.bootstrap`.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from bench3dmm.bootstrap import (
    RESAMPLES,
    Interval,
    draw_units,
    interval_of_largest,
    interval_of_smallest,
    resampled_means,
)
from bench3dmm.errors import DataError
from bench3dmm.results import Result
from bench3dmm.run import PROFILES, Run
from bench3dmm.statements import CLAIMS, UNTESTED, Cell, Claim, Errors

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.data.dataset import Dataset

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
LEAST_SEEDS = 3
LEAST_UNITS = 5  # persons, or meshes where these are not known
PUBLISHED = PROFILES["paper"]
VARYING = ("dataset", "split", "loss", "latent", "seed")  # fields of a run in which a claim's runs may differ
SAMPLES = {"error": "sample_error", "near_error": "sample_near_error", "far_error": "sample_far_error"}
PAPER_NAMES = {"coma": "COMA", "bu3dfe": "BU3DFE"}


@dataclass(frozen=True, eq=False)
class Verdict:
    """What stored results say about a claim.

    Attributes:
        claim: the claim.
        verdict: ``reproduced``, ``not reproduced`` or ``inconclusive``.
        reason: why, in a sentence.
        effect: point estimate and 95 % interval; None where a run is missing.
        seed_effects: the effect of each seed alone, in the order of ``seeds``.
        paper_effect: the same effect of the paper's digitised numbers; None where it gives none.
        datasets, profile, seeds: what was measured.
        test_meshes, persons: their numbers by dataset and split; ``persons`` is empty where meshes were resampled.
    """

    claim: Claim
    verdict: str
    reason: str
    effect: Interval | None
    seed_effects: tuple[float, ...]
    paper_effect: float | None
    datasets: tuple[str, ...]
    profile: str | None
    seeds: tuple[int, ...]
    test_meshes: dict[str, int]
    persons: dict[str, int]

    @property
    def data(self) -> str:
        """Dataset, profile, seeds and test meshes, in a line."""
        if not self.test_meshes:
            return "no results"
        sizes = [
            f"{where}: {meshes} test meshes" + (f" of {self.persons[where]} persons" if where in self.persons else "")
            for where, meshes in self.test_meshes.items()
        ]
        seeds = ", ".join(map(str, self.seeds)) or "none"
        return f"{'; '.join(sizes)}; profile {self.profile}, {PROFILES[self.profile].epochs} epochs; seeds {seeds}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; numbers that are not finite become None."""
        claim = self.claim
        return {
            "id": claim.id,
            "quote": claim.quote,
            "place": claim.place,
            "statement": claim.statement,
            "measure": claim.measure,
            "holds_if": {"side": claim.side, "threshold": claim.threshold, "why": claim.why},
            "note": claim.note,
            "paper_effect": _finite(self.paper_effect),
            "effect": _finite(self.effect and self.effect.point),
            "low": _finite(self.effect and self.effect.low),
            "high": _finite(self.effect and self.effect.high),
            "seed_effects": [_finite(effect) for effect in self.seed_effects],
            "verdict": self.verdict,
            "reason": self.reason,
            "datasets": list(self.datasets),
            "profile": self.profile,
            "seeds": list(self.seeds),
            "test_meshes": dict(self.test_meshes),
            "persons": dict(self.persons),
        }


def evaluate_claims(
    results: Sequence[Result],
    coma: str = "mh-seq",
    bu3dfe: str = "mh-scan",
    *,
    datasets: Mapping[str, Dataset] | None = None,
    paper: pd.DataFrame | None = None,
    claims: Sequence[Claim] = CLAIMS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Verdict]:
    """A verdict on every claim.

    A claim is *reproduced* if the 95 % interval of its effect lies wholly on the claimed side of its threshold, *not
    reproduced* if wholly on the other, and *inconclusive* if it holds the threshold, with fewer than three seeds, or
    where a run is missing. A claim about several d or splits has the effect of the worst of them, and an interval of
    that, see `bench3dmm.bootstrap.interval_of_largest`: it is reproduced only if it holds at each.

    Args:
        results: any order; those of other datasets are ignored. The rest may differ in dataset, split, loss, latent
            size and seed alone. Seeds that a claim has not of all its runs are left out of it.
        coma, bu3dfe: the datasets that take the places of COMA and BU3DFE.
        datasets: the datasets by name, for what results do not carry. With them persons are resampled instead of
            meshes, and the roughness of reconstructions can be measured.
        paper: the paper's digitised numbers, the frame of ``results/paper.csv``, to have its effects beside ours.
        resamples, seed: of the bootstrap.

    Raises:
        DataError: where results are not of one kind or not of the same data.
    """
    evidence = _Evidence(results, {"coma": coma, "bu3dfe": bu3dfe}, datasets or {}, resamples, seed)
    published = {} if paper is None else paper_effects(paper, claims)
    return [_judge(claim, evidence, published.get(claim.id)) for claim in claims]


def paper_effects(paper: pd.DataFrame, claims: Iterable[Claim] = CLAIMS) -> dict[str, float]:
    """The effect of each claim in the paper's digitised numbers, where they have all that it needs.

    Args:
        paper: the frame of ``results/paper.csv``.
    """
    errors = paper[paper["quantity"] == "generalization_error"]
    keys = zip(errors["dataset"], errors["split"], errors["loss"], errors["latent"], strict=True)
    means = {
        Cell(dataset, split, loss, int(latent)): np.float64(value)
        for (dataset, split, loss, latent), value in zip(keys, errors["value_mm"], strict=True)
    }
    return {
        claim.id: float(claim.effect(Errors(means.__getitem__)))
        for claim in claims
        if all(cell in means for cell in claim.needs)
    }


def verdict_table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """A row a claim: the paper's words, its effect, ours with the 95 % interval, the verdict, on which data."""
    import pandas as pd

    verdicts = list(verdicts)
    rows = [
        {
            "place": v.claim.place,
            "quote": v.claim.quote,
            "statement": v.claim.statement,
            "effect is": v.claim.measure,
            "holds if": v.claim.criterion,
            "paper": math.nan if v.paper_effect is None else v.paper_effect,
            "ours": math.nan if v.effect is None else v.effect.point,
            "95 % interval": "" if v.effect is None else f"[{v.effect.low:.3g}, {v.effect.high:.3g}]",
            "verdict": v.verdict,
            "reason": v.reason,
            "data": v.data,
        }
        for v in verdicts
    ]
    return pd.DataFrame(rows, index=pd.Index([v.claim.id for v in verdicts], name="claim"))


def untested_table() -> pd.DataFrame:
    """The statements that no stored run can test, and why."""
    import pandas as pd

    return pd.DataFrame([dataclasses.asdict(entry) for entry in UNTESTED]).set_index("id")


def error_roughness(offsets: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """How rough reconstructions are: (n,) mm.

    The mean over vertices of the distance between a vertex's offset and the mean offset of its neighbours. A part
    that is merely shifted, or bent smoothly, adds next to nothing; noise from vertex to vertex does.

    Args:
        offsets: (n, V, 3) mm, reconstruction minus mesh.
        faces: (F, 3) vertex ids.
    """
    tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    count = offsets.shape[1]
    ones = np.ones(2 * len(tail))
    joined = sparse.csr_matrix((ones, (np.r_[tail, head], np.r_[head, tail])), shape=(count, count))
    joined.data[:] = 1  # an edge of two faces was counted twice
    neighbours = np.maximum(np.diff(joined.indptr), 1)
    mean = np.stack([joined @ offset for offset in offsets.astype(np.float64)]) / neighbours[:, None]
    return np.linalg.norm(offsets - mean, axis=2).mean(axis=1)


# --- from results to a verdict ----------------------------------------------------------------------------------


class _Evidence:
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
    ) -> None:
        self.names = names
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

    def estimate(self, claim: Claim, seeds: Sequence[int]) -> tuple[Interval, tuple[float, ...]]:
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


def _judge(claim: Claim, evidence: _Evidence, paper_effect: float | None) -> Verdict:
    seeds = evidence.seeds(claim.needs)
    lacking = list(dict.fromkeys(lack for cell in claim.needs if (lack := evidence.lacks(cell))))
    effect, seed_effects = (None, ()) if lacking or not seeds else evidence.estimate(claim, seeds)
    reasons = lacking or _obstacles(claim, evidence, seeds)
    verdict, reason = (INCONCLUSIVE, "; ".join(reasons)) if reasons else decide(claim, effect)
    return Verdict(
        claim,
        verdict,
        reason,
        effect,
        seed_effects,
        paper_effect,
        datasets=tuple(dict.fromkeys(evidence.names[cell.dataset] for cell in claim.needs)),
        profile=evidence.profile,
        seeds=seeds,
        **_sizes(claim, evidence),
    )


def decide(claim: Claim, effect: Interval) -> tuple[str, str]:
    """The verdict that an effect's interval gives a claim, and why."""
    low, high = claim.holds(effect.low), claim.holds(effect.high)
    if low and high:
        return REPRODUCED, f"the whole interval is {claim.criterion}"
    if low or high:
        return INCONCLUSIVE, f"the interval contains {claim.threshold:.3g}"
    return NOT_REPRODUCED, f"nothing of the interval is {claim.criterion}"


def _obstacles(claim: Claim, evidence: _Evidence, seeds: Sequence[int]) -> list[str]:
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


def _sizes(claim: Claim, evidence: _Evidence) -> dict[str, dict[str, int]]:
    """Test meshes, and persons where they are known, by dataset and split."""
    meshes, persons = {}, {}
    for cell in claim.needs:
        if evidence.runs(cell):
            where = f"{evidence.names[cell.dataset]} {cell.split}"
            meshes[where] = len(evidence.rows(cell))
            if (whose := evidence.persons(cell)) is not None:
                persons[where] = len(np.unique(whose))
    return {"test_meshes": meshes, "persons": persons}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
