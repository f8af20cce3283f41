"""How a mesh, a curve and a table look, whatever paper they are for.

Meshes:

- `render`: meshes as pictures, drawn by one of the two `renderers`; `camera` says where one stands.
- `show`: one mesh in a notebook, still or to turn.
- `panel`: sliders that displace a region of a face, for JupyterLab.
- `grid`, `heatmaps`, `people`: figures of many meshes: in rows and columns, with their errors, person by person.
- `spirals`: the spiral ordering on a mesh and on an image patch.

Numbers:

- `curves`: errors of runs, as distributions.
- `verdicts`: all verdicts of a table of claims in one picture.
- `rankings`: who is better than whom, as tables.
- `tables`: tables as CSV and LaTeX.

Pages:

- `blocks`: text, tables and pictures, whatever file they are written into; `markdown` writes them for GitHub.

`style` is what all figures share: fonts, colours, margins, small print, and how they are saved.
"""
