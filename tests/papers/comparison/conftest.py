"""Results of all peers, on two sets of the same people, whose meshes nobody has to make."""

from __future__ import annotations

import pytest
from peer_results import SETUP, peer_results, people

from bench3dmm.papers import setup
from bench3dmm.statistics import ranking


@pytest.fixture(autouse=True)
def twins(monkeypatch, software_renderer):
    """Forty people in both sets."""
    monkeypatch.setattr(setup, "persons", people)
    monkeypatch.setattr(ranking, "persons", people)


@pytest.fixture(scope="module")
def results():
    return peer_results(SETUP, people)
