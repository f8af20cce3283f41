"""The record on disk: sections of several machines, and damage."""

from __future__ import annotations

import pytest
from bench_cases import MACHINE

from bench3dmm import bench
from bench3dmm.bench import pictures, report
from bench3dmm.errors import DataError

COMMON = ("schema", "device", "versions", "threads", "machine")


def later(record, **changed):
    """Start-up measured again, by itself."""
    around = {"measured": {"around": {"seconds": 2.0}}, "around": {**record["around"], "help_s": 9}}
    return {key: record[key] for key in COMMON} | around | changed


def test_sections_measured_later_join_those_of_the_same_machine(record, tmp_path):
    bench.save_bench(record, tmp_path)
    bench.save_bench(later(record), tmp_path)
    joined = bench.load_bench(tmp_path / "bench.json")
    assert joined["around"]["help_s"] == 9 and joined["measured"]["around"] == {"seconds": 2.0}
    assert joined["compare"] == record["compare"] and not any("on" in made for made in joined["measured"].values())


def test_sections_of_another_machine_stand_beside_and_name_it(record, tmp_path):
    bench.save_bench(record, tmp_path)
    bench.save_bench(later(record, device="another machine", machine={**MACHINE, "bandwidth": 3e9}), tmp_path)
    joined = bench.load_bench(tmp_path / "bench.json")
    assert joined["device"] == "a machine" and joined["compare"] == record["compare"]
    assert bench.of_section(joined, "compare")["device"] == "a machine"
    assert bench.of_section(joined, "around")["device"] == "another machine"
    assert pictures.machine_line(joined, "around").startswith("another machine; ")
    assert "copy 3 GB/s" in pictures.machine_line(joined, "around")
    assert report.provenance(joined)["device"].to_dict() == {
        section: "another machine" if section == "around" else "a machine" for section in bench.SECTIONS
    }
    bench.save_bench(later(record), tmp_path)
    again = bench.load_bench(tmp_path / "bench.json")
    assert "on" not in again["measured"]["around"], "measured again where the others were"


def test_a_record_measured_anew_elsewhere_is_that_machines(record, tmp_path):
    bench.save_bench(later(record), tmp_path)
    bench.save_bench({**record, "device": "another machine"}, tmp_path)
    anew = bench.load_bench(tmp_path / "bench.json")
    assert anew["device"] == "another machine" and not any("on" in made for made in anew["measured"].values())


def test_damaged_or_missing_record_is_named(tmp_path):
    with pytest.raises(DataError, match=r"bench\.json: not a stored bench.*run bench3dmm bench"):
        bench.load_bench(tmp_path / "bench.json")
    (tmp_path / "bench.json").write_text('{"schema": 0}')
    with pytest.raises(DataError, match="of schema 0"):
        bench.load_bench(tmp_path / "bench.json")
