"""A panel for JupyterLab: sliders displace a region of a face, and the picture follows."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from bench3dmm.errors import Bench3dmmError
from bench3dmm.mesh.partition import Partition
from bench3dmm.mesh.template import Template
from bench3dmm.view.camera import fit_view
from bench3dmm.view.render import ERROR_MAP, render_mesh

if TYPE_CHECKING:
    import ipywidgets

AXES = ("to the right", "up", "forward")  # as one sees a face from the front
REACH_MM = 10.0
TURN_DEGREES = 75
PIXELS = 520
CONTROLS = "340px"  # their width: the picture beside stays where it is
MOVEMENT_MM = (0.0, 6.0)


class EditingModel(Protocol):
    """What a panel asks of a model; `bench3dmm.load` gives such models."""

    @property
    def template(self) -> Template: ...

    @property
    def partition(self) -> Partition:
        """The template's regions and their control vertices."""
        ...

    def reconstruct(self, meshes: ArrayLike) -> np.ndarray:
        """A mesh (V, 3) mm -> what the model makes of it, (V, 3) mm."""
        ...

    def edit(self, meshes: ArrayLike, displacements: Mapping[str, ArrayLike]) -> np.ndarray:
        """A mesh (V, 3) mm -> the same with regions displaced, each by (3,) mm."""
        ...


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

    def __init__(self, model: EditingModel, mesh: ArrayLike) -> None:
        try:
            import ipywidgets
        except ImportError:
            raise Bench3dmmError("a panel needs ipywidgets: pip install 'bench3dmm[interactive]'") from None
        self.model, self.mesh = model, np.asarray(mesh)
        self.plain = model.reconstruct(self.mesh)
        self.view = fit_view(np.stack([self.plain - REACH_MM, self.plain + REACH_MM]), "front", PIXELS)
        style, layout = {"description_width": "110px"}, {"width": "auto"}
        regions = list(model.partition.controls)
        self.region = ipywidgets.Dropdown(options=regions, description="region", style=style, layout=layout)
        bounds = {"min": -REACH_MM, "max": REACH_MM, "step": 0.5, "readout_format": ".1f"}
        # Sliders of its own for each region: what a browser still has to say of one never reaches another.
        self.every = {
            region: {
                name: ipywidgets.FloatSlider(description=f"{name}, mm", style=style, layout=layout, **bounds)
                for name in AXES
            }
            for region in regions
        }
        self.shown = ipywidgets.VBox()
        self.turn = ipywidgets.IntSlider(
            description="turn, °", min=-TURN_DEGREES, max=TURN_DEGREES, step=5, style=style, layout=layout
        )
        least, most = MOVEMENT_MM
        self.painted = ipywidgets.Checkbox(
            description=f"paint the movement, {least:g} (light) to {most:g} mm", indent=False, layout=layout
        )
        self.reset = ipywidgets.Button(description="reset all")
        self.text = ipywidgets.HTML()
        self.image = ipywidgets.Image(format="png", width=PIXELS, height=PIXELS)
        controls = [self.region, self.shown, self.turn, self.painted, self.reset, self.text]
        self.widget: ipywidgets.Widget = ipywidgets.HBox(
            [ipywidgets.VBox(controls, layout={"flex": f"0 0 {CONTROLS}"}), self.image]
        )
        self._following = True
        self.region.observe(self._show_region, "value")
        for own in self.every.values():
            for slider in own.values():
                slider.observe(self._move, "value")
        for control in (self.turn, self.painted):
            control.observe(self._draw, "value")
        self.reset.on_click(self._forget)
        self._show_region()
        self._draw()

    @property
    def sliders(self) -> dict[str, Any]:
        """Of the chosen region."""
        return self.every[self.region.value]

    @property
    def moved(self) -> dict[str, np.ndarray]:
        """Each region's displacement, mm."""
        return {region: np.array([slider.value for slider in own.values()]) for region, own in self.every.items()}

    def edited(self) -> np.ndarray:
        """The mesh as it is now, (V, 3) mm."""
        return self.model.edit(self.mesh, self.moved)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        picture = base64.b64encode(self.image.value).decode()  # for readers without a kernel
        return {**self.widget._repr_mimebundle_(**options), "image/png": picture}

    def _show_region(self, _: object = None) -> None:
        self.shown.children = list(self.sliders.values())

    def _move(self, _: object = None) -> None:
        if self._following:
            self._draw()

    def _forget(self, _: object = None) -> None:
        self._following = False
        for own in self.every.values():
            for slider in own.values():
                slider.value = 0.0
        self._following = True
        self._draw()

    def _draw(self, _: object = None) -> None:
        from matplotlib.image import imsave

        edited = self.edited()
        movement = np.linalg.norm(edited - self.plain, axis=1)
        painted = {"values": movement, "cmap": ERROR_MAP, "clim": MOVEMENT_MM} if self.painted.value else {}
        turned = _turned(edited, self.turn.value, self.plain.mean(axis=0))
        image = render_mesh(turned, self.model.template.faces, size=PIXELS, view=self.view, **painted)
        file = io.BytesIO()
        imsave(file, image, format="png", pil_kwargs={"compress_level": 1})
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
