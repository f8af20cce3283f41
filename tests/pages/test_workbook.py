"""What notebooks do around their figures: runs found or trained, tables shown whole, claims picked by name."""

from __future__ import annotations

import pandas as pd
import pytest

from bench3dmm.data import registry as data
from bench3dmm.errors import UnknownNameError
from bench3dmm.pages.workbook import Sheet, Workbook
from bench3dmm.papers.neural3dmm_bu3dfe import experiments
from bench3dmm.runs.results import results_folder


@pytest.fixture
def book(spheres, tmp_path, monkeypatch):
    monkeypatch.setitem(data._registered, "sphere", lambda: spheres)
    monkeypatch.setattr(experiments, "LATENTS", (8,))
    figures = tmp_path / "figures"
    return Workbook("sphere", "sphere", "smoke", 1, tmp_path / "results", figures, "cpu", jobs=1)


def test_what_is_missing_is_trained_and_then_found(book, capsys):
    (result,) = [r for r in book.train("splits") if r.run.split == "identity"]
    assert result.run.latent == 8 and "training" in capsys.readouterr().err
    again = book.train("splits")
    assert [r.provenance["created"] for r in again] == [r.provenance["created"] for r in book.results]
    assert "training" not in capsys.readouterr().err
    assert book.provenance()["runs"].sum() == 2


def test_claims_are_picked_by_name_and_misspelt_ones_refused(book):
    book.train("splits")
    table = book.verdicts("percentage-below-identity")
    assert list(table.index) == ["percentage-below-identity"]
    assert table["verdict"].iloc[0] == "inconclusive", "one seed is not enough"
    with pytest.raises(UnknownNameError, match="Did you mean 'percentage-below-identity'"):
        book.verdicts("percentage-below-identiti")


def test_tables_are_saved_and_shown_in_full(book):
    sentence = "a sentence that is longer than the fifty characters pandas would cut it to, with < and &"
    frame = pd.DataFrame({"says": [sentence], "mm": [0.5]}, index=pd.Index(["one"], name="claim"))
    frame.attrs["footer"] = "mh-scan & <nothing else>"
    sheet = book.table(frame, "claims")
    assert isinstance(sheet, Sheet) and sentence in repr(sheet) and repr(sheet).endswith("<nothing else>")
    page = sheet._repr_html_()
    assert "cut it to, with &lt; and &amp;" in page and "&amp; &lt;nothing else&gt;" in page and "claim" in page
    assert {path.name for path in (book.figures_dir).iterdir()} == {"claims.csv", "claims.tex"}


def test_no_folder_means_the_checkouts(tmp_path):
    assert results_folder(tmp_path) == tmp_path
    assert (results_folder() / "paper.csv").exists()
