"""Handle deformation where a trained model that edits is expected."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from bench3dmm.apply.editing import displacements_of
from bench3dmm.mesh.partition import Partition
from bench3dmm.mesh.template import Template
from bench3dmm.tasks.parts.edits import HandleEditor


def handle_model(template: Template, partition: Partition) -> SimpleNamespace:
    """With the attributes of a loaded model that figures and the panel use."""
    handles = HandleEditor(partition)

    def edit(mesh, by_region):
        moved = displacements_of(partition, by_region)
        return handles(np.asarray(mesh)[None], moved[None])[0]

    return SimpleNamespace(
        partition=partition,
        template=template,
        editor=handles,
        edit=edit,
        reconstruct=lambda mesh: np.asarray(mesh),
    )
