"""What an import is to do, found out before its meshes are read: sizes, unit, template, landmarks."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench3dmm.data.imports.landmarks import count_from_zero, read_landmarks
from bench3dmm.data.imports.published import Published
from bench3dmm.data.imports.sources import (
    FIRST,
    RECOGNISED,
    SAME_SIZE,
    UNITS,
    Expected,
    Source,
    extent,
    file_record,
    unit_of,
)
from bench3dmm.data.registry import LICENSED, registered_names
from bench3dmm.data.synthetic.makehuman import SETS
from bench3dmm.errors import DataError
from bench3dmm.mesh.files import read_mesh
from bench3dmm.mesh.template import Template
from bench3dmm.system.words import counted

FORMAT = 1  # of the partial folder and the manifest: count up on change
NO_LANDMARKS = "none: the weighted loss needs them"


@dataclass(frozen=True)
class Options:
    """What the user says besides where the meshes are.

    Attributes:
        template: PLY or OBJ file of the connectivity; of files, the first one's if not given.
        landmarks: file of vertex ids, see `read_landmarks`.
        one_based: whether these count from 1; None: from 0, and of BU3DFE it is found out.
        unit: of the meshes, one of `UNITS`, if it is not to be recognised.
        largest_component: drop all vertices but those of the template's largest connected part.
        replace: whether an import of the same name may be replaced by other data.
        progress: say on stderr what happens.
    """

    template: Path | None = None
    landmarks: Path | None = None
    one_based: bool | None = None
    unit: str | None = None
    largest_component: bool = False
    replace: bool = False
    progress: bool = True


@dataclass(frozen=True, eq=False)
class Plan:
    """All that decides what an import gives, before its meshes are read.

    Attributes:
        name: what `load_dataset` will call it.
        source: the meshes, one a row of ``samples``.
        samples: ``subject``, ``expression``, ``frame``, maybe more; ``level`` is estimated if absent.
        template: in mm, with landmarks; of all of a mesh's vertices.
        expected: what each mesh is compared with, in the source's unit.
        unit: of the meshes, one of `UNITS`.
        extras: files that are no meshes, by their role, as the manifest lists them.
        published: what the set is compared with, if it is one of the paper's.
        card: origin, licence and whatever else is to be said of the data.
    """

    name: str
    source: Source
    samples: pd.DataFrame
    template: Template
    expected: Expected
    unit: str
    extras: list[dict[str, Any]] = field(default_factory=list)
    published: Published | None = None
    card: dict[str, Any] = field(default_factory=dict)
    largest_component: bool = False

    def settings(self) -> dict[str, Any]:
        """What meshes that were written earlier must have been written with."""
        faces = self.expected.faces
        return {
            "format": FORMAT,
            "vertices": self.expected.n_vertices,
            "faces_sha256": None if faces is None else hashlib.sha256(np.ascontiguousarray(faces).data).hexdigest(),
            "unit": self.unit,
            "largest_component": self.largest_component,
        }


def check_name(name: str) -> None:
    """Raises DataError for a name that an import of one's own cannot have."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise DataError(f"name {name!r}: use letters, digits, '.', '_' and '-', and begin with a letter or digit")
    if name.lower() in LICENSED:
        raise DataError(
            f"name {name!r} is kept for that dataset: bench3dmm data import {name.lower()}; give another --name"
        )
    if name.lower() in SETS or name in registered_names():
        raise DataError(f"name {name!r} is another dataset's already; give another --name")


def make_plan(
    name: str,
    source: Source,
    samples: pd.DataFrame,
    options: Options,
    card: dict[str, Any],
    published: Published | None = None,
    extras: dict[str, Path] | None = None,
    detect_base: bool = False,
) -> Plan:
    """The plan of importing a source: looks at its first mesh, the template and the landmarks, and says what it found.

    Args:
        samples, card, published: see `Plan`.
        extras: more files for the manifest, by role.
        detect_base: whether to find out if landmarks count from 0 or 1, see `count_from_zero`.

    Raises:
        DataError, MeshError, UnknownNameError: naming the file and the way out.
    """
    say = speaker(options.progress)
    first, faces = source.load(0)
    size = extent(first)
    unit = unit_of(size, f"the first mesh ({source.where(0)})", options.unit)
    template, of = _template(name, first * UNITS[unit], faces, unit, options)
    landmarks = NO_LANDMARKS
    if options.landmarks:
        path = options.landmarks
        ids, landmarks = count_from_zero(read_landmarks(path), template, options.one_based, path, detect=detect_base)
        template = Template(template.vertices, template.faces, ids, name)
    say(
        f"{name}: {counted(len(source), 'mesh')} of {counted(template.n_vertices, 'vertex')}, "
        f"{counted(samples['subject'].nunique(), 'subject')}, {counted(samples['expression'].nunique(), 'expression')}"
    )
    say(f"unit: {unit}{'' if unit == 'mm' else ', converted to mm'} (the first mesh measures {size:.4g})")
    say(f"landmarks: {landmarks}")
    files = {**(extras or {}), "template": options.template, "landmarks": options.landmarks}
    return Plan(
        name=name,
        source=source,
        samples=samples,
        template=template,
        expected=Expected(template.n_vertices, None if faces is None else template.faces, size, of, published),
        unit=unit,
        extras=[{**file_record(path, source.root), "role": role} for role, path in files.items() if path],
        published=published,
        card={**card, "landmarks": landmarks},
        largest_component=options.largest_component,
    )


def _template(
    name: str, first: np.ndarray, faces: np.ndarray | None, unit: str, options: Options
) -> tuple[Template, str]:
    """The template in mm, and what to call it in messages."""
    if options.template is None:
        if faces is None:
            raise DataError(f"{name}: an array has no connectivity; give a PLY or OBJ file with --template FILE")
        return Template(first, faces, name=name), FIRST
    vertices, faces = read_mesh(options.template)
    scale = _template_scale(vertices, first, unit, options.template)
    return Template(vertices * scale, faces, name=name), "the template"


def _template_scale(vertices: np.ndarray, first: np.ndarray, unit: str, path: Path) -> float:
    """To mm, from the unit in which the template is as large as the meshes; BU3DFE's is in mm, its meshes in m."""
    size, wanted = extent(vertices), extent(first)
    scales = [UNITS[unit], *(UNITS[known] for known in RECOGNISED)]
    scale = min(scales, key=lambda s: abs(np.log(s * max(size, 1e-12) / wanted)))
    if not 1 / SAME_SIZE <= scale * size / wanted <= SAME_SIZE:
        raise DataError(
            f"{path}: the template measures {size:.4g}, the first mesh {wanted:.4g} mm: not the same face in mm, cm, m "
            f"or {unit}; scale one of them"
        )
    return scale


def speaker(progress: bool) -> Callable[[str], None]:
    """Prints lines to stderr, or nothing."""

    def say(text: str) -> None:
        if progress:
            print(text, file=sys.stderr, flush=True)

    return say
