"""What tasks are made of: objectives beyond reconstruction, and what is measured.

Who lives here: `errors` (the evaluator of reconstructions), `shape_model` (specificity, compactness), `latent` (codes
as a Gaussian), `targets` and `composite` (what a manipulation trains towards), `edits` (what edits do).
"""
