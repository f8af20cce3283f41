"""Tables and figures of LAMM, one function each."""

from __future__ import annotations

from bench3dmm.papers.artefact import Artefact, Section
from bench3dmm.papers.lamm.figures import edit_figure, partition_figure, region_samples_figure, swap_figure
from bench3dmm.papers.lamm.tables import edits_opening, lamm_claims_table, locality_table, manipulation_table

__all__ = [
    "ARTEFACTS",
    "edit_figure",
    "lamm_claims_table",
    "locality_table",
    "manipulation_table",
    "partition_figure",
    "region_samples_figure",
    "swap_figure",
]

EDITED = "Editing by regions"

ARTEFACTS: dict[str, Artefact] = {
    "edits": Artefact(
        EDITED,
        lambda m: manipulation_table(m.results, m.setup),
        ("manipulation",),
        "One region of a face of {bu3dfe} edited by its control vertices: how near it comes, what else moves.",
    ),
    "edits-coma": Artefact(
        EDITED,
        lambda m: manipulation_table(m.results, m.setup, "coma"),
        ("manipulation",),
        "One region of a face of {coma} edited by its control vertices: how near it comes, what else moves.",
    ),
    "locality": Artefact(
        EDITED,
        lambda m: locality_table(m.results, m.setup),
        ("manipulation",),
        "Movement inside an edited region over that outside, on {bu3dfe}.",
    ),
}

SECTIONS = (Section(EDITED, lambda m: edits_opening(m.results, m.setup)),)
