"""A panel for JupyterLab: sliders displace a region of a face, and the picture follows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bench3dmm.errors import Bench3dmmError
from bench3dmm.render import ERROR_MAP, fit_view, render_mesh

if TYPE_CHECKING:
    import ipywidgets

    from bench3dmm.checkpoint import TrainedModel

AXES = {"to the left": 0, "up": 1, "forward": 2}
REACH_MM = 10.0
TURN_DEGREES = 75
PIXELS = 520
MOVEMENT_MM = (0.0, 6.0)


class EditPanel:
    """Sliders for the displacement of each region that a model edits, and a picture of the edited mesh.

    Shown by a notebook's cell, or laid out elsewhere by ``panel.widget``. Regions keep their displacements when another
    one is chosen.

    Args:
        model: of the task manipulation; see `bench3dmm.load`.
        mesh: (V, 3) mm, what is edited.

    Raises:
        Bench3dmmError: ipywidgets is not installed.
        DataError: a model that edits no regions.
    """

    def __init__(self, model: TrainedModel, mesh: ArrayLike) -> None:
        try:
            import ipywidgets
        except ImportError:
            raise Bench3dmmError("a panel needs ipywidgets: pip install 'bench3dmm[interactive]'") from None
        self.model, self.mesh = model, np.asarray(mesh)
        self.plain = model.reconstruct(self.mesh)
        self.moved = {name: np.zeros(3) for name in model.partition.controls}
        self.view = fit_view(self.plain[None], "front", PIXELS)
        self.region = ipywidgets.Dropdown(options=list(self.moved), description="region")
        bounds = {"min": -REACH_MM, "max": REACH_MM, "step": 0.5, "readout_format": ".1f"}
        self.sliders = {
            name: ipywidgets.FloatSlider(description=f"{name}, mm", style={"description_width": "90px"}, **bounds)
            for name in AXES
        }
        self.turn = ipywidgets.IntSlider(description="turn, °", min=-TURN_DEGREES, max=TURN_DEGREES, step=5)
        self.painted = ipywidgets.Checkbox(description="paint the movement")
        self.reset = ipywidgets.Button(description="reset all")
        self.text = ipywidgets.HTML()
        self.image = ipywidgets.Image(format="png", width=PIXELS, height=PIXELS)
        controls = [self.region, *self.sliders.values(), self.turn, self.painted, self.reset, self.text]
        self.widget: ipywidgets.Widget = ipywidgets.HBox([ipywidgets.VBox(controls), self.image])
        self._following = True
        self.region.observe(self._show_region, "value")
        for slider in self.sliders.values():
            slider.observe(self._move, "value")
        for control in (self.turn, self.painted):
            control.observe(self._draw, "value")
        self.reset.on_click(self._forget)
        self._draw()

    def edited(self) -> np.ndarray:
        """The mesh as it is now, (V, 3) mm."""
        return self.model.edit(self.mesh, self.moved)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def _show_region(self, _: object = None) -> None:
        """Set the sliders to the chosen region's displacement."""
        self._following = False
        for name, slider in self.sliders.items():
            slider.value = self.moved[self.region.value][AXES[name]]
        self._following = True

    def _move(self, _: object = None) -> None:
        if self._following:
            self.moved[self.region.value] = np.array([slider.value for slider in self.sliders.values()])
            self._draw()

    def _forget(self, _: object = None) -> None:
        self.moved = {name: np.zeros(3) for name in self.moved}
        self._show_region()
        self._draw()

    def _draw(self, _: object = None) -> None:
        from matplotlib.image import imsave

        edited = self.edited()
        movement = np.linalg.norm(edited - self.plain, axis=1)
        painted = {"values": movement, "cmap": ERROR_MAP, "clim": MOVEMENT_MM} if self.painted.value else {}
        turned = _turned(edited, self.turn.value, self.plain.mean(axis=0))
        image = render_mesh(turned, self.model.template.faces, size=PIXELS, view=self.view, **painted)
        file = io.BytesIO()
        imsave(file, image, format="png")
        self.image.value = file.getvalue()
        inside = np.isin(
            self.model.partition.labels,
            [self.model.partition.names.index(name) for name, moved in self.moved.items() if moved.any()],
        )
        if inside.any():
            self.text.value = (
                f"mean movement {movement[inside].mean():.2f} mm inside, {movement[~inside].mean():.2f} mm outside the "
                "edited regions"
            )
        else:
            self.text.value = "no displacement: the model's reconstruction"


def _turned(mesh: np.ndarray, degrees: float, middle: np.ndarray) -> np.ndarray:
    """About the vertical axis through the middle."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (mesh - middle) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]) + middle
