"""Meshes of people, all with one topology: what a model learns from and is measured on.

Data come from three sides, and all of them end as one `Dataset`: embedded sets, generated once into the user's cache;
sets that the user has and imports; and sets that another package loads.

- `registry`: datasets by name, whichever side they come from. What this module hands on is all from there.
- `dataset`, `faces`: what a dataset is, and the faces it shows by name.
- `splits`: who is trained on, validated on and tested on.
- `rows`, `tables`: which meshes of a table of samples, and what is asked of such tables.
- `normaliser`: mean and deviation a vertex, from the training meshes.
- `cache`: datasets on disk.
- `synthetic`: the generators of the embedded sets, ``mh-seq`` and ``mh-scan``.
- `imports`: others' data, read into the cache.
"""

from bench3dmm.data.registry import (
    LICENSED,
    check_datasets,
    dataset_names,
    departures,
    foreign_loader,
    load_dataset,
    recipe_sha256,
    register_dataset,
    registered_names,
    variant_names,
)

__all__ = [
    "LICENSED",
    "check_datasets",
    "dataset_names",
    "departures",
    "foreign_loader",
    "load_dataset",
    "recipe_sha256",
    "register_dataset",
    "registered_names",
    "variant_names",
]
