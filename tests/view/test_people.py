"""Contact sheets: which people and expressions they show."""

from __future__ import annotations

import pytest
from face_sets import make_dataset
from figure_checks import texts

from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
from bench3dmm.view.people import contact_sheet_figure, contact_sheet_samples

pytestmark = pytest.mark.usefixtures("software_renderer")


def test_contact_sheet_takes_each_expression_at_its_strongest(scans):
    chosen = contact_sheet_samples(scans, people=3)
    assert list(chosen.columns) == list(TABLE2)
    assert "F0001" not in chosen.index, "who lacks an expression is not shown"
    for subject, row in chosen.iterrows():
        for expression, index in row.items():
            sample = scans.samples.iloc[index]
            assert (sample.subject, sample.expression, sample.level) == (subject, expression, 1.0)


def test_contact_sheet_has_expressions_of_no_table_too(template):
    rows = [("S01", name, level, 0) for name in ("grumpy", "asleep", "grumpy") for level in (0.5, 1.0)]
    own = make_dataset(template, rows, "mine")
    assert list(contact_sheet_samples(own).columns) == ["neutral", "asleep", "grumpy"]


def test_contact_sheet_of_sequences_starts_with_a_neutral_face(template):
    rows = [
        (subject, expression, level, frame)
        for subject in ("S01", "S02")
        for expression in TABLE1
        for frame, level in enumerate((0.1, 1.0, 0.05))
    ]
    dataset = make_dataset(template, rows, "mh-seq")
    chosen = contact_sheet_samples(dataset)
    assert list(chosen.columns) == ["neutral", *TABLE1]
    assert (dataset.samples["level"].to_numpy()[chosen["neutral"]] == 0.05).all()
    assert "mh-seq" in texts(contact_sheet_figure(dataset, people=1, cell=40))


def test_contact_sheet_names_dataset_people_and_expressions(scans):
    shown = texts(contact_sheet_figure(scans, people=2, cell=40))
    for expected in ("mh-scan", "0123456789ab", "F0000", "F0003", "surprise"):
        assert expected in shown
    assert f"{len(scans)} meshes of 4 people" in shown
