"""What LAMM's paper claims, with verdicts from stored runs and from the measured speed.

The claims are about comparisons of whole models, on edits and on a machine; the paper's figures are of other data.
Where a claim is about both datasets, or several models or sizes, its effect is the worst of them, and its interval goes
from the worst lower to the worst upper end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench3dmm.bench import load_bench
from bench3dmm.papers.artefact import Material
from bench3dmm.papers.lamm.experiments import LAMM_LATENT, lamm_preset
from bench3dmm.papers.lamm.ratings import SUFFIXES, Rated, methods
from bench3dmm.papers.setup import BENCH_JSON, Setup
from bench3dmm.record.run import Run
from bench3dmm.runs.results import Result
from bench3dmm.runs.stored import on_protocol
from bench3dmm.statistics.bootstrap import Interval
from bench3dmm.statistics.claims import LEAST_SEEDS, Claim, Finding, Verdict, judge
from bench3dmm.statistics.ranking import rank_models

OTHERS = ("coma", "spiralnet", "neural3dmm")
SPIRAL = (("neural3dmm", "paper"), ("neural3dmm", "release"), ("spiralnet", "paper"))
LOCAL = 10.0

Found = tuple[Interval, list[Result]]
"""An effect, and the results it is of."""


class Lacking(Exception):
    """Why an effect cannot be computed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class EditClaim(Claim):
    """A statement about edits, a ranking or a machine.

    Attributes:
        found: the effect in the evidence. Raises Lacking.
    """

    found: Callable[[Evidence], Found]

    def find(self, evidence: Evidence) -> Finding:
        profile = evidence.setup.profile
        try:
            effect, used = self.found(evidence)
        except Lacking as reason:
            return Finding(effect=None, obstacles=(str(reason),), profile=profile)
        seeds = tuple(sorted({one.run.seed for one in used}))
        few = used and len(seeds) < LEAST_SEEDS
        return Finding(
            effect=effect,
            obstacles=(f"{len(seeds)} seeds, at least {LEAST_SEEDS} are needed",) if few else (),
            datasets=tuple(dict.fromkeys(one.run.dataset for one in used)),
            profile=profile,
            seeds=seeds,
            test_meshes={f"{one.run.dataset} {one.run.split}": one.metrics.get("meshes", 0) for one in used},
        )


@dataclass(frozen=True)
class Evidence:
    """What the claims are judged by.

    Attributes:
        results: of the experiments ``peers``, ``lamm`` and ``manipulation``; others are ignored.
        setup: datasets in the two places, and the profile.
        bench: a record with the section ``lamm``, see `bench3dmm.bench.load_bench`.
    """

    results: Sequence[Result]
    setup: Setup
    bench: Mapping[str, Any] | None = None

    def reconstruction(self) -> Found:
        preset, ratios, used = lamm_preset(self.setup.profile), [], []
        for dataset in (self.setup.bu3dfe, self.setup.coma):
            chosen = [
                one
                for one in self.results
                if on_protocol(one.run)
                and one.run.has(dataset=dataset, split="percentage", latent=LAMM_LATENT, profile=self.setup.profile)
                and (one.run.model in OTHERS or (one.run.model, one.run.preset) == ("lamm", preset))
            ]
            ranking = rank_models(chosen) if chosen else None
            lamm = next((one.model for one in ranking.standings if one.model.startswith("lamm")), "") if ranking else ""
            for other in OTHERS:
                pair = ranking.pair(lamm, other) if ranking else None
                if pair is None:
                    raise Lacking(f"{dataset}, d = {LAMM_LATENT}: lamm ({preset}) and {other} are not both ranked")
                ratios.append(pair.ratio)
            used += chosen
        return _worst(ratios, "below"), used

    def edits(
        self, side: str, effect: Callable[[Rated, Rated], Interval | None], beside: str = "manipulation"
    ) -> Found:
        """Of LAMM's edits and others on both sets: PCA's, or LAMM's own after another task than manipulation."""
        effects, used = [], []
        preset = lamm_preset(self.setup.profile)
        own = "lamm" if preset == "paper" else f"lamm ({preset})"
        other = "pca" if beside == "manipulation" else own + SUFFIXES[beside]

        def is_own(run: Run) -> bool:
            return (run.model, run.preset, run.epochs) == ("lamm", preset, 0) and run.task in ("manipulation", beside)

        for dataset in (self.setup.bu3dfe, self.setup.coma):
            edited = self._edited(dataset)
            rated = methods(edited) if edited else {}
            if missing := [label for label in (own, other) if label not in rated]:
                command = self.setup.command("manipulation")
                raise Lacking(f"{dataset}: edits of {' and '.join(missing)} are not stored; run `{command}`")
            found = effect(rated[own], rated[other])
            if found is None:
                raise Lacking(f"{dataset}: {own} moves nothing outside an edited region, so there is no ratio")
            effects.append(found)
            used += [one for one in edited if is_own(one.run)]
        return _worst(effects, side), used

    def rate(self) -> Found:
        rows = [
            row
            for row in self._rows("generation")
            if row["model"] == "lamm" and row["preset"].startswith("paper") and row["batch"] == 1
        ]
        rates = [Interval(*(1 / row["mesh_s"][key] for key in ("median", "max", "min"))) for row in rows]
        return _worst(rates, "above"), []

    def memory(self) -> Found:
        """One measurement a size: no interval."""
        by_size: dict[int, dict[tuple[str, str], float]] = {}
        for row in self._rows("training"):
            by_size.setdefault(row["vertices"], {})[row["model"], row["preset"]] = row["peak_mb"]
        shares = [
            max(used["lamm", "paper"], used["lamm", "paper-mixer"]) / min(used[name] for name in SPIRAL)
            for used in by_size.values()
        ]
        return Interval(max(shares), max(shares), max(shares)), []

    def _edited(self, dataset: str) -> list[Result]:
        wanted = set(self.setup.runs("manipulation", dataset=dataset))
        return [one for one in self.results if one.run in wanted]

    def _rows(self, what: str) -> list[Mapping[str, Any]]:
        rows = [row for row in (self.bench or {}).get("lamm", []) if row["what"] == what]
        if not rows:
            raise Lacking("not measured; run `bench3dmm bench lamm`")
        return rows


def _more_local(one: Rated, other: Rated) -> Interval:
    return one.over(other, lambda rated, mean: rated.ratio_of(mean))


def _worst(effects: Sequence[Interval], side: str) -> Interval:
    worst = max if side == "below" else min
    return Interval(*(worst(getattr(one, end) for one in effects) for end in ("point", "low", "high")))


CLAIMS = (
    EditClaim(
        id="lamm-reconstruction",
        quote="disentangling manipulated geometry and 3D mesh reconstruction",
        place="abstract",
        found=lambda e: e.reconstruction(),
        statement="At its own latent size LAMM errs less than every other autoencoder here.",
        measure="LAMM's mean error over another's, the largest of CoMA, SpiralNet++ and Neural3DMM and of both sets",
        side="below",
        threshold=1.0,
        why="The smallest error is below each of the others.",
        note="PCA, which is no autoencoder with hidden layers, is not among the others; the rankings have it.",
    ),
    EditClaim(
        id="lamm-local",
        quote="adheres locally to the specified sparse geometry",
        place="abstract",
        found=lambda e: e.edits("above", lambda lamm, _: lamm.ratio()),
        statement="What is displaced stays in its region.",
        measure="mean movement inside an edited region over that outside, the smaller of both sets",
        side="above",
        threshold=LOCAL,
        why="The paper has no number for it; ten times as much inside as outside is called local here.",
    ),
    EditClaim(
        id="lamm-holds",
        quote="adheres locally to the specified sparse geometry",
        place="abstract",
        found=lambda e: e.edits("above", lambda lamm, _: lamm.ratio(name="held_ratio")),
        statement="Regions that are told to stay do.",
        measure="mean movement inside an edited region over that of the others with control vertices, the smaller of "
        "both sets",
        side="above",
        threshold=LOCAL,
        why="As above; regions without control vertices, which nothing tells where to be, are left out.",
    ),
    EditClaim(
        id="lamm-more-local-than-a-linear-model",
        quote="following a simple self-supervised training scheme",
        place="abstract",
        found=lambda e: e.edits("above", _more_local),
        statement="No term of its training rewards locality, and yet edits are more local than a linear model's.",
        measure="LAMM's ratio of movements inside and outside over PCA's, the smaller of both sets",
        side="above",
        threshold=1.0,
        why="PCA's coefficients each move the whole face; a method that disentangles is more local than that.",
    ),
    EditClaim(
        id="lamm-needs-no-telling",
        quote="following a simple self-supervised training scheme",
        place="abstract",
        found=lambda e: e.edits("below", lambda lamm, told: _more_local(told, lamm), beside="manipulation-by-regions"),
        statement="Targets of which only some regions move are not needed: with them edits become no more local.",
        measure="the ratio of movements inside and outside after training by regions over that after the published "
        "training, the larger of both sets",
        side="below",
        threshold=1.1,
        why="Up to a tenth more counts as no more.",
        note="Training by regions is this project's, see `bench3dmm.tasks.parts.composite`.",
    ),
    EditClaim(
        id="lamm-adheres",
        quote="adheres locally to the specified sparse geometry",
        place="abstract",
        found=lambda e: e.edits(
            "below", lambda lamm, pca: lamm.over(pca, lambda one, mean: one.mean_of("control_mm", mean))
        ),
        statement="Control vertices go where they are told, nearer than PCA takes them.",
        measure="distance of control vertices from the target over PCA's, the larger of both sets",
        side="below",
        threshold=1.0,
        why="The nearer is below the other.",
    ),
    EditClaim(
        id="lamm-60-meshes-a-second",
        quote="generating 12k vertex meshes at 60fps",
        place="abstract",
        found=lambda e: e.rate(),
        statement="One CPU thread decodes 60 meshes of 12,000 vertices a second.",
        measure="meshes a second of preset paper, one at a time, the slower of both backbones, slowest to fastest "
        "round",
        side="above",
        threshold=60.0,
        why="The abstract's number.",
        note="Of the machine that bench.json names. In batches it is several times as many, see bench.",
    ),
    EditClaim(
        id="lamm-trains-in-less-memory",
        quote="only a fraction of the memory required",
        place="abstract",
        found=lambda e: e.memory(),
        statement="Training takes less memory than that of spiral models on the same mesh.",
        measure="peak memory of preset paper over the thriftiest spiral model's, the largest of 5, 12 and 50 thousand "
        "vertices",
        side="below",
        threshold=1.0,
        why="A fraction is below one.",
        note="Against this project's spiral models, which need less than half the memory of the published formulation.",
    ),
)


def verdicts(material: Material) -> list[Verdict]:
    """A verdict on every claim, with the speed that the checkout's record of ``bench3dmm bench`` has."""
    return lamm_verdicts(material.results, material.setup, load_bench(BENCH_JSON) if BENCH_JSON.exists() else None)


def lamm_verdicts(results: Sequence[Result], setup: Setup, bench: Mapping[str, Any] | None = None) -> list[Verdict]:
    """The same; arguments as those of `Evidence`."""
    return judge(CLAIMS, Evidence(results, setup, bench))
