"""Data that a user has, read into the cache: chunk by chunk, complete or not there at all.

The three kinds of data, each with what is known of it:

- `coma`, `bu3dfe`: the paper's two sets, for those who have their files.
- `meshes`: anyone's registered meshes.

What they share, from file to dataset:

- `sources`: where meshes come from: one file a mesh, or one array.
- `landmarks`: lists of vertex ids, counted from 0 or from 1.
- `published`: what the paper's two sets are, and how an import departs from that.
- `plans`: what an import is to do, found out before its meshes are read.
- `importing`: the import itself, which goes on where an earlier one stopped.
"""
