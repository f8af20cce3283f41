"""Small meshes of every topology that hierarchies are built of."""

from __future__ import annotations

from mesh_shapes import grid, icosphere, random_sphere, torus, wavy_with_hole

SHAPES = {
    "sheet with a hole": wavy_with_hole(),
    "sphere": icosphere(3, radius=90.0),
    "irregular sphere": random_sphere(300),
    "torus": torus(),
    "flat": grid(17, 15, jitter=0.2),
}
