"""What is asked for is measured, and kept."""

from __future__ import annotations

import pytest

from bench3dmm import bench
from bench3dmm.errors import UnknownNameError


def test_record_is_kept_whole_and_drawn(record, tmp_path):
    written = bench.save_bench(record, tmp_path)
    parts = ("compare", "peers", "lamm", "layers", "scaling")
    names = {f"bench-{part}.{kind}" for part in parts for kind in ("png", "pdf")}
    assert {path.name for path in written} == {"bench.json", *names}
    assert bench.load_bench(tmp_path / "bench.json")["compare"] == record["compare"]


def test_unknown_section_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'layers'"):
        bench.run_bench(["layer"])
