"""Meshes as pictures: studio light, parallel projection, one camera for a whole batch.

Draws with pyvista where off-screen OpenGL works. VTK crashes the interpreter where it does not, so that is
tried once in a subprocess; without it matplotlib draws the same views, without highlights and slower.
``BENCH3DMM_RENDERER=pyvista|matplotlib`` settles the choice by hand.

Axes are those of the datasets: y up, z towards the viewer, x to the subject's left (the picture's right), mm.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.errors import Bench3dmmError, MeshError, UnknownNameError
from bench3dmm.mesh.normals import vertex_normals

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

RENDERER_VARIABLE = "BENCH3DMM_RENDERER"
RENDERERS = ("pyvista", "matplotlib")

CAMERAS: dict[str, tuple[float, float]] = {
    "front": (0.0, 0.0),
    "three-quarter": (32.0, 6.0),
    "left": (90.0, 0.0),
    "right": (-90.0, 0.0),
    "top": (0.0, 89.0),
}
"""Where the camera stands, as (azimuth, elevation) in degrees; azimuth turns towards the subject's left."""

CLAY = (0.83, 0.745, 0.68)
"""The colour of a mesh without values: a warm light grey."""

INSIDE = (0.30, 0.26, 0.24)
"""The colour of a mesh seen from inside, through an open mouth: dark, so that it does not read as a tongue."""

EDGE = "#4a4440"
"""The colour of a wireframe's edges."""

ERROR_MAP = "YlOrRd"
"""The colour map of error heatmaps: sequential from light to dark, safe for colour-blind readers."""

PAPER_MAP = "paper"
"""Blue → green → red, the map of the paper's heatmaps (Figs. 7–9), for pictures side by side with them."""

ERROR_RANGE = (0.0, 6.0)
"""Millimetres at the two ends of an error heatmap, as in the paper's Figs. 7–9; beyond is clamped."""

MARGIN = 1.04
SUPERSAMPLING = 2
PROBE_SECONDS = 60

# Direction towards the light in camera axes (right, up, towards the camera), strength.
LIGHTS: dict[str, tuple[tuple[float, float, float], float]] = {
    "key": ((-0.55, 0.65, 0.85), 0.74),
    "fill": ((0.90, 0.05, 0.60), 0.30),
    "rim": ((0.50, 0.85, -0.55), 0.30),
}
AMBIENT = {False: 0.20, True: 0.60}
DIFFUSE = {False: 1.0, True: 0.52}
"""Ambient and diffuse strength; True where colours carry values and shading must not darken them much."""


@dataclass(frozen=True)
class View:
    """A parallel camera: what it looks at, from where, and how much of it fits.

    Attributes:
        axes: (3, 3), rows are the camera's right, up and backward (towards the viewer) unit vectors.
        centre: (3,) mm, the point in the middle of the picture.
        half_height: mm from the picture's middle to its upper edge.
    """

    axes: np.ndarray
    centre: np.ndarray
    half_height: float


def fit_view(vertices: np.ndarray, camera: str = "front", size: int | tuple[int, int] = 400) -> View:
    """The camera that frames everything in ``vertices`` (…, V, 3): pass it on, and pictures share one scale.

    Raises:
        UnknownNameError: `camera` is not one of `CAMERAS`.
    """
    if camera not in CAMERAS:
        raise UnknownNameError("camera", camera, CAMERAS)
    azimuth, elevation = np.radians(CAMERAS[camera])
    back = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    axes = np.stack([right, np.cross(back, right), back])

    width, height = _width_height(size)
    seen = np.asarray(vertices, dtype=np.float64).reshape(-1, 3) @ axes.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    extent = high - low
    half_height = MARGIN / 2 * max(extent[1], extent[0] * height / width, 1e-9)
    return View(axes, (low + high) / 2 @ axes, float(half_height))


def render_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    values: np.ndarray | None = None,
    size: int | tuple[int, int] = 400,
    camera: str = "front",
    view: View | None = None,
    cmap: str | Colormap = ERROR_MAP,
    clim: tuple[float, float] = ERROR_RANGE,
    background: str | None = "white",
) -> np.ndarray:
    """One mesh as an image; see `render_meshes` for the arguments.

    Args:
        vertices: (V, 3) mm.
        values: (V,) painted through `cmap`, or None for clay.

    Returns:
        (height, width, 3) uint8, or (height, width, 4) with ``background=None``.
    """
    vertices = np.asarray(vertices)
    if vertices.ndim != 2:
        raise MeshError(f"render_mesh takes one mesh (V, 3), got {vertices.shape}; use render_meshes for many")
    batch = None if values is None else np.asarray(values)[None]
    return render_meshes(
        vertices[None],
        faces,
        values=batch,
        size=size,
        camera=camera,
        view=view,
        cmap=cmap,
        clim=clim,
        background=background,
    )[0]


def render_meshes(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    values: np.ndarray | None = None,
    size: int | tuple[int, int] = 400,
    camera: str = "front",
    view: View | None = None,
    cmap: str | Colormap = ERROR_MAP,
    clim: tuple[float, float] = ERROR_RANGE,
    background: str | None = "white",
) -> np.ndarray:
    """Meshes of one topology, all with one camera, so that their sizes compare.

    Args:
        vertices: (N, V, 3) mm.
        faces: (F, 3), counter-clockwise seen from outside.
        values: (N, V) painted through `cmap` between the two ends of `clim` (values beyond are clamped; a
            value that is not finite is grey), or None for clay.
        size: side of a square picture, or (width, height), in pixels.
        camera: one of `CAMERAS`; framed to the bounds of all the meshes unless `view` is given.
        view: a camera of `fit_view`, to share it among several calls.
        cmap: any matplotlib colour map, or `PAPER_MAP`.
        background: a matplotlib colour, or None for transparent.

    Returns:
        (N, height, width, 3) uint8, or (N, height, width, 4) with ``background=None``.

    Raises:
        MeshError: shapes that do not fit together, or a vertex that is not finite.
        UnknownNameError: a camera, colour map or renderer that does not exist.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    faces = np.asarray(faces, dtype=np.int64)
    _check_meshes(vertices, faces, values)
    shape = _width_height(size)
    view = view or fit_view(vertices, camera, shape)
    colours = None if values is None else paint(values, cmap, clim)
    draw = _draw_pyvista if renderer() == "pyvista" else _draw_matplotlib
    return np.stack(list(draw(vertices, faces, colours, shape, view, background)))


def project(points: np.ndarray, view: View, size: int | tuple[int, int]) -> np.ndarray:
    """Where points (…, 3) mm lie in a picture of that view and size: (…, 2) pixels, x to the right, y down."""
    width, height = _width_height(size)
    seen = (np.asarray(points, dtype=np.float64) - view.centre) @ view.axes[:2].T
    return seen * (height / 2 / view.half_height) * [1, -1] + [width / 2, height / 2]


def render_wireframe(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    size: int | tuple[int, int] = 400,
    view: View | None = None,
    line_width: float = 1.0,
) -> np.ndarray:
    """One mesh (V, 3) of flat triangles with their edges, to show its connectivity; by matplotlib everywhere.

    Args:
        line_width: of the edges, in pixels.

    Returns:
        (height, width, 3) uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    vertices, faces = np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    _check_meshes(vertices[None], faces, None)
    width, height = _width_height(size)
    view = view or fit_view(vertices, "front", size)
    corners = ((vertices - view.centre) @ view.axes.T)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    order = np.argsort(corners[:, :, 2].mean(axis=1), kind="stable")
    colours = np.clip(1.1 * np.array(CLAY) * _lambert(normals, soft=True)[:, None], 0.0, 1.0)
    colours[normals[:, 2] <= 0] = INSIDE

    figure = Figure(figsize=(width / 72, height / 72), dpi=72 * SUPERSAMPLING)  # a point is a pixel
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    triangles = project(vertices, view, size)[faces[order]]
    edge = {"edgecolors": EDGE, "linewidths": line_width, "joinstyle": "round"}
    axes.add_collection(PolyCollection(triangles, facecolors=colours[order], **edge))
    canvas.draw()
    return _shrink(np.asarray(canvas.buffer_rgba())[..., :3])


def paint(values: np.ndarray, cmap: str | Colormap = ERROR_MAP, clim: tuple[float, float] = ERROR_RANGE) -> np.ndarray:
    """Values (…) as colours (…, 3) in [0, 1]: clamped to `clim`, grey where a value is not finite."""
    low, high = clim
    if not high > low:
        raise Bench3dmmError(f"clim=({low}, {high}): the second limit must be above the first")
    shown = np.clip((np.asarray(values, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    colours = colour_map(cmap)(shown)[..., :3]
    colours[~np.isfinite(shown)] = 0.6
    return colours


def colour_map(name: str | Colormap) -> Colormap:
    """A matplotlib colour map by name, or itself; `PAPER_MAP` is the paper's blue → green → red."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    if not isinstance(name, str):
        return name
    if name == PAPER_MAP:
        return LinearSegmentedColormap.from_list(PAPER_MAP, ["#0000ff", "#00ff00", "#ff0000"])
    if name not in matplotlib.colormaps:
        raise UnknownNameError("colour map", name, [*matplotlib.colormaps, PAPER_MAP])
    return matplotlib.colormaps[name]


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, labels: Sequence[str] | None = None, gap: int = 8
) -> np.ndarray:
    """Images (H, W, 3) of one size in rows of `columns`, each with its label below, as one image."""
    if not len(images) or columns < 1:
        raise Bench3dmmError(f"a contact sheet needs images and columns, got {len(images)} and {columns}")
    if labels is not None and len(labels) != len(images):
        raise Bench3dmmError(f"{len(labels)} labels for {len(images)} images")
    height, width = images[0].shape[:2]
    text_height = 0 if labels is None else max(12, height // 12)
    rows = -(-len(images) // columns)
    step_y, step_x = height + text_height + gap, width + gap
    sheet = np.full((rows * step_y + gap, columns * step_x + gap, 3), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        y, x = gap + index // columns * step_y, gap + index % columns * step_x
        sheet[y : y + height, x : x + width] = image[..., :3]
    return sheet if labels is None else _write_labels(sheet, labels, columns, step_x, step_y, text_height, gap)


@functools.cache
def renderer() -> str:
    """The renderer of this process: ``pyvista`` where off-screen OpenGL works, else ``matplotlib``."""
    chosen = os.environ.get(RENDERER_VARIABLE)
    if chosen:
        if chosen not in RENDERERS:
            raise UnknownNameError(f"{RENDERER_VARIABLE} renderer", chosen, RENDERERS)
        return chosen
    if _opengl_works():
        return "pyvista"
    print(
        "bench3dmm: no off-screen OpenGL here, meshes are drawn with matplotlib"
        " (Debian/Ubuntu: apt install libegl1 libgl1-mesa-dri)",
        file=sys.stderr,
    )
    return "matplotlib"


PROBE = """
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(32, 32))
plotter.add_mesh(pyvista.Plane(), color="black")
image = plotter.screenshot(return_img=True)
raise SystemExit(0 if image.min() < image.max() else 1)
"""


def _opengl_works() -> bool:
    _prefer_egl()
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def _prefer_egl() -> None:
    """Without this VTK first tries X11 and complains about a missing display."""
    if sys.platform == "linux":
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


def _width_height(size: int | tuple[int, int]) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 1:
        raise Bench3dmmError(f"size={size!r}: a picture needs at least one pixel")
    return int(width), int(height)


def _check_meshes(vertices: np.ndarray, faces: np.ndarray, values: np.ndarray | None) -> None:
    if vertices.ndim != 3 or vertices.shape[2] != 3 or not vertices.size:
        raise MeshError(f"vertices must be (N, V, 3) with N, V > 0, got {vertices.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3 or not faces.size:
        raise MeshError(f"faces must be (F, 3) with F > 0, got {faces.shape}")
    if faces.min() < 0 or faces.max() >= vertices.shape[1]:
        raise MeshError(f"faces name vertex {faces.max()}, the meshes have {vertices.shape[1]}")
    if not np.isfinite(vertices).all():
        mesh, vertex = np.argwhere(~np.isfinite(vertices))[0, :2]
        raise MeshError(f"mesh {mesh}, vertex {vertex} is not finite: {vertices[mesh, vertex]}")
    if values is not None and np.shape(values) != vertices.shape[:2]:
        raise MeshError(f"values {np.shape(values)} do not match the vertices {vertices.shape[:2]}")


def _draw_pyvista(
    vertices: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray | None,
    size: tuple[int, int],
    view: View,
    background: str | None,
) -> Iterator[np.ndarray]:
    """One window and one mesh for the whole batch; only points, normals and colours change."""
    _prefer_egl()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # its progress bars are not used here
        import pyvista

    width, height = size
    window = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    plotter = pyvista.Plotter(off_screen=True, window_size=window, lighting="none")
    plotter.render_window.SetMultiSamples(0)
    try:
        plotter.set_background(background or "white")
        mesh = pyvista.PolyData.from_regular_faces(vertices[0], faces)
        mesh.point_data.active_normals = vertex_normals(vertices[0], faces)
        if colours is not None:
            mesh.point_data["colours"] = _to_bytes(colours[0])
        actor = plotter.add_mesh(
            mesh,
            color=None if colours is not None else CLAY,
            scalars=None if colours is None else "colours",
            rgb=colours is not None,
            smooth_shading=False,
            ambient=AMBIENT[colours is not None],
            diffuse=DIFFUSE[colours is not None],
            specular=0.12 if colours is None else 0.0,
            specular_power=14,
            backface_params=None if colours is not None else {"color": INSIDE, "ambient": 1.0, "diffuse": 0.0},
            culling=None if colours is None else "back",  # colours would show on the inside too
        )
        actor.prop.interpolation = "Phong"
        for direction, strength in LIGHTS.values():
            position = np.array(direction) @ view.axes + view.centre
            light = pyvista.Light(position=position, focal_point=view.centre, light_type="scene light")
            light.intensity = strength
            plotter.add_light(light)
        reach = float(np.abs(vertices - view.centre).max()) * 4 + 1.0
        camera = plotter.camera
        camera.position = view.centre + reach * view.axes[2]
        camera.focal_point = view.centre
        camera.up = view.axes[1]
        camera.parallel_projection = True
        camera.parallel_scale = view.half_height
        camera.clipping_range = (reach * 0.01, reach * 2)
        for index, points in enumerate(vertices):
            mesh.points = points
            mesh.point_data.active_normals = vertex_normals(points, faces)
            if colours is not None:
                mesh.point_data["colours"] = _to_bytes(colours[index])
            plotter.render()
            image = plotter.screenshot(return_img=True, transparent_background=background is None)
            yield _shrink(image)
    finally:
        plotter.close()


def _draw_matplotlib(
    vertices: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray | None,
    size: tuple[int, int],
    view: View,
    background: str | None,
) -> Iterator[np.ndarray]:
    """The painter's algorithm: smooth-shaded triangles, those farthest from the camera first."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.colors import to_rgba
    from matplotlib.transforms import IdentityTransform

    width, height = (SUPERSAMPLING * side for side in size)
    middle, pixels_per_mm = np.array([width / 2, height / 2]), height / 2 / view.half_height
    for index, points in enumerate(vertices):
        seen = (points - view.centre) @ view.axes.T
        corners = seen[faces]
        outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        front = outward[:, 2] > 0
        drawn = np.flatnonzero(front) if colours is not None else np.arange(len(faces))
        order = drawn[np.argsort(corners[drawn, :, 2].mean(axis=1), kind="stable")]
        base = np.array(CLAY) if colours is None else colours[index]
        shaded = base * _lambert(vertex_normals(seen, faces), soft=colours is not None)[:, None]
        shaded = np.concatenate([np.clip(shaded, 0.0, 1.0), np.ones((len(seen), 1))], axis=1)

        agg = RendererAgg(width, height, 72)
        agg.draw_gouraud_triangles(
            agg.new_gc(),
            corners[order, :, :2] * pixels_per_mm + middle,
            np.where(front[order, None, None], shaded[faces[order]], (*INSIDE, 1.0)),
            IdentityTransform(),
        )
        image = np.asarray(agg.buffer_rgba()).astype(np.float64)
        if background is not None:
            opacity = image[..., 3:] / 255
            image = image[..., :3] * opacity + np.array(to_rgba(background)[:3]) * 255 * (1 - opacity)
        yield _shrink(image)


def _lambert(normals: np.ndarray, soft: bool) -> np.ndarray:
    """Brightness (V,) of vertices with normals (V, 3) in camera axes, by the studio's lights."""
    brightness = np.full(len(normals), AMBIENT[soft])
    for direction, strength in LIGHTS.values():
        towards = np.array(direction) / np.linalg.norm(direction)
        brightness += DIFFUSE[soft] * strength * np.maximum(normals @ towards, 0.0)
    return brightness


def _to_bytes(colours: np.ndarray) -> np.ndarray:
    return np.round(np.clip(colours, 0.0, 1.0) * 255).astype(np.uint8)


def _shrink(image: np.ndarray) -> np.ndarray:
    """Average blocks of pixels: the anti-aliasing of both renderers."""
    step = SUPERSAMPLING
    total = sum(image[y::step, x::step].astype(np.float32) for y in range(step) for x in range(step))
    return (total / step**2 + 0.5).astype(np.uint8)


def _write_labels(
    sheet: np.ndarray,
    labels: Sequence[str],
    columns: int,
    step_x: int,
    step_y: int,
    text_height: int,
    gap: int,
) -> np.ndarray:
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size=int(text_height * 0.7))
    for index, label in enumerate(labels):
        x = gap + index % columns * step_x + (step_x - gap) / 2
        y = gap + (index // columns + 1) * step_y - gap - text_height / 2
        draw.text((x, y), str(label), fill=(60, 60, 60), font=font, anchor="mm")
    return np.asarray(picture)
