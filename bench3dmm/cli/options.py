"""Options that many commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

Value = TypeVar("Value")
"""What an option is where its type depends on the command: ``Device[str]``, or ``Device[str | None]`` if the default
is another program's."""

Coma = Annotated[Value, typer.Option(help="The dataset in COMA's place.")]
Bu3dfe = Annotated[Value, typer.Option(help="The dataset in BU3DFE's place.")]
Seeds = Annotated[Value, typer.Option(min=1, help="How many: 0, 1, …")]
Jobs = Annotated[Value, typer.Option(min=0, help="Trainings at once; 0: one a core, on a GPU as many as pay.")]
Device = Annotated[Value, typer.Option(help="auto, cpu, cuda or cuda:INDEX.")]

Profile = Annotated[str, typer.Option(help="smoke, quick or paper.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
ResultsRead = Annotated[Path, typer.Option(help="Where runs are stored.")]
ResultsWritten = Annotated[Path, typer.Option(help="Where results are written.")]
Unit = Annotated[
    str | None, typer.Option(help="Of the meshes: mm, cm, dm, m or inch; recognised by size if not given.")
]
