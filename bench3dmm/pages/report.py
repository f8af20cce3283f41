"""One page of all that is stored for a profile: figures, tables, claims with verdicts, provenance.

It reads results and trains nothing. What is missing is said in its place, with the command that trains it.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3dmm.data.registry import check_datasets
from bench3dmm.errors import Bench3dmmError, DataError
from bench3dmm.pages.html import html_page
from bench3dmm.papers.artefacts import ARTEFACTS
from bench3dmm.papers.comparison.chosen import PEER_EXPERIMENTS, peers_headline
from bench3dmm.papers.lamm.tables import EDITING_EXPERIMENTS
from bench3dmm.papers.neural3dmm_bu3dfe.evidence import evaluate_claims
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import FIGURES, PAPER
from bench3dmm.papers.neural3dmm_bu3dfe.ledger import ledger_block
from bench3dmm.papers.neural3dmm_bu3dfe.published import PRINTED, published_numbers
from bench3dmm.papers.neural3dmm_bu3dfe.untested import UNTESTED
from bench3dmm.papers.paper import Artefact, Material
from bench3dmm.papers.setup import Setup
from bench3dmm.record.grid import shown_value, varying_fields
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run
from bench3dmm.runs.stored import stored_results
from bench3dmm.statistics.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, Verdict
from bench3dmm.system.storage import write_atomically, write_json, write_text
from bench3dmm.view.blocks import Badge, Block, Cell, Facts, Heading, Notice, Picture, Table, Text
from bench3dmm.view.markdown import markdown_page
from bench3dmm.view.style import DPI, style
from bench3dmm.view.verdicts import claims_figure

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.runs.results import Result

KINDS = {REPRODUCED: "good", NOT_REPRODUCED: "bad", INCONCLUSIVE: "open"}
MOST_PIXELS = 1200  # of a picture's width
PIXELS_PER_INCH = 96  # as browsers count
DEFAULT_RESULTS = "results"


@dataclass
class _Evidence:
    """What a report is made from.

    Attributes:
        results: of the paper's figures and claims.
        beside: of its other experiments: switches between text and released code, training length.
        peers: of the models compared on one protocol.
        datasets: those that can be loaded; ``unavailable`` says why the others cannot.
        verdicts: None where there is a reason, ``unjudged``, why there are none.
    """

    setup: Setup
    results_dir: Path
    results: list[Result]
    beside: list[Result]
    peers: list[Result] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] | None = None
    unjudged: str = ""

    @property
    def everything(self) -> list[Result]:
        return list({result.run: result for result in [*self.results, *self.beside, *self.peers]}.values())

    @property
    def title(self) -> str:
        return f"bench3dmm: {self.setup.coma} and {self.setup.bu3dfe}, profile {self.setup.profile}"

    def with_folder(self, text: str) -> str:
        return _with_folder(text, self.results_dir)


def write_report(
    setup: Setup | None = None,
    results_dir: str | Path = DEFAULT_RESULTS,
    output: str | Path = "report.html",
    templates: str | Path | None = None,
) -> tuple[Path, Path, Path]:
    """Write the report of what is stored.

    Args:
        setup: which runs it is about.
        results_dir: where they are stored.
        output: the HTML page, which holds its pictures. Beside it comes the same as Markdown, ``report.md``, with its
            pictures in ``report_files``, and for programs ``report.json``: what was measured, and the verdicts.
        templates: a folder of templates and style that restyle the HTML page, see `bench3dmm.pages.html.html_page`.

    Returns:
        The HTML, the Markdown and the JSON file.

    Raises:
        UnknownNameError: for a dataset or profile that does not exist.
        DataError: if none of the runs is stored, or a stored one is broken.
    """
    page = Path(output)
    if page.suffix.lower() not in (".html", ".htm"):
        raise Bench3dmmError(f"{page}: the report is a web page, give it a name that ends in .html")
    evidence = _gather(setup or Setup(), Path(results_dir))
    blocks = list(_blocks(evidence))
    markdown = page.with_suffix(".md")
    folder = page.with_name(f"{page.stem}_files")
    _write_pictures([block for block in blocks if isinstance(block, Picture)], folder)
    write_text(markdown, markdown_page(evidence.title, blocks, folder.name))
    write_text(page, html_page(evidence.title, blocks, templates))
    numbers = page.with_suffix(".json")
    write_json(numbers, _numbers(evidence))
    return page, markdown, numbers


def _numbers(evidence: _Evidence) -> dict[str, Any]:
    """The verdicts and what they are about; no verdicts where ``unjudged`` says why."""
    setup = evidence.setup
    verdicts = evidence.verdicts
    return {
        "profile": setup.profile,
        "datasets": {"coma": setup.coma, "bu3dfe": setup.bu3dfe},
        "seeds": list(setup.seeds),
        "runs": [result.run.run_id for result in evidence.everything],
        "verdicts": None if verdicts is None else [verdict.as_dict() for verdict in verdicts],
        "unjudged": evidence.unjudged,
    }


def _write_pictures(pictures: Sequence[Picture], folder: Path) -> None:
    """Write them, and remove what an earlier report drew and this one does not."""
    for picture in pictures:
        write_atomically(folder / f"{picture.name}.png", lambda file, content=picture.png: file.write(content))
    for name in {*ARTEFACTS, "claims"} - {picture.name for picture in pictures}:
        (folder / f"{name}.png").unlink(missing_ok=True)


# --- what is there ----------------------------------------------------------------------------------------------


def _gather(setup: Setup, results_dir: Path) -> _Evidence:
    check_datasets(setup.coma, setup.bu3dfe)
    runs = setup.runs(*FIGURES)
    results = stored_results(runs, results_dir)
    if not results:
        command = _with_folder(f"`{setup.command('paper')}`", results_dir)
        raise DataError(
            f"none of the {len(runs)} runs of profile {setup.profile} on {setup.coma} and {setup.bu3dfe} is stored in "
            f"{results_dir}; {command} trains them"
        )
    evidence = _Evidence(
        setup, results_dir, results, stored_results(_beside(setup), results_dir), _peers(setup, results_dir)
    )
    _load_datasets(evidence)
    _judge(evidence)
    return evidence


def _beside(setup: Setup) -> list[Run]:
    """The runs of the paper's experiments that its own figures do not show."""
    shown = set(setup.runs(*FIGURES))
    return [run for run in setup.runs(*PAPER) if run not in shown]


def _peers(setup: Setup, results_dir: Path) -> list[Result]:
    """Of the models' common protocol and of edits; which expressions are left out, only a dataset at hand can say."""
    runs = setup.runs("peers", "common-training", "lamm", *EDITING_EXPERIMENTS)
    with contextlib.suppress(DataError):
        runs += setup.runs("extrapolation")
    return stored_results(runs, results_dir)


def _with_folder(text: str, results_dir: Path) -> str:
    """A text whose sweep commands also name the results folder, where it is not the default one."""
    folder = "" if results_dir == Path(DEFAULT_RESULTS) else f" --results-dir {results_dir}"
    return re.sub(r"`(bench3dmm sweep [^`]+)`", lambda found: f"`{found[1]}{folder}`", text)


def _load_datasets(evidence: _Evidence) -> None:
    from bench3dmm.data.registry import load_dataset

    for name in dict.fromkeys((evidence.setup.coma, evidence.setup.bu3dfe)):
        try:
            evidence.datasets[name] = load_dataset(name)
        except DataError as error:
            evidence.unavailable[name] = str(error)


def _judge(evidence: _Evidence) -> None:
    setup = evidence.setup
    try:
        evidence.verdicts = evaluate_claims(
            evidence.results, setup.coma, setup.bu3dfe, datasets=evidence.datasets, paper=published_numbers()
        )
    except DataError as error:
        evidence.unjudged = str(error)


# --- what is said -----------------------------------------------------------------------------------------------


def _blocks(evidence: _Evidence) -> Iterator[Block]:
    yield from _opening(evidence)
    yield Heading("Claims")
    yield from _claims(evidence)
    material = Material(evidence.everything, evidence.datasets, evidence.setup)
    for heading, trained in (("Data and model", False), ("Results", True)):
        yield Heading(heading)
        for name, artefact in ARTEFACTS.items():
            if bool(artefact.needs) == trained and not _needs(artefact, *PEER_EXPERIMENTS, *EDITING_EXPERIMENTS):
                yield from _artefact(name, artefact, material, evidence)
    yield Heading("Models on one protocol")
    yield from _compared(material, evidence)
    yield Heading("Editing by regions")
    yield from _edited(material, evidence)
    yield Heading("Text against released code")
    yield Text("What changes where the paper's text and its released code differ; docs/ledger.md has all differences.")
    yield _located(ledger_block(evidence.everything, evidence.setup, _subjects(evidence)), evidence)
    yield Heading("Provenance")
    yield from _provenance(evidence)


def _needs(artefact: Artefact, *experiments: str) -> bool:
    return bool(set(artefact.needs) & set(experiments))


def _compared(material: Material, evidence: _Evidence) -> Iterator[Block]:
    """The ranking of models, below what it says of PCA; one line where none of its runs is stored."""
    try:
        said = peers_headline(material.results, evidence.setup)
    except DataError as error:
        yield _located(Notice(str(error)), evidence)
        return
    for sentence in said:
        yield Text(sentence)
    for name, artefact in ARTEFACTS.items():
        if _needs(artefact, *PEER_EXPERIMENTS):
            yield from _artefact(name, artefact, material, evidence)


def _edited(material: Material, evidence: _Evidence) -> Iterator[Block]:
    """The manipulation task; one line where none of its runs is stored."""
    runs = set(evidence.setup.runs(*EDITING_EXPERIMENTS))
    if not any(result.run in runs for result in material.results):
        yield _located(Notice(f"No edits are stored; `{evidence.setup.command('manipulation')}` trains them"), evidence)
        return
    for name, artefact in ARTEFACTS.items():
        if _needs(artefact, *EDITING_EXPERIMENTS):
            yield from _artefact(name, artefact, material, evidence)


def _subjects(evidence: _Evidence) -> np.ndarray | None:
    dataset = evidence.datasets.get(evidence.setup.bu3dfe)
    return None if dataset is None else dataset.samples["subject"].to_numpy(str)


def _opening(evidence: _Evidence) -> Iterator[Block]:
    setup = evidence.setup
    yield Text(
        "Neural3DMM, a spiral-convolution autoencoder of registered face meshes, trained and evaluated anew, beside "
        "the published numbers of “Neural 3D Morphable Models … Applied to the BU3DFE Dataset” (called the paper "
        "here), which were read off its figures."
    )
    yield Text(" ".join(filter(None, (_place("COMA", setup.coma), _place("BU3DFE", setup.bu3dfe)))))
    yield Facts(_facts(evidence))
    for name, reason in evidence.unavailable.items():
        yield Notice(f"The meshes of {name}: {reason}")
    yield _progress(evidence)


def _place(original: str, name: str) -> str:
    """What stands in an original dataset's place, so that nobody takes it for the original."""
    from bench3dmm.data.registry import departures
    from bench3dmm.data.synthetic.makehuman import SETS

    if PRINTED.get(name) == original:
        found = departures(name)
        if found == []:
            return f"The set `{name}` is {original} itself, imported."
        if found is None:
            return f"The set `{name}` is not imported here, so that nothing says whether it is the whole of {original}."
        return f"The set `{name}` was imported as {original} and departs from it: {'; '.join(found)}."
    kind = "faces are synthetic" if name.partition("@")[0] in SETS else "set was imported"
    return f"In {original}'s place stands `{name}`, whose {kind}: it is not {original}."


def _facts(evidence: _Evidence) -> list[tuple[str, Cell]]:
    setup = evidence.setup
    profile = PROFILES[setup.profile]
    most = [
        f"at most {count:,} {what} meshes" if count else f"all {what} meshes"
        for count, what in ((profile.max_train, "training"), (profile.max_test, "test"))
    ]
    sets = dict.fromkeys(_describe(name, evidence.datasets) for name in (setup.coma, setup.bu3dfe))
    devices = dict.fromkeys(str(result.provenance["device"]) for result in evidence.everything)
    return [
        ("Datasets", "; ".join(sets)),
        ("Profile", f"{setup.profile}: {profile.epochs} epochs, {', '.join(most)}"),
        ("Seeds", ", ".join(map(str, setup.seeds))),
        ("Devices", "; ".join(sorted(devices))),
        ("Runs of the figures", f"{len(evidence.results)} of {len(setup.runs(*FIGURES))} stored"),
        ("Runs beside them", f"{len(evidence.beside)} of {len(_beside(setup))} stored (ledger, convergence)"),
        ("Claims", _verdict_counts(evidence) if evidence.verdicts else "not judged, see below"),
    ]


def _describe(name: str, datasets: Mapping[str, Dataset]) -> str:
    if name not in datasets:
        return name
    dataset = datasets[name]
    return f"{name}, {len(dataset):,} meshes of {dataset.samples['subject'].nunique()} people"


def _verdict_counts(evidence: _Evidence) -> tuple[Badge, ...]:
    counts = Counter(verdict.verdict for verdict in evidence.verdicts or ())
    return tuple(Badge(f"{counts[word]} {word}", kind) for word, kind in KINDS.items())


def _progress(evidence: _Evidence) -> Table:
    """How many runs of each experiment are stored, and what trains the others."""
    stored = {result.run for result in evidence.everything}
    rows = []
    for name in PAPER:
        runs = evidence.setup.runs(name)
        found = sum(run in stored for run in runs)
        command = "" if found == len(runs) else evidence.with_folder(f"`{evidence.setup.command(name)}`")
        rows.append([name, f"{found} of {len(runs)}", command])
    return Table(["experiment", "runs stored", "trains the rest"], rows, stacked=True)


def _claims(evidence: _Evidence) -> Iterator[Block]:
    if evidence.verdicts is None:
        yield Notice(f"The claims could not be judged: {evidence.unjudged}")
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
        yield _picture(claims_figure(evidence.verdicts), "claims", "Every claim's effect beside its threshold.")
    header = ["claim", "effect", "paper", "ours", "verdict"]
    yield Table(header, [_claim_row(verdict) for verdict in evidence.verdicts], stacked=True)
    yield Heading("Statements that no stored run can test", 3)
    untested = [[f"“{entry.quote}” ({entry.place})", entry.reason] for entry in UNTESTED]
    yield Table(["statement", "why not"], untested, stacked=True)


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


def _artefact(name: str, artefact: Artefact, material: Material, evidence: _Evidence) -> Iterator[Block]:
    from matplotlib.figure import Figure

    yield Heading(_artefact_title(name), 3)
    caption = artefact.caption.format(coma=evidence.setup.coma, bu3dfe=evidence.setup.bu3dfe)
    try:
        made = artefact.make(material)
    except Bench3dmmError as error:
        yield Text(caption)
        yield _located(Notice(str(error)), evidence)
        return
    yield _picture(made, name, caption) if isinstance(made, Figure) else frame_table(made, caption)


def _artefact_title(name: str) -> str:
    return re.sub(r"(\d+)$", r" \1", name).capitalize()


def _located(block: Block, evidence: _Evidence) -> Block:
    return Notice(evidence.with_folder(block.text)) if isinstance(block, Notice) else block


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


# --- where it comes from ----------------------------------------------------------------------------------------


def _provenance(evidence: _Evidence) -> Iterator[Block]:
    yield Text(
        "Every run stores the hashes of its data, split and hierarchy, the commit and versions it was measured with, "
        "and where. Times are those of trainings that may have shared the machine."
    )
    yield _origins(evidence.everything)
    yield _runs(evidence.everything)


def _origins(results: Sequence[Result]) -> Table:
    """One row for each combination of data, device, commit and versions."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(_origin(result), []).append(result)
    rows = [
        [*origin, str(len(group)), _dates(group), f"{sum(map(_minutes, group)):.1f}"]
        for origin, group in groups.items()
    ]
    header = [
        "dataset",
        "data sha256",
        "hierarchy sha256",
        "device",
        "commit",
        "versions",
        "runs",
        "trained",
        "minutes",
    ]
    return Table(header, rows, "Where the runs come from", stacked=True)


def _origin(result: Result) -> tuple[str, ...]:
    made = result.provenance
    git = made.get("git") or {}
    commit = str(git.get("commit", ""))[:10] + (" with changes" if git.get("dirty") else "")
    versions = made["versions"] or {}
    return (
        result.run.dataset,
        str(made["dataset_sha256"])[:12],
        str(made["hierarchy_sha256"])[:12],
        str(made["device"]),
        commit or "unknown",
        ", ".join(f"{name} {versions[name]}" for name in ("bench3dmm", "torch") if name in versions),
    )


def _dates(results: Sequence[Result]) -> str:
    """The first and the last day."""
    days = sorted({str(result.provenance["created"])[:10] for result in results})
    return " to ".join(dict.fromkeys((days[0], days[-1])))


def _minutes(result: Result) -> float:
    return result.provenance.get("training_seconds", 0.0) / 60


def _runs(results: Sequence[Result]) -> Table:
    """One row a run, with every field in which runs differ."""
    always = ("dataset", "split", "loss", "latent", "seed")
    varying = varying_fields(result.run for result in results)
    fields = [*always, *(name for name in varying if name not in always)]
    rows = []
    for result in results:
        values = (f"{shown_value(result.run, name)}" for name in fields)
        mean, median = (f"{result.metrics[name]:.3f}" for name in ("mean_mm", "median_mm"))
        costs = (f"{result.provenance.get('parameters', 0):,}", f"{_minutes(result):.1f}")
        rows.append([result.run.run_id, *values, mean, median, *costs])
    named = ["d" if name == "latent" else name.replace("_", " ") for name in fields]
    return Table(["run", *named, "mean mm", "median mm", "parameters", "minutes"], rows, "Every run")
