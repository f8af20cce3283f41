"""A reproducibility benchmark for neural 3D morphable face models.

A trained model in three lines::

    import bench3dmm

    model = bench3dmm.load("exported/3337e236e8e6")  # see: bench3dmm export
    reconstructions = model.reconstruct(meshes)  # (N, V, 3), mm

The house, data walking through it from the bottom up, each wing importing only what stands below it:

    cli          the command line, one file a group of commands
    pages        what people open: the report, notebooks through papermill
    papers       one folder a paper: experiments, claims, figures, tables
    bench        speed and memory, interleaved with the published formulation
    checks       may this model, this task take part?
    apply        what a trained model is used for
    view         how a mesh, a curve, a table look
    statistics   numbers in, intervals and verdicts out
    runs         execute, results, sweeps, provenance
    tasks        one file a task: what a run begins with, trains on, makes small and measures
    training     the one trainer
    models       one file a model
    data         datasets, embedded, imported and of others; splits
    mesh         one fixed topology, and what is computed from it once
    record       what was asked: a run as flat scalars, and its id
    system       what knows no face: storage, devices, plug-ins
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench3dmm.system.moved import install
from bench3dmm.system.version import __version__

if TYPE_CHECKING:
    from bench3dmm.apply.trained import TrainedModel

__all__ = ["__version__", "load"]

# Read by OpenMP when torch is first imported. Its threads otherwise spin while they wait, and where another process
# wants the same cores a training step then takes up to a hundred times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Where the modules of version 0.1 are now, as notebooks and programs of others name them.
_MOVED = {
    "run": "record.run record.profiles runs.execute tasks.published data.rows runs.verify",
    "results": "runs.results",
    "experiments": (
        "record.grid runs.sweep runs.stored papers.registry papers.protocol "
        "papers.comparison.experiments papers.neural3dmm_bu3dfe.experiments papers.lamm.experiments "
        "data.registry data.tables"
    ),
    "artefacts": (
        "papers.neural3dmm_bu3dfe.artefacts papers.comparison.artefacts papers.lamm.artefacts "
        "papers.setup papers.artefact"
    ),
    "artefacts.peers": "papers.comparison.artefacts papers.comparison.tables view.rankings",
    "artefacts.published": "papers.neural3dmm_bu3dfe.published papers.setup",
    "artefacts.setup": "papers.setup runs.stored data.tables",
    "artefacts.tables": "papers.neural3dmm_bu3dfe.tables view.tables",
    "figures": "view.style view.curves view.heatmaps view.people view.spirals papers.neural3dmm_bu3dfe.tables",
    "render": "view.render view.camera view.renderers",
    "show": "view.show",
    "panel": "view.panel",
    "claims": "papers.neural3dmm_bu3dfe.claims statistics.claims mesh.roughness",
    "statements": (
        "papers.neural3dmm_bu3dfe.claims papers.neural3dmm_bu3dfe.cells "
        "papers.neural3dmm_bu3dfe.untested statistics.claims"
    ),
    "lamm_claims": "papers.lamm.claims",
    "ledger": "papers.neural3dmm_bu3dfe.ledger",
    "conformance": "checks.models checks.suite",
    "ranking": "statistics.ranking statistics.headline runs.stored",
    "bootstrap": "statistics.bootstrap",
    "workbook": "pages.workbook",
    "notebooks": "pages.notebooks",
    "report": "pages.report",
    "checkpoint": "apply.exported apply.trained",
    "reconstruct": "apply.reconstruct",
    "editing": "apply.editing",
    "generative": "apply.generative",
    "evaluate": "tasks.parts.errors data.rows",
    "manipulation": "tasks.parts.edits",
    "shape_model": "tasks.parts.shape_model",
    "latent": "tasks.parts.latent",
    "composite": "tasks.parts.composite",
    "train": "training.fit training.schedule data.normaliser",
    "objective": "training.objective models.interface",
    "losses": "training.losses",
    "step": "training.step",
    "weights": "training.weights",
    "inference": "models.interface",
    "partition": "mesh.partition data.faces",
    "regions": "mesh.regions data.faces",
    "mesh.coarsen": "mesh.hierarchy mesh.decimation mesh.upsampling",
    "plugins": "system.plugins system.origin runs.provenance",
    "provenance": "runs.provenance",
    "storage": "system.storage",
    "device": "system.device",
    "parallel": "system.parallel",
    "verify": "runs.verify runs.stored",
    "data.makehuman": "data.synthetic.makehuman",
    "data.head": "data.synthetic.head",
    "data.paper_counts": "data.synthetic.counts",
}
install({f"bench3dmm.{old}": [f"bench3dmm.{new}" for new in homes.split()] for old, homes in _MOVED.items()})


def load(path: str | os.PathLike[str], device: str = "cpu") -> TrainedModel:
    """An exported model, ready to encode, decode and reconstruct meshes; see `bench3dmm.apply.exported.load`."""
    from bench3dmm.apply import exported

    return exported.load(path, device)
