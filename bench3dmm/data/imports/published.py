"""What the paper's two datasets are, and how an imported set departs from that."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench3dmm.data.synthetic.counts import TABLE1, TABLE2


@dataclass(frozen=True)
class Published:
    """What a set that goes by the name should be.

    Attributes:
        name: as the paper writes it.
        vertices: of each mesh.
        people: of the set.
        table: the paper's, that counts the meshes.
        counts: meshes per expression, in that table.
    """

    name: str
    vertices: int
    people: int
    table: str
    counts: dict[str, int]


COMA = Published("COMA", 5023, 12, "Table 1", TABLE1)
BU3DFE = Published("BU3DFE", 6704, 100, "Table 2", TABLE2)


def departures_from(published: Published, samples: pd.DataFrame, n_vertices: int, kept: int) -> list[str]:
    """In words, how a set is not what was published; empty where it is.

    Args:
        published: what it should be.
        samples: its table, with ``subject`` and ``expression``.
        n_vertices: of a mesh in the source.
        kept: of these, fewer where only the largest part was imported.
    """
    lines = []
    if n_vertices != published.vertices:
        lines.append(f"{n_vertices:,} vertices a mesh ({published.name}: {published.vertices:,})")
    if kept != n_vertices:
        lines.append(f"only the largest part of each mesh, {kept:,} of {n_vertices:,} vertices (--largest-component)")
    if (people := samples["subject"].nunique()) != published.people:
        lines.append(f"people: {people:,} ({published.name}: {published.people:,})")
    if counts := count_differences(samples["expression"], published.table, published.counts):
        lines.append(f"meshes per expression: {', '.join(counts)}")
    return lines


def count_differences(expressions: pd.Series, table: str, paper: dict[str, int]) -> list[str]:
    """Where meshes per expression, or their total, are not the paper's; empty where all are."""
    here = expressions.value_counts()
    lines = []
    for name in [*paper, *sorted(set(here.index) - set(paper))]:
        if int(here.get(name, 0)) != paper.get(name, 0):
            wanted = f"{paper[name]:,}" if name in paper else "not one of its expressions"
            lines.append(f"{name} {int(here.get(name, 0)):,} ({table}: {wanted})")
    if lines:
        lines.append(f"total {len(expressions):,} ({table}: {sum(paper.values()):,})")
    return lines
