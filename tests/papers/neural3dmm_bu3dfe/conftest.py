"""A small mesh and a dataset on it, drawn in software; the paper's numbers, and results with known effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from claim_results import make_dataset, make_results
from mesh_shapes import half_sphere

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.synthetic.counts import TABLE2
from bench3dmm.papers import setup
from bench3dmm.runs.results import Result
from bench3dmm.system.checkout import ROOT


@pytest.fixture(autouse=True)
def drawn_in_software(software_renderer):
    pass


@pytest.fixture(scope="module")
def template():
    return half_sphere()


@pytest.fixture(scope="module")
def scans(template):
    rows = [(f"F{person:04d}", name, 1.0, 0) for person in range(3) for name in TABLE2 for _ in range(2)]
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    vertices = (template.vertices * (1 + 0.01 * np.arange(len(rows)))[:, None, None]).astype(np.float32)
    return Dataset("mh-scan", template, vertices, samples, "0123456789abcdef" * 4, {"recipe_sha256": "recipe"})


@pytest.fixture
def complete(monkeypatch):
    """As if COMA and BU3DFE were imported here, all of them."""
    monkeypatch.setattr(setup, "departures", lambda name: [] if name in ("coma", "bu3dfe") else [f"{name} is another"])


@pytest.fixture(scope="module")
def paper() -> pd.DataFrame:
    return pd.read_csv(ROOT / "results" / "paper.csv")


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return make_results()


@pytest.fixture(scope="module")
def datasets() -> dict[str, Dataset]:
    return {name: make_dataset(name) for name in ("mh-seq", "mh-scan")}
