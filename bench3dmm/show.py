"""One mesh to look at in a notebook: a picture, or on request one that can be turned."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3dmm.errors import Bench3dmmError, MeshError
from bench3dmm.figures import colour_bar, picture, style, tight_size
from bench3dmm.mesh.template import Template
from bench3dmm.render import CLAY, ERROR_MAP, ERROR_RANGE, colour_map, render_mesh, renderer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDED = ("trame", "trame_pyvista", "trame_vtk", "trame_vuetify", "ipywidgets")
WINDOW = (640, 640)  # pixels


def show_mesh(
    mesh: Template | tuple[np.ndarray, np.ndarray],
    values: np.ndarray | None = None,
    interactive: bool = False,
    *,
    label: str = "per-vertex error (mm)",
    footer: str = "",
    cmap: str = ERROR_MAP,
    clim: tuple[float, float] = ERROR_RANGE,
) -> Figure | Any:
    """A mesh as a figure, or as a widget for JupyterLab that can be turned and zoomed.

    The widget carries the whole scene and draws it in the browser (pyvista's ``html`` backend of trame), so it needs
    no server beside Jupyter's and still turns in a notebook that is opened without its kernel.

    Args:
        mesh: a template, or vertices (V, 3) mm and faces (F, 3).
        values: (V,) painted through `cmap` between the ends of `clim`, with a colour bar; None for clay.
        interactive: needs ``pip install 'bench3dmm[interactive]'``.
        label: of the colour bar.
        footer: small print below a static figure; by default a template's name.

    Returns:
        A matplotlib Figure, or an ipywidgets widget.

    Raises:
        MeshError: shapes that do not fit together.
        Bench3dmmError: interactive without trame, or without OpenGL.
    """
    if isinstance(mesh, Template):
        footer = footer or mesh.name
        mesh = mesh.vertices, mesh.faces
    vertices, faces = mesh
    vertices, faces = np.asarray(vertices), np.asarray(faces)
    if values is not None and np.shape(values) != vertices.shape[:1]:
        raise MeshError(f"values {np.shape(values)} do not match the vertices {vertices.shape}")
    if interactive:
        return _widget(vertices, faces, values, label, cmap, clim)
    return _figure(vertices, faces, values, label, footer, cmap, clim)


def _figure(
    vertices: np.ndarray,
    faces: np.ndarray,
    values: np.ndarray | None,
    label: str,
    footer: str,
    cmap: str,
    clim: tuple[float, float],
) -> Figure:
    from matplotlib.colors import Normalize

    image = render_mesh(vertices, faces, values=values, size=tight_size(vertices, 700), cmap=cmap, clim=clim)
    with style():
        right = 0.1 if values is None else 0.95
        figure, _ = picture(image, 2.8, left=0.1, right=right, top=0.1, footer=footer)
        if values is not None:
            colour_bar(figure, cmap, Normalize(*clim), label)
    return figure


def _widget(
    vertices: np.ndarray,
    faces: np.ndarray,
    values: np.ndarray | None,
    label: str,
    cmap: str,
    clim: tuple[float, float],
) -> Any:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Bench3dmmError(
            f"interactive meshes need {', '.join(missing)}, not installed here: pip install 'bench3dmm[interactive]'"
        )
    if renderer() != "pyvista":  # VTK would crash the kernel
        raise Bench3dmmError("interactive meshes need OpenGL (Debian/Ubuntu: apt install libegl1 libgl1-mesa-dri)")
    import pyvista

    plotter = pyvista.Plotter(off_screen=True, notebook=True, window_size=WINDOW)
    plotter.set_background("white")
    surface = pyvista.PolyData.from_regular_faces(vertices.astype(np.float32), faces)
    paint = {"color": CLAY}
    if values is not None:
        surface.point_data[label] = np.asarray(values, dtype=np.float32)
        paint = {"scalars": label, "cmap": colour_map(cmap), "clim": clim, "nan_color": "grey"}
    try:
        plotter.add_mesh(surface, smooth_shading=True, show_scalar_bar=values is not None, **paint)
        plotter.view_xy()  # from the front
        return plotter.show(jupyter_backend="html", return_viewer=True)
    finally:
        plotter.close()
