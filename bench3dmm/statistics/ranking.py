"""Which of several models errs least, as far as test persons and training seeds can tell: results in, ranking out.

Two models are compared by the difference of their mean errors on the same test meshes. In a resample the same persons
are drawn for both, so that what is hard for both cancels; seeds are drawn for each model by itself, since seed 1 of
one model has nothing in common with seed 1 of another (see `bench3dmm.statistics.bootstrap`). The draws of seeds are
enlarged to Student's t with the degrees of freedom that belong to a difference of two such means (Welch, "The
generalization of 'Student's' problem when several different population variances are involved", 1947).

A pair whose 95 % interval holds 0 is a *tie*: these persons and seeds do not tell the two apart, which is not to say
that they are equal. Otherwise the one with the smaller error is *better*. A model's rank is 1 + the number of models
that are better than it. Ties are not transitive: where a ties with b and b with c, a may still be better than c; then
a and b share rank 1, and c has rank 2. Every pair is judged alone: of twenty pairs of equal models one is expected to
be told apart by chance. Where persons and three seeds are simulated, the intervals hold the true difference in 93 to
98 of 100 cases (see its tests): fewest against a model without seeds, most where both parts are alike.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench3dmm.data.tables import persons
from bench3dmm.errors import DataError
from bench3dmm.record.grid import shown_value, varying_fields
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result
from bench3dmm.runs.stored import check_comparable
from bench3dmm.statistics.bootstrap import LEVEL, RESAMPLES, Interval, draw_counts, draw_units, percentile_interval
from bench3dmm.system.words import listed
from bench3dmm.tasks.registry import get_task
from bench3dmm.tasks.task import HIGHER, Measure

LEAST_SEEDS = 3
LEAST_UNITS = 5
BETTER, TIE, WORSE = "better", "tie", "worse"
CELL = ("dataset", "split", "latent", "profile", "task")  # what one ranking is about
People = Callable[[str], "np.ndarray | None"]


@dataclass(frozen=True)
class Standing:
    """One model in a ranking.

    Attributes:
        model: its name; with its preset where that is not ``paper``, and with the fields of `Run` in which it differs
            from another competitor of that name.
        rank: None where the model is not ranked.
        shared: whether another model has that rank too.
        mean: of the error over seeds, persons and meshes, in mm, with its interval.
        seeds: the mean error of each, in mm, by seed.
        parameters: how many numbers are fitted; None where the results do not say.
        training_seconds: the longest of its trainings'.
        closed_form: fitted without chance, so that one seed is all of them.
        runs: behind it.
    """

    model: str
    rank: int | None
    shared: bool
    mean: Interval
    seeds: dict[int, float]
    parameters: int | None
    training_seconds: float
    closed_form: bool
    runs: tuple[Run, ...]

    @property
    def sd(self) -> float:
        """Standard deviation over seeds (n - 1); NaN for one."""
        return float(np.std(list(self.seeds.values()), ddof=1)) if len(self.seeds) > 1 else math.nan

    @property
    def place(self) -> str:
        """``1``, ``1=`` where it is shared, ``–`` where the model is not ranked."""
        return "–" if self.rank is None else f"{self.rank}{'=' if self.shared else ''}"


@dataclass(frozen=True)
class Pair:
    """Two models: the first's mean error minus the second's, in mm, and the first's over the second's.

    Attributes:
        higher: whether a higher value is better, as of a task that is ranked by such a measure.
    """

    first: str
    second: str
    difference: Interval
    ratio: Interval
    higher: bool = False

    @property
    def verdict(self) -> str:
        """What the first is: better, worse, or in a tie with the second."""
        if self.difference.low <= 0 <= self.difference.high:
            return TIE
        return BETTER if (self.difference.high < 0) != self.higher else WORSE

    def turned(self) -> Pair:
        """The same with the second model first."""
        d, r = self.difference, self.ratio
        inverse = Interval(1 / r.point, 1 / r.high, 1 / r.low)
        return Pair(self.second, self.first, Interval(-d.point, -d.high, -d.low), inverse, self.higher)


@dataclass(frozen=True)
class Ranking:
    """Models on one dataset, split, latent size and profile.

    Attributes:
        standings: by mean error, the smallest first.
        pairs: every two of the ranked models once, the one with the smaller mean first.
        unit: what was resampled: ``persons``, or ``meshes`` where it is not known whose they are; ``units``, how many.
        unranked: why which models have no rank; empty if all have one.
        devices: that the models were trained on.
    """

    dataset: str
    split: str
    latent: int
    profile: str
    task: str
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    unit: str
    units: int
    unranked: str
    devices: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.dataset}, {self.split} split"

    @property
    def measure(self) -> Measure:
        """By which they are ranked."""
        return get_task(self.task).headline

    @property
    def ranked(self) -> list[Standing]:
        return [standing for standing in self.standings if standing.rank is not None]

    def standing(self, model: str) -> Standing | None:
        return next((standing for standing in self.standings if standing.model == model), None)

    def pair(self, first: str, second: str) -> Pair | None:
        """The comparison of two models, the first one first; None where one of them is not ranked."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.second, pair.first) == (first, second):
                return pair.turned()
        return None

    def better_than(self, model: str) -> list[str]:
        """The models that are better than this one, the best first."""
        return [s.model for s in self.ranked if (p := self.pair(s.model, model)) and p.verdict == BETTER]


def rankings(
    results: Iterable[Result], people: People | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Ranking]:
    """A ranking for each dataset, split, latent size and profile among the results, in their order, latents rising.

    Arguments and errors as those of `rank_models`.
    """
    cells: dict[tuple, list[Result]] = {}
    for result in results:
        cells.setdefault(tuple(getattr(result.run, name) for name in CELL), []).append(result)
    places = list(dict.fromkeys((dataset, split, *rest) for dataset, split, _, *rest in cells))
    ordered = sorted(cells, key=lambda cell: (places.index((*cell[:2], *cell[3:])), cell[2]))
    return [rank_models(cells[cell], people, resamples=resamples, seed=seed) for cell in ordered]


def rank_models(
    results: Iterable[Result], people: People | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Ranking:
    """Rank models by their mean error, see above. Neither the order of the results nor other models change a pair.

    No rank is claimed for a model with fewer than three seeds, unless it is fitted in closed form, nor for any on the
    meshes of fewer than five persons, nor for one that is alone; their mean errors are still given.

    Args:
        results: of one dataset, split, latent size and profile; runs that differ in more than their seed compete.
        people: gives whose mesh each row of a dataset is, (N,), or None; `bench3dmm.data.tables.persons`.
        resamples, seed: of the bootstrap.

    Raises:
        DataError: there are none, or they cannot be compared: measured on several datasets, splits, versions of
            these or test meshes, trained by several profiles or for different numbers of epochs.
    """
    results = list({result.run: result for result in results}.values())
    _check_comparable(results)
    run, task = results[0].run, get_task(results[0].run.task)
    rows = task.scores(results[0].arrays).rows
    known = (people or persons)(run.dataset)
    units = np.asarray(rows if known is None else known[rows])
    count = len(np.unique(units))
    entries = _competitors(results)
    weights = draw_units(units, resamples, np.random.default_rng(seed)).astype(np.float64)
    drawn = {name: _Draws.of_results(entered, weights, seed) for name, entered in entries.items()}
    for name, values in task.baseline_scores(results[0].arrays).items():
        entries[name], drawn[name] = [], _Draws.of(values[None], weights)
    higher = task.headline.better == HIGHER
    names = sorted(entries, key=lambda name: (-drawn[name].point if higher else drawn[name].point, name))
    reasons = _unranked(entries, count, "persons" if known is not None else "meshes")
    ranked = [name for name in names if name not in reasons]
    pairs = [_compare(first, second, drawn, higher) for first, second in itertools.combinations(ranked, 2)]
    worse = [pair.second if pair.verdict == BETTER else pair.first for pair in pairs if pair.verdict != TIE]
    ranks = {name: 1 + worse.count(name) for name in ranked}
    return Ranking(
        *(getattr(run, name) for name in CELL),
        standings=tuple(_standing(name, entries[name], drawn[name], ranks) for name in names),
        pairs=tuple(pairs),
        unit="meshes" if known is None else "persons",
        units=count,
        unranked=_listed_reasons(reasons, names),
        devices=tuple(dict.fromkeys(str(result.provenance.get("device")) for result in results)),
    )


# --- how it is found ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Draws:
    """One model's mean error in every resample of persons, and how far its drawn seeds move it.

    Attributes:
        persons: (resamples,) mean over seeds, of the drawn persons.
        seeds: (resamples,) what the drawn seeds add, with n instead of n - 1 degrees of freedom made good.
        variance: of the mean over seeds, with ``freedom`` degrees of freedom; 0 for one seed.
    """

    point: float
    persons: np.ndarray
    seeds: np.ndarray
    variance: float
    freedom: int

    @classmethod
    def of_results(cls, results: Sequence[Result], weights: np.ndarray, seed: int) -> _Draws:
        # Of its own stream, so that a pair does not depend on who else competes.
        stream = int(dataclasses.replace(results[0].run, seed=0).run_id, 16)
        return cls.of(np.stack([_scores(result) for result in results]), weights, (seed, stream))

    @classmethod
    def of(cls, errors: np.ndarray, weights: np.ndarray, stream: Sequence[int] = ()) -> _Draws:
        """Of (S, m) values, a row a seed, with the items' weights (resamples, m)."""
        errors = errors.astype(np.float64)
        count = len(errors)
        of_seed = weights @ errors.T / weights.sum(axis=1, keepdims=True)  # (resamples, S)
        moved = np.zeros(len(weights))
        if count > 1:
            rng = np.random.default_rng(list(stream))
            drawn = draw_counts(count, len(weights), rng) - 1
            moved = math.sqrt(count / (count - 1)) * (drawn * of_seed).mean(axis=1)
        means = errors.mean(axis=1)
        variance = float(means.var(ddof=1)) / count if count > 1 else 0.0
        return cls(float(means.mean()), of_seed.mean(axis=1), moved, variance, count - 1)

    def enlarged(self, factor: float) -> np.ndarray:
        return self.persons + factor * self.seeds


def _factor(*models: _Draws) -> float:
    """How much wider than a normal's the seeds' part of an interval is: Student's t at Welch's degrees of freedom."""
    total = sum(model.variance for model in models)
    if total == 0:
        return 1.0
    freedom = total**2 / sum(model.variance**2 / model.freedom for model in models if model.variance)
    quantile = (1 + LEVEL) / 2
    return float(stats.t.ppf(quantile, freedom) / stats.norm.ppf(quantile))


def _compare(first: str, second: str, drawn: dict[str, _Draws], higher: bool) -> Pair:
    a, b = drawn[first], drawn[second]
    factor = _factor(a, b)
    of_a, of_b = a.enlarged(factor), b.enlarged(factor)
    difference = Interval(a.point - b.point, *percentile_interval(of_a - of_b))
    return Pair(first, second, difference, Interval(a.point / b.point, *percentile_interval(of_a / of_b)), higher)


def _competitors(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The seeds of each model, by a name that tells it from others of that model: not of the preset ``paper``, or
    trained in another way."""
    entries: dict[Run, list[Result]] = {}
    for result in sorted(results, key=lambda result: result.run.seed):
        entries.setdefault(dataclasses.replace(result.run, seed=0), []).append(result)
    named = {}
    for run, entered in entries.items():
        namesakes = [other for other in entries if other.model == run.model]
        fields = [name for name in varying_fields(namesakes) if name != "preset"]
        if run.preset != Run.preset:
            fields.insert(0, "preset")
        named[", ".join([run.model, *(f"{name} {shown_value(run, name)}" for name in fields)])] = entered
    return named


def _unranked(entries: dict[str, list[Result]], units: int, unit: str) -> dict[str, str]:
    """Why which models have no rank."""
    if units < LEAST_UNITS:
        return dict.fromkeys(entries, f"{units} {unit}, fewer than {LEAST_UNITS}")
    reasons = {
        name: f"{len(results)} seed{'s' if len(results) > 1 else ''}, fewer than {LEAST_SEEDS}"
        for name, results in entries.items()
        if len(results) < LEAST_SEEDS and not _closed_form(results)
    }
    rest = [name for name in entries if name not in reasons]
    return {**reasons, **({rest[0]: "nothing to compare it with"} if len(rest) == 1 else {})}


def _listed_reasons(reasons: dict[str, str], names: Sequence[str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for name in names:
        if name in reasons:
            by_reason.setdefault(reasons[name], []).append(name)
    return "; ".join(f"{listed(models)} ({reason})" for reason, models in by_reason.items())


def _standing(name: str, results: Sequence[Result], drawn: _Draws, ranks: dict[str, int]) -> Standing:
    rank = ranks.get(name)
    made = [result.provenance for result in results]
    return Standing(
        name,
        rank,
        list(ranks.values()).count(rank) > 1,
        Interval(drawn.point, *percentile_interval(drawn.enlarged(_factor(drawn)))),
        {result.run.seed: float(np.mean(_scores(result), dtype=np.float64)) for result in results},
        made[0].get("parameters") if made else 0,
        max((float(one.get("training_seconds", 0.0)) for one in made), default=0.0),
        _closed_form(results),
        tuple(result.run for result in results),
    )


def _scores(result: Result) -> np.ndarray:
    """(m,) the measure by which its task ranks, of each test item."""
    return get_task(result.run.task).scores(result.arrays).values


def _closed_form(results: Sequence[Result]) -> bool:
    """Such a training has no losses; what is no training, as a task's own baselines are, has no results."""
    return not results or len(results[0].arrays["loss"]) == 0


def _check_comparable(results: Sequence[Result]) -> None:
    if not results:
        raise DataError("a ranking: there are no results")
    for name in CELL:
        found = dict.fromkeys(getattr(result.run, name) for result in results)
        if len(found) > 1:
            raise DataError(f"a ranking is of one {name}, not of {listed(list(found))}")
    check_comparable("a ranking", results)
    place = f"{results[0].run.dataset}, {results[0].run.split} split, d = {results[0].run.latent}"
    epochs = sorted({result.run.n_epochs for result in results if not _closed_form([result])})
    if len(epochs) > 1:
        raise DataError(
            f"a ranking on {place}: the models were trained for {listed(epochs)} epochs; compare equal ones"
        )
    task = get_task(results[0].run.task)
    rows = task.scores(results[0].arrays).rows
    for result in results:
        if not np.array_equal(task.scores(result.arrays).rows, rows):
            raise DataError(f"a ranking on {place}: run {result.run.run_id} was tested on other meshes than the rest")
