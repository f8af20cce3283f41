"""One fixed topology, and what is computed from it once. No network, and nothing of a data set.

- `template`: a triangle mesh with its landmarks, and what it must be to take part (`Template.check`).
- `files`: OBJ and PLY.
- `hierarchy`: coarser levels of a template and the way back, from `decimation` (which vertices stay) and
  `upsampling` (three weights for each of the others).
- `spirals`: the order in which a spiral filter reads a vertex's surroundings.
- `geodesic`: distances over the surface, and the landmark weights of the weighted loss.
- `normals`, `roughness`: of meshes, and of the offset between two.
- `regions`, `partition`: the parts of a face, for errors and for editing.
"""
