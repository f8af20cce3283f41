"""The embedded sets, generated from CC0 assets: ``mh-seq`` and ``mh-scan``, never COMA or BU3DFE themselves.

From head to dataset, each built on those before:

- `counts`: how many meshes the paper's two sets hold per expression.
- `head`: the CC0 head as two registered topologies, in mm.
- `sizes`: the same face with any number of vertices.
- `subjects`: people: neutral heads from ancestry, sex, age and build.
- `expressions`: activations of facial action units, after the protocols of COMA and BU3DFE.
- `rig`: a neutral head and activations to a posed face, with the mechanisms that make real faces nonlinear.
- `makehuman`: the two sets, and what is switched off in their variants.
"""
