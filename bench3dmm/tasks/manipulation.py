"""Manipulation: control vertices displace the regions of a mesh (LAMM, sections 3.2 and 4).

Three variants: as published, training goes on from the reconstruction's weights; without that first stage; and, which
is not published, with half of the targets for some regions only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bench3dmm.data.rows import Rows
from bench3dmm.record.run import Run
from bench3dmm.tasks.published import reconstruction_of
from bench3dmm.tasks.reconstruction import Reconstruction
from bench3dmm.tasks.registry import register
from bench3dmm.tasks.task import HIGHER, Baseline, Measure, Scores

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from bench3dmm.data.dataset import Dataset
    from bench3dmm.data.normaliser import Normaliser
    from bench3dmm.training.objective import Objective

GROUP = "manipulation"  # in the metrics of every variant


class Manipulation(Reconstruction):
    """Meshes into others by displacements of control vertices; measured on held-out pairs, and as reconstruction."""

    any_model = False
    measures = (
        Measure(f"{GROUP}.inside_mm", "error inside an edited region", required=True),
        Measure(f"{GROUP}.control_mm", "error at control vertices", required=True),
        Measure(f"{GROUP}.moved_mm", "movement inside", "mm", HIGHER),
        Measure(f"{GROUP}.leaked_mm", "movement outside"),
        Measure(f"{GROUP}.stirred_mm", "movement of what is told to stay"),
        Measure(f"{GROUP}.ratio", "in / out", "", HIGHER),
        Measure(f"{GROUP}.held_ratio", "in / told to stay", "", HIGHER),
        Measure(f"{GROUP}.seam_percent", "seam", "%"),
        Measure(f"{GROUP}.full_mm", "error with all regions at once"),
        *Reconstruction.measures,
    )
    arrays = (*Reconstruction.arrays, "edit_values", "edit_full", "edit_pairs")
    baselines = (
        Baseline("handles", "Handle deformation", "radial basis functions through the control vertices"),
        Baseline("copy", "The source", "left as it is"),
        Baseline("paste", "The target's region", "put into the source"),
    )

    def __init__(self, name: str, summary: str, *, begins: bool = True, by_regions: bool = False) -> None:
        self.name, self.summary = name, summary
        self.begins, self.by_regions = begins, by_regions

    def base(self, run: Run) -> Run | None:
        return reconstruction_of(run) if self.begins else None

    def objective(self, run: Run, model: nn.Module, dataset: Dataset, rows: Rows, device: torch.device) -> Objective:
        from bench3dmm.models.interface import as_region_editor
        from bench3dmm.tasks.parts.composite import Composite
        from bench3dmm.tasks.parts.targets import Targets
        from bench3dmm.training.losses import make_loss

        loss = make_loss(run.loss, dataset.template, device)
        composite = Composite(as_region_editor(model).partition, dataset.template, device) if self.by_regions else None
        return Targets(loss, run.n_epochs, composite)

    def measure(
        self, run: Run, model: nn.Module, dataset: Dataset, rows: Rows, normaliser: Normaliser, device: torch.device
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        from bench3dmm.tasks.parts.edits import measure_manipulation

        metrics, arrays = super().measure(run, model, dataset, rows, normaliser, device)
        edits, edit_arrays = measure_manipulation(
            model, dataset.vertices, dataset.samples, rows.test, dataset.template, normaliser, device
        )
        return {**metrics, **edits}, {**arrays, **edit_arrays}

    def scores(self, arrays: Mapping[str, np.ndarray]) -> Scores:
        """Of each pair, the mean over regions; it belongs to the source's person."""
        return Scores(self._inside(arrays, "model"), arrays["edit_pairs"][:, 0])

    def baseline_scores(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {one.name: self._inside(arrays, one.name) for one in self.baselines}

    @staticmethod
    def _inside(arrays: Mapping[str, np.ndarray], editor: str) -> np.ndarray:
        from bench3dmm.tasks.parts.edits import EDITORS, MEASURES

        return arrays["edit_values"][EDITORS.index(editor)][:, :, MEASURES.index("inside_mm")].mean(axis=1)

    @property
    def checks(self) -> Mapping[str, Callable[[nn.Module, torch.Tensor], str]]:  # type: ignore[override]
        from bench3dmm.tasks.parts.edits import check_still, check_told

        return {"told": check_told, "still": check_still}


register(
    Manipulation(
        "manipulation", "control vertices displace regions; training goes on from the reconstruction's weights"
    )
)
register(Manipulation("manipulation-from-scratch", "the same, from new weights", begins=False))
register(
    Manipulation(
        "manipulation-by-regions",
        "the same from the reconstruction's weights, half of the targets for some regions only",
        by_regions=True,
    )
)
