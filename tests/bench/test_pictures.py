"""Pictures of a record say which machine it is of."""

from __future__ import annotations

from bench3dmm.bench import pictures


def test_pictures_say_which_machine(record):
    for name in ("compare", "peers", "lamm", "layers", "scaling"):
        draw = getattr(pictures, f"{name}_figure")
        assert any("a machine" in text.get_text() for text in draw(record).texts)


def test_machine_line_has_the_rates(record):
    line = pictures.machine_line(record, "compare")
    assert "100 GFLOP/s" in line and "10 GB/s" in line
