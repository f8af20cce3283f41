"""Rankings as tables, and what their ranks mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench3dmm.statistics.bootstrap import Interval
from bench3dmm.statistics.headline import unranked
from bench3dmm.statistics.ranking import Ranking
from bench3dmm.system.words import small_print
from bench3dmm.tasks.task import HIGHER
from bench3dmm.view.tables import NONE, spread

if TYPE_CHECKING:
    import pandas as pd

INTERVALS = "95 % bootstrap intervals over test {unit} and seeds"


def rank_frame(found: Sequence[Ranking]) -> pd.DataFrame:
    """Rankings as rows, one a model, with all that `ranking_table` shows."""
    import pandas as pd

    rows = [
        {
            "d": f"d = {ranking.latent}",
            "rank": standing.place,
            "model": standing.model,
            ranking.measure.heading: spread(standing.mean.point, standing.sd),
            "95 % interval": interval_text(standing.mean),
            "seeds": len(standing.seeds),
            "parameters": NONE if standing.parameters is None else f"{standing.parameters:,}",
        }
        for ranking in found
        for standing in ranking.standings
    ]
    return pd.DataFrame(rows).set_index(["d", "rank"])


def rank_note(found: Sequence[Ranking]) -> str:
    """What the ranks of a table mean, who has none, and from how many persons and which machines they come."""
    unit = found[0].unit
    persons = ", ".join(dict.fromkeys(f"{one.units} test {unit}" for one in found))
    devices = "; ".join(dict.fromkeys(device for one in found for device in one.devices))
    side = "above" if found[0].measure.better == HIGHER else "below"
    without = "; ".join(f"{where}: {why}" for where, why in unranked(found).items())
    return small_print(
        persons,
        devices,
        INTERVALS.format(unit=unit),
        f"rank: 1 + the number of models that are better, with the paired interval of the difference {side} 0; "
        "= where it is shared",
        f"not ranked at {without}" if without else "",
    )


def interval_text(interval: Interval, form: str = ".3f") -> str:
    return f"[{interval.low:{form}}, {interval.high:{form}}]"
