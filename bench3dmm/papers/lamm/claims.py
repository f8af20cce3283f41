"""What LAMM's paper claims, with verdicts from stored runs and from the measured speed.

The claims are about comparisons of whole models, on edits and on a machine; the paper's figures are of other data.
Where a claim is about both datasets, or several models or sizes, its effect is the worst of them, and its interval goes
from the worst lower to the worst upper end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench3dmm.papers.lamm.experiments import LAMM_LATENT, lamm_preset
from bench3dmm.papers.lamm.ratings import SUFFIXES, Rated, methods
from bench3dmm.runs.stored import on_protocol
from bench3dmm.statistics.bootstrap import Interval
from bench3dmm.statistics.claims import INCONCLUSIVE, Claim, Verdict, decide
from bench3dmm.statistics.ranking import LEAST_SEEDS, rank_models

if TYPE_CHECKING:
    from bench3dmm.papers.setup import Setup
    from bench3dmm.record.run import Run
    from bench3dmm.runs.results import Result

OTHERS = ("coma", "spiralnet", "neural3dmm")
SPIRAL = (("neural3dmm", "paper"), ("neural3dmm", "release"), ("spiralnet", "paper"))
LOCAL = 10.0


def _claim(id: str, quote: str, place: str, **told: Any) -> Claim:
    return Claim(id, quote, place, comparisons=lambda errors: (), **told)


CLAIMS = (
    _claim(
        "lamm-reconstruction",
        "disentangling manipulated geometry and 3D mesh reconstruction",
        "abstract",
        statement="At its own latent size LAMM errs less than every other autoencoder here.",
        measure="LAMM's mean error over another's, the largest of CoMA, SpiralNet++ and Neural3DMM and of both sets",
        side="below",
        threshold=1.0,
        why="The smallest error is below each of the others.",
        note="PCA, which is no autoencoder with hidden layers, is not among the others; the rankings have it.",
    ),
    _claim(
        "lamm-local",
        "adheres locally to the specified sparse geometry",
        "abstract",
        statement="What is displaced stays in its region.",
        measure="mean movement inside an edited region over that outside, the smaller of both sets",
        side="above",
        threshold=LOCAL,
        why="The paper has no number for it; ten times as much inside as outside is called local here.",
    ),
    _claim(
        "lamm-holds",
        "adheres locally to the specified sparse geometry",
        "abstract",
        statement="Regions that are told to stay do.",
        measure="mean movement inside an edited region over that of the others with control vertices, the smaller of "
        "both sets",
        side="above",
        threshold=LOCAL,
        why="As above; regions without control vertices, which nothing tells where to be, are left out.",
    ),
    _claim(
        "lamm-more-local-than-a-linear-model",
        "following a simple self-supervised training scheme",
        "abstract",
        statement="No term of its training rewards locality, and yet edits are more local than a linear model's.",
        measure="LAMM's ratio of movements inside and outside over PCA's, the smaller of both sets",
        side="above",
        threshold=1.0,
        why="PCA's coefficients each move the whole face; a method that disentangles is more local than that.",
    ),
    _claim(
        "lamm-needs-no-telling",
        "following a simple self-supervised training scheme",
        "abstract",
        statement="Targets of which only some regions move are not needed: with them edits become no more local.",
        measure="the ratio of movements inside and outside after training by regions over that after the published "
        "training, the larger of both sets",
        side="below",
        threshold=1.1,
        why="Up to a tenth more counts as no more.",
        note="Training by regions is this project's, see `bench3dmm.tasks.parts.composite`.",
    ),
    _claim(
        "lamm-adheres",
        "adheres locally to the specified sparse geometry",
        "abstract",
        statement="Control vertices go where they are told, nearer than PCA takes them.",
        measure="distance of control vertices from the target over PCA's, the larger of both sets",
        side="below",
        threshold=1.0,
        why="The nearer is below the other.",
    ),
    _claim(
        "lamm-60-meshes-a-second",
        "generating 12k vertex meshes at 60fps",
        "abstract",
        statement="One CPU thread decodes 60 meshes of 12,000 vertices a second.",
        measure="meshes a second of preset paper, one at a time, the slower of both backbones, slowest to fastest "
        "round",
        side="above",
        threshold=60.0,
        why="The abstract's number.",
        note="Of the machine that bench.json names. In batches it is several times as many, see bench.",
    ),
    _claim(
        "lamm-trains-in-less-memory",
        "only a fraction of the memory required",
        "abstract",
        statement="Training takes less memory than that of spiral models on the same mesh.",
        measure="peak memory of preset paper over the thriftiest spiral model's, the largest of 5, 12 and 50 thousand "
        "vertices",
        side="below",
        threshold=1.0,
        why="A fraction is below one.",
        note="Against this project's spiral models, which need less than half the memory of the published formulation.",
    ),
)


def lamm_verdicts(results: Sequence[Result], setup: Setup, bench: Mapping[str, Any] | None = None) -> list[Verdict]:
    """A verdict on every claim.

    Args:
        results: of the experiments ``peers``, ``lamm`` and ``manipulation``; others are ignored.
        setup: datasets in the two places, and the profile.
        bench: a record with the section ``lamm``, see `bench3dmm.bench.load_bench`.
    """
    measures: dict[str, Callable[[], tuple[Interval, list[Result]]]] = {
        "lamm-reconstruction": lambda: _reconstruction(results, setup),
        "lamm-local": lambda: _edits(results, setup, "above", lambda lamm, _: lamm.ratio()),
        "lamm-holds": lambda: _edits(results, setup, "above", lambda lamm, _: lamm.ratio(name="held_ratio")),
        "lamm-more-local-than-a-linear-model": lambda: _edits(results, setup, "above", _more_local),
        "lamm-needs-no-telling": lambda: _edits(
            results, setup, "below", lambda lamm, told: _more_local(told, lamm), beside="manipulation-by-regions"
        ),
        "lamm-adheres": lambda: _edits(
            results, setup, "below", lambda lamm, pca: lamm.over(pca, lambda one, mean: one.mean_of("control_mm", mean))
        ),
        "lamm-60-meshes-a-second": lambda: (_rate(bench), []),
        "lamm-trains-in-less-memory": lambda: (_memory(bench), []),
    }
    return [_judged(claim, measures[claim.id], setup) for claim in CLAIMS]


class _Lacking(Exception):
    """Why an effect cannot be computed."""


def _judged(claim: Claim, measure: Callable[[], tuple[Interval, list[Result]]], setup: Setup) -> Verdict:
    try:
        effect, used = measure()
    except _Lacking as reason:
        return Verdict(claim, INCONCLUSIVE, str(reason), None, (), None, (), setup.profile, (), {}, {})
    seeds = tuple(sorted({one.run.seed for one in used}))
    verdict, reason = decide(claim, effect)
    if used and len(seeds) < LEAST_SEEDS:
        verdict, reason = INCONCLUSIVE, f"{len(seeds)} seeds, at least {LEAST_SEEDS} are needed"
    sizes = {f"{one.run.dataset} {one.run.split}": one.metrics.get("meshes", 0) for one in used}
    datasets = tuple(dict.fromkeys(one.run.dataset for one in used))
    return Verdict(claim, verdict, reason, effect, (), None, datasets, setup.profile, seeds, sizes, {})


def _reconstruction(results: Sequence[Result], setup: Setup) -> tuple[Interval, list[Result]]:
    preset, ratios, used = lamm_preset(setup.profile), [], []
    for dataset in (setup.bu3dfe, setup.coma):
        where = {"dataset": dataset, "split": "percentage", "latent": LAMM_LATENT, "profile": setup.profile}
        chosen = [
            one
            for one in results
            if on_protocol(one.run)
            and all(getattr(one.run, name) == value for name, value in where.items())
            and (one.run.model in OTHERS or (one.run.model, one.run.preset) == ("lamm", preset))
        ]
        ranking = rank_models(chosen) if chosen else None
        lamm = next((one.model for one in ranking.standings if one.model.startswith("lamm")), "") if ranking else ""
        for other in OTHERS:
            pair = ranking.pair(lamm, other) if ranking else None
            if pair is None:
                raise _Lacking(f"{dataset}, d = {LAMM_LATENT}: lamm ({preset}) and {other} are not both ranked")
            ratios.append(pair.ratio)
        used += chosen
    return _worst(ratios, "below"), used


def _edits(
    results: Sequence[Result],
    setup: Setup,
    side: str,
    effect: Callable[[Rated, Rated], Interval],
    beside: str = "manipulation",
) -> tuple[Interval, list[Result]]:
    """Of LAMM's edits and others on both sets: PCA's, or LAMM's own after another task than manipulation."""
    effects, used = [], []
    preset = lamm_preset(setup.profile)
    own = "lamm" if preset == "paper" else f"lamm ({preset})"
    other = "pca" if beside == "manipulation" else own + SUFFIXES[beside]

    def is_own(run: Run) -> bool:
        return (run.model, run.preset, run.epochs) == ("lamm", preset, 0) and run.task in ("manipulation", beside)

    for dataset in (setup.bu3dfe, setup.coma):
        edited = _edited(results, setup, dataset)
        rated = methods(edited) if edited else {}
        if missing := [label for label in (own, other) if label not in rated]:
            raise _Lacking(
                f"{dataset}: edits of {' and '.join(missing)} are not stored; run `{setup.command('manipulation')}`"
            )
        effects.append(effect(rated[own], rated[other]))
        used += [one for one in edited if is_own(one.run)]
    return _worst(effects, side), used


def _more_local(one: Rated, other: Rated) -> Interval:
    return one.over(other, lambda rated, mean: rated.ratio_of(mean))


def _edited(results: Sequence[Result], setup: Setup, dataset: str) -> list[Result]:
    wanted = set(setup.runs("manipulation", dataset=dataset))
    return [one for one in results if one.run in wanted]


def _rate(bench: Mapping[str, Any] | None) -> Interval:
    rows = [
        row
        for row in _rows(bench, "generation")
        if row["model"] == "lamm" and row["preset"].startswith("paper") and row["batch"] == 1
    ]
    rates = [Interval(*(1 / row["mesh_s"][key] for key in ("median", "max", "min"))) for row in rows]
    return _worst(rates, "above")


def _memory(bench: Mapping[str, Any] | None) -> Interval:
    """One measurement a size: no interval."""
    by_size: dict[int, dict[tuple[str, str], float]] = {}
    for row in _rows(bench, "training"):
        by_size.setdefault(row["vertices"], {})[row["model"], row["preset"]] = row["peak_mb"]
    shares = [
        max(used["lamm", "paper"], used["lamm", "paper-mixer"]) / min(used[name] for name in SPIRAL)
        for used in by_size.values()
    ]
    return Interval(max(shares), max(shares), max(shares))


def _rows(bench: Mapping[str, Any] | None, what: str) -> list[Mapping[str, Any]]:
    rows = [row for row in (bench or {}).get("lamm", []) if row["what"] == what]
    if not rows:
        raise _Lacking("not measured; run `bench3dmm bench lamm`")
    return rows


def _worst(effects: Sequence[Interval], side: str) -> Interval:
    worst = max if side == "below" else min
    return Interval(*(worst(getattr(one, end) for one in effects) for end in ("point", "low", "high")))
