"""The figures of this paper: architecture, convergence curves, faces beside their reconstructions, distances."""
