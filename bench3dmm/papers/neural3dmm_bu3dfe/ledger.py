"""What changes where the paper's text and its released code differ, measured one switch at a time.

    python -m bench3dmm.papers.neural3dmm_bu3dfe.ledger

writes the table into docs/ledger.md, from the runs of ``bench3dmm sweep ledger`` that are stored in results/.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.data.tables import persons
from bench3dmm.errors import DataError
from bench3dmm.papers.neural3dmm_bu3dfe.experiments import (
    RELEASED_TEST_SHARE,
    RELEASED_VALIDATION,
    WEIGHTED_DECAY,
    WEIGHTED_LATENT,
)
from bench3dmm.papers.setup import Setup
from bench3dmm.record.profiles import PROFILES
from bench3dmm.record.run import Run
from bench3dmm.runs.stored import stored_results
from bench3dmm.statistics.bootstrap import (
    RESAMPLES,
    Interval,
    bootstrap_mean,
    draw_units,
    draw_weights,
    percentile_interval,
    resampled_means,
)
from bench3dmm.system.checkout import ROOT
from bench3dmm.system.storage import write_text
from bench3dmm.view.blocks import Notice, Table
from bench3dmm.view.markdown import filled, markdown_table, markdown_text

if TYPE_CHECKING:
    import pandas as pd

    from bench3dmm.runs.results import Result

PAGE = ROOT / "docs" / "ledger.md"
MARK = "measured"
COLUMNS = ("option", "d", "error", "without", "with", "difference", "low", "high", "meshes", "compared", "seeds")
QUANTITIES = {"all vertices": "sample_error", "within 10 mm of a landmark": "sample_near_error"}


@dataclass(frozen=True)
class Switch:
    """One difference that a run can be trained on either side of.

    Attributes:
        name: its row.
        base: fields of the run without it, beside the defaults.
        change: the field that switches it, and its value; ``option`` is the same on the command line.
        quantity: whose error is compared, one of `QUANTITIES`.
    """

    name: str
    base: Mapping[str, Any]
    change: Mapping[str, Any]
    quantity: str = "all vertices"

    @property
    def option(self) -> str:
        return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in self.change.items())

    def pair(self, setup: Setup, seed: int) -> tuple[Run, Run]:
        """The runs without and with it."""
        without = Run(setup.bu3dfe, profile=setup.profile, seed=seed, **self.base)
        return without, dataclasses.replace(without, **self.change)


_PLAIN = {"latent": 16}
_WEIGHTED = {"latent": WEIGHTED_LATENT, "loss": "weighted-l1"}
_RELEASED_WEIGHTS = {"loss": "weighted-l1-released"}
SWITCHES = (
    Switch("architecture", _PLAIN, {"preset": "release"}),
    Switch("validation rows", _PLAIN, {"validation": RELEASED_VALIDATION}),
    Switch("split sizes", _PLAIN, {"test_share": RELEASED_TEST_SHARE}),
    Switch("loss weights", _WEIGHTED, _RELEASED_WEIGHTS),
    Switch("loss weights", _WEIGHTED, _RELEASED_WEIGHTS, "within 10 mm of a landmark"),
    Switch("weight decay", _WEIGHTED, {"weight_decay": WEIGHTED_DECAY}),
    Switch("weight decay", _WEIGHTED, {"weight_decay": WEIGHTED_DECAY}, "within 10 mm of a landmark"),
)


# --- measured ---------------------------------------------------------------------------------------------------


def ledger_table(
    results: Iterable[Result],
    setup: Setup | None = None,
    subjects: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """The effect of each switch: one row a switch, in the order of `SWITCHES`, NaN where a run is missing.

    Columns: ``option`` that switches it; ``d``; ``error`` of which vertices; ``without`` and ``with`` it, the mean
    error in mm over seeds and test meshes; their ``difference`` with its 95 % interval, ``low`` to ``high``, see
    `bench3dmm.statistics.bootstrap`; ``meshes`` tested without and with; ``compared``, ``paired`` where both were
    tested on the same meshes, else ``unpaired``; ``seeds`` that both sides have.

    Args:
        results: any; those of `setup` are picked.
        setup: dataset in BU3DFE's place, profile and seeds.
        subjects: (N,) whose mesh each row of the dataset is; with it persons are resampled, each with all their test
            meshes, instead of meshes.
        resamples, seed: of the bootstrap.

    Raises:
        DataError: where the two sides were measured on two versions of the dataset.
    """
    import pandas as pd

    setup = setup or Setup()
    stored = {result.run: result for result in results}
    rows = [_row(switch, stored, setup, subjects, resamples, seed) for switch in SWITCHES]
    return pd.DataFrame(rows, columns=COLUMNS, index=pd.Index([switch.name for switch in SWITCHES], name="switch"))


def _row(
    switch: Switch,
    stored: Mapping[Run, Result],
    setup: Setup,
    subjects: np.ndarray | None,
    resamples: int,
    seed: int,
) -> dict[str, str | float | int]:
    pairs = [switch.pair(setup, of_seed) for of_seed in setup.seeds]
    sides = [(stored[without], stored[with_it]) for without, with_it in pairs if {without, with_it} <= stored.keys()]
    row = {"option": switch.option, "d": switch.base["latent"], "error": switch.quantity, "seeds": len(sides)}
    if not sides or not all(QUANTITIES[switch.quantity] in result.arrays for side in sides for result in side):
        return {**row, "meshes": "", "compared": ""}
    _check_same_data(switch, [result for side in sides for result in side])
    without, with_it = (_Side.of(results, switch.quantity, subjects) for results in zip(*sides, strict=True))
    paired = np.array_equal(without.rows, with_it.rows)
    effect = (_paired if paired else _unpaired)(without, with_it, resamples, seed)
    return {
        **row,
        "without": without.errors.mean(),
        "with": with_it.errors.mean(),
        "difference": effect.point,
        "low": effect.low,
        "high": effect.high,
        "meshes": f"{len(without.rows)}" if paired else f"{len(without.rows)}, {len(with_it.rows)}",
        "compared": "paired" if paired else "unpaired",
    }


@dataclass(frozen=True, eq=False)
class _Side:
    """Errors (S, m) of one side's test meshes by seed, the dataset's rows (m,) that these are, and what is drawn."""

    errors: np.ndarray
    rows: np.ndarray
    units: np.ndarray

    @classmethod
    def of(cls, results: Sequence[Result], quantity: str, subjects: np.ndarray | None) -> _Side:
        errors = np.stack([result.arrays[QUANTITIES[quantity]] for result in results]).astype(np.float64)
        rows = results[0].arrays["sample_index"]  # of a split, which does not depend on the seed
        return cls(errors, rows, rows if subjects is None else np.asarray(subjects)[rows])


def _paired(without: _Side, with_it: _Side, resamples: int, seed: int) -> Interval:
    """The mean difference on the same test meshes."""
    return bootstrap_mean(with_it.errors - without.errors, without.units, resamples=resamples, seed=seed)


def _unpaired(without: _Side, with_it: _Side, resamples: int, seed: int) -> Interval:
    """The difference of the means on different test meshes, each side resampled by itself."""
    rng = np.random.default_rng(seed)
    draws = []
    for side in (without, with_it):
        meshes = draw_units(side.units, resamples, rng)
        draws.append(resampled_means(side.errors, meshes, draw_weights(len(side.errors), resamples, rng)))
    point = float(with_it.errors.mean() - without.errors.mean())
    return Interval(point, *percentile_interval(draws[1] - draws[0]))


def _check_same_data(switch: Switch, results: Sequence[Result]) -> None:
    if len({result.provenance["dataset_sha256"] for result in results}) > 1:
        dataset = results[0].run.dataset
        raise DataError(
            f"ledger, {switch.name}: its runs were measured on several versions of {dataset}; "
            "delete the older ones and sweep again"
        )


# --- shown ------------------------------------------------------------------------------------------------------


def ledger_block(
    results: Sequence[Result], setup: Setup | None = None, subjects: np.ndarray | None = None
) -> Table | Notice:
    """The table to be shown, or what trains its runs; arguments as those of `ledger_table`."""
    setup = setup or Setup()
    frame = ledger_table(results, setup, subjects)
    command = f"`{setup.command('ledger')}`"
    missing = frame["without"].isna()
    if missing.all():
        return Notice(f"No switch has the runs of both its sides stored; train them with {command}.")
    names = ", ".join(frame.index[missing].unique())
    lack = f" Not trained yet: {names}; train them with {command}." if names else ""
    rows = [_shown(row) for row in frame.reset_index().to_dict("records")]
    return Table(HEADER, rows, note=_note(results, setup, subjects is not None) + lack, stacked=True)


HEADER = ("switch", "set by", "d", "error", "without", "with", "difference", "95 % interval", "test meshes", "seeds")


def _shown(row: Mapping[str, Any]) -> list[str]:
    first = [row["switch"], f"`{row['option']}`", str(row["d"]), row["error"]]
    if math.isnan(row["without"]):
        return [*first, *["–"] * 5, str(row["seeds"])]
    return [
        *first,
        f"{row['without']:.3f}",
        f"{row['with']:.3f}",
        f"{row['difference']:+.3f}",
        f"[{row['low']:+.3f}, {row['high']:+.3f}]",
        f"{row['meshes']}, {row['compared']}",
        str(row["seeds"]),
    ]


def _note(results: Sequence[Result], setup: Setup, persons: bool) -> str:
    profile = PROFILES[setup.profile]
    devices = sorted({str(result.provenance["device"]) for result in results})
    return (
        f"Mean per-vertex error in mm on {setup.bu3dfe}, percentage split, profile {setup.profile} "
        f"({profile.epochs} epochs), {'; '.join(devices)}. Difference: with minus without; its interval by bootstrap "
        f"over {'persons with their test meshes' if persons else 'test meshes'} and seeds. Unpaired: the test meshes "
        "are not the same ones, and each side is resampled by itself."
    )


def ledger_markdown(results_dir: str | Path = ROOT / "results", setup: Setup | None = None) -> str:
    """What docs/ledger.md shows between its markers."""
    setup = setup or Setup()
    results = stored_results(setup.runs("ledger"), results_dir)
    block = ledger_block(results, setup, persons(setup.bu3dfe))
    return markdown_table(block) if isinstance(block, Table) else f"**Not measured yet.** {markdown_text(block.text)}"


def write_ledger(page: str | Path = PAGE, results_dir: str | Path = ROOT / "results") -> str:
    """Bring the table of docs/ledger.md up to date; returns it."""
    page = Path(page)
    measured = ledger_markdown(results_dir)
    write_text(page, filled(page.read_text(), MARK, measured))
    return measured


if __name__ == "__main__":
    print(write_ledger())
