"""The chapters of a report: what it is about, a chapter a paper, tasks of others, and where everything comes from."""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.registry import departures
from bench3dmm.data.synthetic.makehuman import SETS
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.pages.evidence import Evidence
from bench3dmm.pages.origins import provenance
from bench3dmm.papers.artefact import Artefact
from bench3dmm.papers.paper import Paper
from bench3dmm.papers.registry import papers
from bench3dmm.papers.setup import PRINTED
from bench3dmm.papers.shown import artefacts, sections, untested
from bench3dmm.record.profiles import PROFILES
from bench3dmm.runs.stored import stored_competitors
from bench3dmm.statistics.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, Verdict
from bench3dmm.statistics.headline import headline
from bench3dmm.statistics.ranking import rankings
from bench3dmm.tasks.registry import get_task
from bench3dmm.view.blocks import Badge, Block, Cell, Facts, Heading, Notice, Picture, Table, Text
from bench3dmm.view.rankings import rank_frame, rank_note
from bench3dmm.view.style import DPI, style
from bench3dmm.view.verdicts import claims_figure

if TYPE_CHECKING:
    import pandas as pd

KINDS = {REPRODUCED: "good", NOT_REPRODUCED: "bad", INCONCLUSIVE: "open"}
MOST_PIXELS = 1200  # of a picture's width
PIXELS_PER_INCH = 96  # as browsers count


def chapters(evidence: Evidence) -> Iterator[Block]:
    yield from _opening(evidence)
    for paper in papers().values():
        yield from _paper(paper, evidence)
    yield from _beyond(evidence)
    yield Heading("Provenance")
    yield from provenance(evidence.results)


# --- what it is about -------------------------------------------------------------------------------------------


def _opening(evidence: Evidence) -> Iterator[Block]:
    setup = evidence.setup
    yield Text(
        "Models of registered face meshes, trained and evaluated anew on one protocol, beside the published numbers of "
        "the papers they are from, as far as those give any."
    )
    yield Text(" ".join(filter(None, (_place("COMA", setup.coma), _place("BU3DFE", setup.bu3dfe)))))
    yield Facts(_facts(evidence))
    for name, reason in evidence.unavailable.items():
        yield Notice(f"The meshes of {name}: {reason}")
    yield _progress(evidence)


def _place(original: str, name: str) -> str:
    """What stands in an original dataset's place, so that nobody takes it for the original."""
    if PRINTED.get(name) == original:
        found = departures(name)
        if found == []:
            return f"The set `{name}` is {original} itself, imported."
        if found is None:
            return f"The set `{name}` is not imported here, so that nothing says whether it is the whole of {original}."
        return f"The set `{name}` was imported as {original} and departs from it: {'; '.join(found)}."
    kind = "faces are synthetic" if name.partition("@")[0] in SETS else "set was imported"
    return f"In {original}'s place stands `{name}`, whose {kind}: it is not {original}."


def _facts(evidence: Evidence) -> list[tuple[str, Cell]]:
    setup = evidence.setup
    profile = PROFILES[setup.profile]
    most = [
        f"at most {count:,} {what} meshes" if count else f"all {what} meshes"
        for count, what in ((profile.max_train, "training"), (profile.max_test, "test"))
    ]
    sets = dict.fromkeys(_describe(name, evidence.datasets) for name in (setup.coma, setup.bu3dfe))
    devices = dict.fromkeys(str(result.provenance["device"]) for result in evidence.results)
    facts: list[tuple[str, Cell]] = [
        ("Datasets", "; ".join(sets)),
        ("Profile", f"{setup.profile}: {profile.epochs} epochs, {', '.join(most)}"),
        ("Seeds", ", ".join(map(str, setup.seeds))),
        ("Devices", "; ".join(sorted(devices))),
    ]
    for paper in papers().values():
        if verdicts := evidence.verdicts.get(paper.name):
            facts.append((f"Claims, {paper.short}", _verdict_counts(verdicts)))
        elif paper.name in evidence.unjudged:
            facts.append((f"Claims, {paper.short}", "not judged, see below"))
    return facts


def _describe(name: str, datasets: Mapping[str, Dataset]) -> str:
    if name not in datasets:
        return name
    dataset = datasets[name]
    return f"{name}, {len(dataset):,} meshes of {dataset.samples['subject'].nunique()} people"


def _verdict_counts(verdicts: Sequence[Verdict]) -> tuple[Badge, ...]:
    counts = Counter(verdict.verdict for verdict in verdicts)
    return tuple(Badge(f"{counts[word]} {word}", kind) for word, kind in KINDS.items())


def _progress(evidence: Evidence) -> Table:
    """How many runs of each experiment are stored, and what trains the others."""
    rows = []
    for paper in papers().values():
        for name in paper.experiments:
            runs = evidence.runs.get(name, ())
            found = evidence.stored(name)
            command = evidence.located(f"`{evidence.setup.command(name)}`")
            rows.append([paper.short, name, f"{found} of {len(runs)}", "" if found == len(runs) > 0 else command])
    return Table(["paper", "experiment", "runs stored", "trains the rest"], rows, stacked=True)


# --- a paper ----------------------------------------------------------------------------------------------------


def _paper(paper: Paper, evidence: Evidence) -> Iterator[Block]:
    yield Heading(paper.short)
    printed = f" “{paper.title}” ({paper.citation})." if paper.title else ""
    yield Text(f"{paper.summary[:1].upper()}{paper.summary[1:]}.{printed}")
    yield from _claims(paper, evidence)
    by_section: dict[str, dict[str, Artefact]] = {}
    for name, artefact in artefacts(paper.name).items():
        by_section.setdefault(artefact.section, {})[name] = artefact
    openings = sections(paper.name)
    for heading, shown in by_section.items():
        yield Heading(heading, 3)
        try:
            said = openings[heading].opening(evidence.material) if heading in openings else ()
        except DataError as error:
            yield Notice(evidence.located(str(error)))
            continue
        for sentence in said:
            yield Text(sentence)
        for name, artefact in shown.items():
            yield from _artefact(name, artefact, evidence)


def _claims(paper: Paper, evidence: Evidence) -> Iterator[Block]:
    verdicts = evidence.verdicts.get(paper.name, [])
    if paper.name not in evidence.unjudged and not verdicts:
        return
    yield Heading(f"Claims, {paper.short}", 3)
    if paper.name in evidence.unjudged:
        yield Notice(f"The claims could not be judged: {evidence.unjudged[paper.name]}")
        return
    yield Text(
        "A claim is reproduced where the 95 % bootstrap interval of its effect, over test meshes (of persons, where "
        "these are known) and training seeds, lies wholly on the claimed side of its threshold; not reproduced where "
        "it lies wholly on the other; else, with fewer than three seeds or with a run missing, inconclusive. "
        "Intervals have the width that Student's t gives so few seeds and persons; each seed's effect stands "
        "beside them."
    )
    setup = evidence.setup
    if (setup.coma, setup.bu3dfe) != tuple(PRINTED):
        yield Text(
            "The statements are in the paper's terms: what they call COMA was measured on "
            f"`{setup.coma}` here, and what they call BU3DFE on `{setup.bu3dfe}`."
        )
    with contextlib.suppress(DataError):  # no claim has an effect yet
        yield _picture(claims_figure(verdicts), f"claims-{paper.name}", "Every claim's effect beside its threshold.")
    header = ["claim", "effect", "paper", "ours", "verdict"]
    yield Table(header, [_claim_row(verdict) for verdict in verdicts], stacked=True)
    if entries := untested(paper.name):
        yield Heading("Statements that no stored run can test", 4)
        yield Table(["statement", "why not"], entries, stacked=True)


def _claim_row(verdict: Verdict) -> list[Cell]:
    claim = verdict.claim
    below = [verdict.reason, verdict.data, claim.note]
    return [
        f"{claim.statement}\n“{claim.quote}” ({claim.place})\n`{claim.id}`",
        f"{claim.measure}\nHolds if {claim.criterion} ({claim.why}).",
        "–" if verdict.paper_effect is None else f"{verdict.paper_effect:.3g}",
        _effect(verdict),
        (Badge(verdict.verdict, KINDS[verdict.verdict]), *(f"\n{line}" for line in below if line)),
    ]


def _effect(verdict: Verdict) -> str:
    if verdict.effect is None:
        return "–"
    lines = [f"{verdict.effect.point:.3g}", f"[{verdict.effect.low:.3g},\N{NO-BREAK SPACE}{verdict.effect.high:.3g}]"]
    if len(verdict.seed_effects) > 1:
        lines.append(f"by seed {', '.join(f'{effect:.3g}' for effect in verdict.seed_effects)}")
    return "\n".join(lines)


def _artefact(name: str, artefact: Artefact, evidence: Evidence) -> Iterator[Block]:
    yield Heading(_artefact_title(name), 4)
    caption = artefact.caption.format(coma=evidence.setup.coma, bu3dfe=evidence.setup.bu3dfe)
    try:
        made = artefact.make(evidence.material)
    except Bench3dmmError as error:
        yield Text(caption)
        yield Notice(evidence.located(str(error)))
        return
    if isinstance(made, Figure):
        yield _picture(made, name, caption)
    elif isinstance(made, Notice):
        yield Text(caption)
        yield Notice(evidence.located(made.text))
    elif isinstance(made, Table):
        yield Text(caption)
        yield made
    else:
        yield frame_table(made, caption)


def _artefact_title(name: str) -> str:
    return re.sub(r"(\d+)$", r" \1", name).capitalize()


# --- tasks of others --------------------------------------------------------------------------------------------


def _beyond(evidence: Evidence) -> Iterator[Block]:
    """Rankings of tasks that no paper here asks for."""
    if evidence.beyond:
        yield Heading("Further tasks")
    for name in evidence.beyond:
        yield Heading(name, 3)
        try:
            task = get_task(name)
            found = rankings(stored_competitors(evidence.results_dir, evidence.setup.profile, name))
        except Bench3dmmError as error:
            yield Notice(str(error))
            continue
        yield Text(f"{task.summary}; ranked by the mean {task.headline.label}, {task.headline.better} is better.")
        for sentence in headline(found):
            yield Text(sentence)
        for place in dict.fromkeys(ranking.place for ranking in found):
            group = [ranking for ranking in found if ranking.place == place]
            frame = rank_frame(group)
            frame.attrs["footer"] = rank_note(group)
            yield frame_table(frame, place)


# --- what is drawn ----------------------------------------------------------------------------------------------


def _picture(figure: Figure, name: str, caption: str) -> Picture:
    width = figure.get_size_inches()[0]
    buffer = io.BytesIO()
    with style():
        dpi = min(DPI, MOST_PIXELS / width)
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None}, facecolor="white")
    return Picture(name, buffer.getvalue(), round(width * PIXELS_PER_INCH), caption)


def frame_table(frame: pd.DataFrame, caption: str = "") -> Table:
    """A frame's columns, and its index where that has names; ``attrs["footer"]`` becomes the note."""
    flat = frame if list(frame.index.names) == [None] else frame.reset_index()
    rows = [[_cell(value) for value in row] for row in flat.itertuples(index=False, name=None)]
    return Table([str(name) for name in flat.columns], rows, caption, frame.attrs.get("footer", ""))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
