"""One mesh to look at in a notebook: a picture, or on request one that can be turned."""

from __future__ import annotations

import base64
import html
import importlib.util
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.errors import Bench3dmmError, MeshError
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.mesh.template import Template
from bench3dmm.system.storage import write_text
from bench3dmm.system.words import small_print
from bench3dmm.view.camera import fit_view
from bench3dmm.view.render import ERROR_MAP, ERROR_RANGE, paint, render_mesh
from bench3dmm.view.renderers import AMBIENT, CLAY, DIFFUSE, INSIDE, LIGHTS
from bench3dmm.view.style import SOFT, colour_bar, picture, style, tight_size

if TYPE_CHECKING:
    import pyvista
    from matplotlib.figure import Figure

WINDOW, BAR = 560, 88  # pixels: a side of the square scene, the width of the colour bar beside it
VIEW_ANGLE = 30.0  # degrees, vtk.js's own: trame passes no other on
ROOM = 1.15  # around the mesh, so that it stays inside when it is turned
HINT = "drag to turn, wheel to zoom, Shift and drag to move"


@dataclass(frozen=True)
class MeshView:
    """A mesh to turn in a browser: notebooks show it, and `save` writes it as a page of its own.

    Attributes:
        html: scene and viewer, 1.5 MB, with nothing to be fetched.
    """

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: str | Path) -> Path:
        """Write it as a web page."""
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>mesh</title><body>{self.html}</body></html>'
        )
        write_text(Path(path), page)
        return Path(path)


def show_mesh(
    mesh: Template | tuple[np.ndarray, np.ndarray],
    values: np.ndarray | None = None,
    interactive: bool = False,
    *,
    label: str = "per-vertex error (mm)",
    footer: str = "",
    cmap: str = ERROR_MAP,
    clim: tuple[float, float] = ERROR_RANGE,
) -> Figure | MeshView:
    """A mesh as a figure, or for JupyterLab as a view that can be turned and zoomed.

    The view carries the whole scene and trame's viewer, which draws it in the browser: it needs neither OpenGL here nor
    a server beside Jupyter's, and still turns in a notebook that is opened without its kernel.

    Args:
        mesh: a template, or vertices (V, 3) mm and faces (F, 3).
        values: (V,) painted through `cmap` between the ends of `clim`, with a colour bar; None for clay.
        interactive: needs ``pip install 'bench3dmm[interactive]'``.
        label: of the colour bar.
        footer: small print below; by default a template's name.

    Raises:
        MeshError: shapes that do not fit together.
        Bench3dmmError: interactive without trame.
    """
    if isinstance(mesh, Template):
        footer = footer or mesh.name
        mesh = mesh.vertices, mesh.faces
    vertices, faces = mesh
    vertices, faces = np.asarray(vertices), np.asarray(faces)
    if values is not None and np.shape(values) != vertices.shape[:1]:
        raise MeshError(f"values {np.shape(values)} do not match the vertices {vertices.shape}")
    shown = _Shown(vertices, faces, values, label, footer, cmap, clim)
    return _view(shown) if interactive else _figure(shown)


@dataclass(frozen=True, eq=False)
class _Shown:
    """One mesh as it is to look, still or to turn; see `show_mesh`."""

    vertices: np.ndarray
    faces: np.ndarray
    values: np.ndarray | None
    label: str
    footer: str
    cmap: str
    clim: tuple[float, float]

    @property
    def painted(self) -> bool:
        return self.values is not None

    @property
    def colours(self) -> np.ndarray | None:
        """(V, 3) in [0, 1]; None for clay."""
        return None if self.values is None else paint(self.values, self.cmap, self.clim)

    def add_bar(self, figure: Figure) -> None:
        """The colour bar, beside what the figure shows."""
        from matplotlib.colors import Normalize

        colour_bar(figure, self.cmap, Normalize(*self.clim), self.label)


def _figure(shown: _Shown) -> Figure:
    image = render_mesh(
        shown.vertices,
        shown.faces,
        values=shown.values,
        size=tight_size(shown.vertices, 700),
        cmap=shown.cmap,
        clim=shown.clim,
    )
    with style():
        right = 0.95 if shown.painted else 0.1
        figure, _ = picture(image, 2.8, left=0.1, right=right, top=0.1, footer=shown.footer)
        if shown.painted:
            shown.add_bar(figure)
    return figure


def _view(shown: _Shown) -> MeshView:
    if importlib.util.find_spec("trame_vtk") is None:
        raise Bench3dmmError(
            "interactive meshes need trame-vtk, which is not installed here: pip install 'bench3dmm[interactive]'"
        )
    import pyvista
    from trame_vtk.tools.vtksz2html import write_html

    page = io.StringIO()
    with pyvista.vtk_verbosity("error"):  # it warns of missing OpenGL, which nothing here uses
        plotter = _plotter(shown.vertices, shown.faces, shown.colours)
        try:
            write_html(_scene(plotter.render_window), page)
        finally:
            plotter.close()
    frame = (
        f'<iframe srcdoc="{html.escape(page.getvalue())}" title="mesh" scrolling="no"'
        f' style="width:{WINDOW}px;height:{WINDOW}px;max-width:100%;border:0"></iframe>'
    )
    bar = _colour_bar(shown) if shown.painted else ""
    width = WINDOW + (BAR if bar else 0)
    small = html.escape(small_print(shown.footer, HINT))
    return MeshView(
        f'<figure style="margin:0;padding:4px;background:white;width:{width}px">'
        f'<div style="display:flex;align-items:center">{frame}{bar}</div>'
        f'<figcaption style="font:11px sans-serif;color:{SOFT}">{small}</figcaption></figure>'
    )


def _plotter(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray | None) -> pyvista.Plotter:
    """The scene of `bench3dmm.view.render`, but lights that stay with the camera and a perspective."""
    import pyvista

    painted = colours is not None
    points = vertices.astype(np.float32)
    surface = pyvista.PolyData.from_regular_faces(points, faces)  # type: ignore[arg-type]  # as well, and half as large
    surface.point_data.active_normals = vertex_normals(vertices, faces).astype(np.float32)
    plotter = pyvista.Plotter(off_screen=True, lighting="none")
    plotter.set_background("white")  # type: ignore[arg-type]  # its wrapper is typed as unbound
    material: dict[str, Any]
    if colours is not None:
        surface.point_data["colours"] = np.round(255 * colours).astype(np.uint8)
        material = {"scalars": "colours", "rgb": True}
    else:
        material = {"color": CLAY, "specular": 0.12, "specular_power": 14}
    plotter.add_mesh(surface, culling="back", ambient=AMBIENT[painted], diffuse=DIFFUSE[painted], **material)
    # Of its own: VTK's material for the inside is not passed on.
    plotter.add_mesh(surface.copy(), color=INSIDE, culling="front", ambient=0.7, diffuse=0.3)
    for actor in plotter.actors.values():
        actor.prop.interpolation = "Phong"
    for direction, strength in LIGHTS.values():
        light = pyvista.Light(position=direction, light_type="camera light")
        light.intensity = strength
        plotter.add_light(light)
    view = fit_view(vertices, size=WINDOW)
    distance = ROOM * view.half_height / np.tan(np.radians(VIEW_ANGLE / 2))
    plotter.camera.focal_point = view.centre
    plotter.camera.position = view.centre + distance * view.axes[2]
    plotter.camera.up = (0.0, 1.0, 0.0)
    plotter.renderer.ResetCameraClippingRange()
    return plotter


def _scene(window) -> bytes:
    """All that trame's viewer shows of a render window, as its own export packs it.

    pyvista's ``html`` backend gives the same, but starts a web server for it, patches asyncio for the rest of the
    session and downloads a WebAssembly build of VTK.
    """
    from trame_vtk.modules.vtk import serializers

    serializers.initialize_serializers()
    context = serializers.SynchronizationContext()
    context.set_ignore_last_dependencies(True)  # everything, not what has changed
    scene = serializers.serialize(None, window, serializers.reference_id(window), context, 1)
    camera = window.GetRenderers().GetFirstRenderer().GetActiveCamera()
    scene["extra"] = {
        "vtkRefId": serializers.reference_id(window),
        "centerOfRotation": camera.GetFocalPoint(),
        "camera": serializers.reference_id(camera),
    }
    arrays = {
        array["hash"]: {**array, "content": context.get_cached_data_array(array["hash"])}
        for array in serializers.extract_array_hash(scene)
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", json.dumps({"hashes": arrays, "scene": scene}))
    return packed.getvalue()


def _colour_bar(shown: _Shown) -> str:
    """The static figure's, as an image to stand beside the scene."""
    from matplotlib.figure import Figure

    drawing = io.BytesIO()
    with style():
        figure = Figure(figsize=(BAR / 96, 3.4))  # CSS: 96 pixels an inch
        figure.add_axes((0, 0, 0.1, 1)).set_axis_off()  # where the picture is in a static figure
        shown.add_bar(figure)
        figure.savefig(drawing, format="svg", metadata={"Date": None})
    source = base64.b64encode(drawing.getvalue()).decode()
    return f'<img alt="{html.escape(shown.label)}" src="data:image/svg+xml;base64,{source}">'
