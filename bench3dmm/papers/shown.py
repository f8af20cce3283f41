"""What papers show: artefacts, what sections say first, and verdicts; loaded when asked, since they draw."""

from __future__ import annotations

from collections.abc import Mapping

from bench3dmm.errors import UnknownNameError
from bench3dmm.papers.artefact import Artefact, Material, Section
from bench3dmm.papers.registry import papers, part_of
from bench3dmm.statistics.claims import Claim, Verdict


def artefacts(paper: str) -> Mapping[str, Artefact]:
    """A paper's tables and figures by name, in the order of a report."""
    return getattr(part_of(paper, "artefacts"), "ARTEFACTS", {})


def sections(paper: str) -> Mapping[str, Section]:
    """By heading, what its sections say first."""
    return {section.heading: section for section in getattr(part_of(paper, "artefacts"), "SECTIONS", ())}


def claims(paper: str) -> Mapping[str, Claim]:
    """A paper's claims by id."""
    return {claim.id: claim for claim in getattr(part_of(paper, "claims"), "CLAIMS", ())}


def verdicts(paper: str, material: Material) -> list[Verdict]:
    """What the material says about a paper's claims; none where it makes none. Raises DataError, see its own."""
    module = part_of(paper, "claims")
    return [] if module is None else module.verdicts(material)


def untested(paper: str) -> list[tuple[str, str]]:
    """Statements that no stored run can test, with their places, and why."""
    entries = getattr(part_of(paper, "untested"), "UNTESTED", ())
    return [(f"“{entry.quote}” ({entry.place})", entry.reason) for entry in entries]


def paper_of_claim(id: str) -> str:
    """The paper that makes a claim. Raises UnknownNameError."""
    by_id = {claim: paper for paper in papers() for claim in claims(paper)}
    if id not in by_id:
        raise UnknownNameError("claim", id, by_id)
    return by_id[id]
