"""One folder a paper: which runs, its tables and figures, its claims. Add a folder, and everything finds it.

A folder has ``PAPER`` in its ``__init__`` (see `paper`), and, as far as it has such: ``experiments.py``;
``artefacts.py`` with ``ARTEFACTS`` and maybe ``SECTIONS`` (see `artefact`); ``claims.py`` with ``CLAIMS`` and
``verdicts(material)`` (see `bench3dmm.statistics.claims`). Papers do not import each other.

Who lives beside them: `registry` (papers, experiments and notebooks by name), `protocol` (what all are measured at),
`setup` (which stored runs stand for a paper's), `artefact` (what a table or figure is made from).
"""
