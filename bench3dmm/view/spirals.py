"""The spiral ordering on a mesh and on an image patch."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from bench3dmm.mesh.normals import vertex_normals
from bench3dmm.view.camera import fit_view, project
from bench3dmm.view.render import render_meshes
from bench3dmm.view.style import PALETTE, add_footer, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench3dmm.mesh.hierarchy import Hierarchy
    from bench3dmm.mesh.template import Template


def spiral_figure(
    template: Template, hierarchy: Hierarchy, hops: int = 2, vertex: int | None = None, name: str = ""
) -> Figure:
    """The spiral ordering on the mesh and on an image patch (the paper's Fig. 2).

    Args:
        template: the finest level of `hierarchy`.
        hops: rings of the spiral.
        vertex: its centre; by default the most even, flattest spot that faces the viewer.
        name: what to call the mesh at the figure's foot.
    """
    from matplotlib.figure import Figure

    ordering = hierarchy.spirals(0, hops, 1)
    vertices, faces = np.asarray(template.vertices), np.asarray(template.faces)
    centre = even_vertex(vertices, faces, ordering) if vertex is None else vertex
    spiral = ordering[centre][ordering[centre] >= 0]

    with style():
        figure = Figure(figsize=(9.0, 3.45))
        grid = figure.add_gridspec(
            1, 3, left=0.01, right=0.99, top=0.9, bottom=0.09, wspace=0.06, width_ratios=[0.8, 1.1, 1]
        )
        whole, patch, image = (figure.add_subplot(grid[0, column]) for column in range(3))
        _draw_whole(whole, vertices, faces, spiral)
        whole.set_title("where on the mesh")
        _draw_patch(patch, vertices, faces, spiral)
        patch.set_title(f"on the mesh: {hops} hops, {len(spiral)} vertices")
        _draw_pixels(image, hops)
        image.set_title(f"on an image: {hops} hops, {(2 * hops + 1) ** 2} pixels")
        add_footer(figure, f"spiral ordering of vertex {centre} of {name or template.name} · no training")
    return figure


def even_vertex(vertices: np.ndarray, faces: np.ndarray, spirals: np.ndarray) -> int:
    """A good vertex to show a spiral at: complete, facing the viewer (+z), on a large, flat and even patch."""
    normals = vertex_normals(vertices, faces)
    members = np.where(spirals >= 0, spirals, spirals[:, :1])
    flatness = np.einsum("vld,vd->vl", normals[members], normals).min(axis=1)
    edges = np.unique(_edges(faces), axis=0)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    shortest, longest = np.full(len(vertices), np.inf), np.zeros(len(vertices))
    for end in edges.T:
        np.minimum.at(shortest, end, length)
        np.maximum.at(longest, end, length)
    shortest, longest = shortest[members].min(axis=1), longest[members].max(axis=1)
    evenness = shortest / longest
    largeness = np.minimum(shortest / np.median(length), 1.0)
    regular = (np.bincount(edges.ravel(), minlength=len(vertices))[members] == 6).mean(axis=1)
    whole = (spirals >= 0).mean(axis=1)
    return int(np.argmax(flatness + evenness + largeness + regular + whole + 0.5 * normals[:, 2]))


def _edges(faces: np.ndarray) -> np.ndarray:
    """Each edge once per face, (3F, 2), smaller vertex first."""
    return np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)


def _draw_whole(axes: Axes, vertices: np.ndarray, faces: np.ndarray, spiral: np.ndarray) -> None:
    """The mesh in clay with a circle around the spiral."""
    size = (420, 520)
    view = fit_view(vertices, "front", size)
    image = render_meshes(vertices[None], faces, size=size, view=view)[0]
    axes.imshow(image, extent=(0, size[0], size[1], 0), interpolation="antialiased")
    outline = project(vertices[spiral], view, size)
    middle, reach = outline[0], np.linalg.norm(outline - outline[0], axis=1).max()
    ring = np.linspace(0, 2 * np.pi, 100)
    axes.plot(
        middle[0] + 1.25 * reach * np.cos(ring),
        middle[1] + 1.25 * reach * np.sin(ring),
        color=PALETTE[1],
        lw=1.6,
    )
    axes.set_axis_off()


def _draw_patch(axes: Axes, vertices: np.ndarray, faces: np.ndarray, spiral: np.ndarray) -> None:
    """The triangles around the spiral, flat on the tangent plane of its centre, with the numbered path."""
    normal = vertex_normals(vertices, faces)[spiral[0]]
    right = np.cross([0.0, 1.0, 0.0], normal)
    right /= np.linalg.norm(right)
    flat = (vertices - vertices[spiral[0]]) @ np.stack([right, np.cross(normal, right)]).T
    around = faces[np.isin(faces, spiral).any(axis=1)]
    axes.triplot(flat[:, 0], flat[:, 1], around, color="#c9c9c9", lw=0.8, zorder=1)
    inside = faces[np.isin(faces, spiral).all(axis=1)]
    axes.tripcolor(flat[:, 0], flat[:, 1], inside, facecolors=np.zeros(len(inside)), cmap=_plain("#dcebf5"), zorder=0)
    _draw_path(axes, flat[spiral])
    reach = 1.28 * np.abs(flat[spiral]).max()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_axis_off()


def _draw_pixels(axes: Axes, hops: int) -> None:
    """The same ordering on a regular grid, where every ring is closed and has eight more pixels."""
    from matplotlib.patches import Rectangle

    path = [(0, 0)]
    for ring in range(1, hops + 1):
        x, y = ring, 1 - ring  # beside the end of the ring before
        path.append((x, y))
        for dx, dy, steps in ((0, 1, 2 * ring - 1), (-1, 0, 2 * ring), (0, -1, 2 * ring), (1, 0, 2 * ring)):
            for _ in range(steps):
                x, y = x + dx, y + dy
                path.append((x, y))
    for x in range(-hops - 1, hops + 2):
        for y in range(-hops - 1, hops + 2):
            inside = max(abs(x), abs(y)) <= hops
            face = "#dcebf5" if inside else "white"
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="#c9c9c9", lw=0.8))
    _draw_path(axes, np.array(path, dtype=float))
    reach = hops + 0.95
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_axis_off()


def _draw_path(axes: Axes, points: np.ndarray) -> None:
    """A numbered path through (L, 2) points with an arrow at each step, from blue to orange."""
    for start, end in itertools.pairwise(points):
        axes.annotate(
            "",
            xy=end,
            xytext=start,
            arrowprops={"arrowstyle": "-|>", "color": PALETTE[0], "lw": 1.3, "shrinkA": 6, "shrinkB": 6},
            zorder=2,
        )
    colours = [PALETTE[1]] + [PALETTE[0]] * (len(points) - 1)
    axes.scatter(points[:, 0], points[:, 1], s=120, color=colours, zorder=3, edgecolors="white", linewidths=0.8)
    for number, (x, y) in enumerate(points):
        axes.text(x, y, str(number), ha="center", va="center_baseline", fontsize=6.5, color="white", zorder=4)


def _plain(colour: str):
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])
