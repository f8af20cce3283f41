"""Two ways to draw: pyvista where off-screen OpenGL works, else matplotlib."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench3dmm.errors import UnknownNameError
from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.system.processes import run
from bench3dmm.view.camera import View

RENDERER_VARIABLE = "BENCH3DMM_RENDERER"
RENDERERS = ("pyvista", "matplotlib")

CLAY = (0.83, 0.745, 0.68)
"""The colour of a mesh without values: a warm light grey."""

INSIDE = (0.30, 0.26, 0.24)
"""The colour of a mesh seen from inside, through an open mouth: dark, so that it does not read as a tongue."""

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


@dataclass(frozen=True, eq=False)
class Scene:
    """Meshes of one topology to be drawn one by one, all by one camera.

    Attributes:
        vertices: (N, V, 3) mm.
        faces: (F, 3).
        colours: (N, V, 3) in [0, 1], or None for clay.
        size: (width, height), pixels.
        background: a matplotlib colour, or None for transparent.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray | None
    size: tuple[int, int]
    view: View
    background: str | None


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
        probe = run([sys.executable, "-c", PROBE], capture_output=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def _prefer_egl() -> None:
    """Without this VTK first tries X11 and complains about a missing display."""
    if sys.platform == "linux":
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


def draw_pyvista(scene: Scene) -> Iterator[np.ndarray]:
    """One window and one mesh for the whole batch; only points, normals and colours change."""
    vertices, faces, colours, view = scene.vertices, scene.faces, scene.colours, scene.view
    _prefer_egl()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # its progress bars are not used here
        import pyvista

    width, height = scene.size
    window = [width * SUPERSAMPLING, height * SUPERSAMPLING]
    plotter = pyvista.Plotter(off_screen=True, window_size=window, lighting="none")
    assert plotter.render_window is not None  # until it is closed
    plotter.render_window.SetMultiSamples(0)
    try:
        plotter.set_background(scene.background or "white")  # type: ignore[arg-type]  # its wrapper is typed as unbound
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
            image = plotter.screenshot(return_img=True, transparent_background=scene.background is None)
            assert image is not None  # it is returned, not written
            yield shrink(image)
    finally:
        plotter.close()


def draw_matplotlib(scene: Scene) -> Iterator[np.ndarray]:
    """The painter's algorithm: smooth-shaded triangles, those farthest from the camera first."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.colors import to_rgba
    from matplotlib.transforms import IdentityTransform

    faces, colours, view = scene.faces, scene.colours, scene.view
    width, height = (SUPERSAMPLING * side for side in scene.size)
    middle, pixels_per_mm = np.array([width / 2, height / 2]), height / 2 / view.half_height
    for index, points in enumerate(scene.vertices):
        seen = (points - view.centre) @ view.axes.T
        corners = seen[faces]
        outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        front = outward[:, 2] > 0
        drawn = np.flatnonzero(front) if colours is not None else np.arange(len(faces))
        order = drawn[np.argsort(corners[drawn, :, 2].mean(axis=1), kind="stable")]
        base = np.array(CLAY) if colours is None else colours[index]
        shaded = base * lambert(vertex_normals(seen, faces), soft=colours is not None)[:, None]
        shaded = np.concatenate([np.clip(shaded, 0.0, 1.0), np.ones((len(seen), 1))], axis=1)

        agg = RendererAgg(width, height, 72)
        agg.draw_gouraud_triangles(
            agg.new_gc(),
            corners[order, :, :2] * pixels_per_mm + middle,
            np.where(front[order, None, None], shaded[faces[order]], (*INSIDE, 1.0)),
            IdentityTransform(),
        )
        image = np.asarray(agg.buffer_rgba()).astype(np.float64)
        if scene.background is not None:
            opacity = image[..., 3:] / 255
            image = image[..., :3] * opacity + np.array(to_rgba(scene.background)[:3]) * 255 * (1 - opacity)
        yield shrink(image)


def lambert(normals: np.ndarray, soft: bool) -> np.ndarray:
    """Brightness (V,) of vertices with normals (V, 3) in camera axes, by the studio's lights."""
    brightness = np.full(len(normals), AMBIENT[soft])
    for direction, strength in LIGHTS.values():
        towards = np.array(direction) / np.linalg.norm(direction)
        brightness += DIFFUSE[soft] * strength * np.maximum(normals @ towards, 0.0)
    return brightness


def _to_bytes(colours: np.ndarray) -> np.ndarray:
    return np.round(np.clip(colours, 0.0, 1.0) * 255).astype(np.uint8)


def shrink(image: np.ndarray) -> np.ndarray:
    """Average blocks of pixels: the anti-aliasing of both renderers."""
    step = SUPERSAMPLING
    blocks = [image[y::step, x::step].astype(np.float32) for y in range(step) for x in range(step)]
    total = functools.reduce(np.add, blocks)
    return (total / step**2 + 0.5).astype(np.uint8)
