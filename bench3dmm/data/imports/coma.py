"""Import of COMA (Ranjan et al., ECCV 2018), for those who have it: ``<root>/<subject>/<expression>/*.ply``, metres."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.imports.importing import import_plan
from bench3dmm.data.imports.plans import Options, make_plan, speaker
from bench3dmm.data.imports.published import COMA
from bench3dmm.data.imports.sources import MeshFiles, listed
from bench3dmm.errors import DataError
from bench3dmm.system.words import counted

CARD = {
    "source": "COMA (Ranjan et al., ECCV 2018), imported from files of the user's own",
    "license": "as agreed with the Max Planck Society (coma.is.tue.mpg.de); not to be passed on",
}


def import_coma(source: str | Path, options: Options | None = None) -> Dataset:
    """Import COMA's registered sequences as the dataset ``coma``.

    Rows are in natural order of subject, expression and file. Expressions are the folders' names, ``frame`` is the
    position in the folder.

    Args:
        source: the folder of the subjects' folders. Files elsewhere below it are ignored, and said to be.

    Raises:
        UnknownNameError, DataError, MeshError: saying which file is not as it should be, and what to do.
    """
    options = options or Options()
    root = Path(source)
    found = listed(root, [".ply"])
    paths = [path for path in found if len(path.relative_to(root).parts) == 3]
    if not paths:
        raise DataError(f"{root}: no <subject>/<expression>/*.ply below it{_hint(root, found)}")
    if len(paths) < len(found):
        odd = next(path for path in found if len(path.relative_to(root).parts) != 3)
        speaker(options.progress)(
            f"ignored: {counted(len(found) - len(paths), 'PLY file')} not in <subject>/<expression>/, e.g. {odd}"
        )
    rows = [(path.parent.parent.name, _expression(path.parent.name)) for path in paths]
    samples = pd.DataFrame(rows, columns=["subject", "expression"])
    samples["frame"] = samples.groupby(["subject", "expression"], sort=False).cumcount()
    plan = make_plan("coma", MeshFiles(root, paths), samples, options, CARD, COMA)
    return import_plan(plan, replace=options.replace, progress=options.progress)


def _expression(folder: str) -> str:
    """As the paper's Table 1 spells it."""
    return folder.strip().lower().replace(" ", "_").replace("-", "_")


def _hint(root: Path, found: list[Path]) -> str:
    """Where the right folder seems to be, by the depth of the first PLY file."""
    if not found:
        return ", nor any other PLY file"
    parts = found[0].relative_to(root).parts
    better = root.joinpath(*parts[:-3]) if len(parts) > 3 else root.resolve().parents[2 - len(parts)]
    return f"; perhaps you mean --source {better}"
