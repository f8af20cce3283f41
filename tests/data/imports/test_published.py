"""How an imported set departs from what was published."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from import_trees import EXPRESSIONS, QUIET, SUBJECTS, VERTICES, interrupted, write_bu3dfe, write_coma

from bench3dmm.data import departures
from bench3dmm.data.cache import imported_dir
from bench3dmm.data.imports import coma
from bench3dmm.data.imports.bu3dfe import import_bu3dfe
from bench3dmm.data.imports.coma import import_coma
from bench3dmm.data.imports.plans import Options
from bench3dmm.data.imports.published import BU3DFE, COMA, Published, departures_from


def test_departures_are_those_of_the_imported_set(tmp_path, capsys):
    assert departures("coma") is None
    assert departures("mh-seq") == ["mh-seq is another set"]
    import_coma(write_coma(tmp_path / "raw"))
    found = departures("coma")
    assert found[:2] == [f"{len(VERTICES)} vertices a mesh (COMA: 5,023)", "people: 2 (COMA: 12)"]
    assert found[2].startswith("meshes per expression: bareteeth 8 (Table 1: 1,946), cheeks_in 8 (")
    assert found[2].endswith(", total 24 (Table 1: 20,466)")
    assert len(found) == 3
    err = capsys.readouterr().err
    assert "not COMA as published:" in err
    assert all(f"  {line}\n" in err for line in found)
    (imported_dir() / "coma" / "vertices.npy").unlink()  # the card is all that is read
    assert departures("coma") == found
    assert departures("bu3dfe") is None
    write_bu3dfe(tmp_path / "bu")
    import_bu3dfe(tmp_path / "bu", QUIET)
    assert departures("bu3dfe")[:2] == [f"{len(VERTICES)} vertices a mesh (BU3DFE: 6,704)", "people: 3 (BU3DFE: 100)"]


def test_a_complete_set_has_no_departures(tmp_path, monkeypatch, capsys):
    counts = dict.fromkeys(EXPRESSIONS, 8)
    monkeypatch.setattr(coma, "COMA", Published("COMA", len(VERTICES), 2, "Table 1", counts))
    root = write_coma(tmp_path / "raw")
    import_coma(root)
    assert departures("coma") == []
    assert "COMA as published" in capsys.readouterr().err
    (root / SUBJECTS[0] / "cheeks_in" / "cheeks_in.10.ply").unlink()
    import_coma(root, Options(replace=True, progress=False))
    assert departures("coma") == ["meshes per expression: cheeks_in 7 (Table 1: 8), total 23 (Table 1: 24)"]


def test_an_import_in_part_or_of_an_older_version_is_not_taken_for_a_complete_one(tmp_path):
    root = write_coma(tmp_path / "raw")
    interrupted(root)
    assert departures("coma") is None
    import_coma(root, QUIET)
    path = imported_dir() / "coma" / "card.json"
    card = json.loads(path.read_text())
    del card["departures"]
    path.write_text(json.dumps(card))
    assert departures("coma") == [f"not compared with what was published: delete {path.parent} and import coma again"]


@pytest.mark.parametrize("published", [COMA, BU3DFE])
def test_what_departs_from_the_paper(published):
    rows = [name for name, count in published.counts.items() for _ in range(count)]
    samples = pd.DataFrame({"expression": rows, "subject": [str(i % published.people) for i in range(len(rows))]})
    n = published.vertices
    assert departures_from(published, samples, n, n) == []
    assert departures_from(published, samples, n, n - 100) == [
        f"only the largest part of each mesh, {n - 100:,} of {n:,} vertices (--largest-component)"
    ]
    assert departures_from(published, samples[samples["subject"] != "0"], n, n)[0].startswith("people: ")
    assert len(departures_from(published, samples[1:], n, n)) == 1
    other = samples.assign(expression=samples["expression"].where(samples.index > 0, "wink"))
    assert "wink 1 (" in departures_from(published, other, n, n)[0]
