"""Tables of a record."""

from __future__ import annotations

from bench_cases import MACHINE

from bench3dmm import bench
from bench3dmm.bench import report


def test_every_section_has_a_table(record):
    assert len(list(report.tables(record))) == 1 + len(bench.SECTIONS)
    for section in ("machine", *bench.SECTIONS):
        assert len(report.frame(record, section))
    assert report.frame({**record, "machine": MACHINE, "device": ""}, "nothing").empty
    assert report.frame(record, "compare").loc["training step", "vertices"] == "1,200"
