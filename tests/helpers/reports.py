"""Reports of results that nobody trained, on two sets of spheres, with few artefacts drawn."""

from __future__ import annotations

from sphere_sets import as_registered, sphere_dataset
from synthetic_results import make_result

from bench3dmm.data import registry as data
from bench3dmm.pages import chapters, report
from bench3dmm.papers.neural3dmm_bu3dfe.effects import FIG5_BU3DFE
from bench3dmm.papers.setup import Setup
from bench3dmm.papers.shown import artefacts
from bench3dmm.runs.results import save_result

SETUP = Setup("ball", "sphere", "smoke")


def published(run):
    return FIG5_BU3DFE[run.split][run.latent] * (1.5 if run.loss != "l1" else 1)


def store(folder, keep=lambda run: True, **options):
    dataset = as_registered(sphere_dataset())
    runs = [run for run in dict.fromkeys(SETUP.runs("paper") + SETUP.runs("ledger")) if keep(run)]
    for run in runs:
        save_result(make_result(run, dataset, published(run), **options), folder)
    return runs


def draw(monkeypatch, *names):
    """Only these of all artefacts."""
    for module in (report, chapters):
        monkeypatch.setattr(
            module, "artefacts", lambda paper: {n: one for n, one in artefacts(paper).items() if n in names}
        )


def two_sets(monkeypatch):
    """Spheres stand in the places of COMA and BU3DFE."""
    for name in (SETUP.coma, SETUP.bu3dfe):
        monkeypatch.setitem(data._registered, name, lambda name=name: sphere_dataset(name))
