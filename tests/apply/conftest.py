"""One short run of every model, exported; trained once for all tests, not to be changed."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from exported_models import MODELS, run_of
from sphere_sets import sphere_dataset

import bench3dmm
from bench3dmm.apply.exported import export
from bench3dmm.runs.execute import execute


@pytest.fixture(scope="session")
def marked():
    """The spheres with landmarks, which the hierarchy's levels do not hold."""
    spheres = sphere_dataset()
    return dataclasses.replace(spheres, template=dataclasses.replace(spheres.template, landmarks=np.array([3, 700])))


@pytest.fixture(scope="session")
def results(tmp_path_factory, marked):
    """One run of every model, and the folder they are stored in; not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    return folder, {name: execute(run_of(name), folder, "cpu", progress=False, dataset=marked) for name in MODELS}


@pytest.fixture(scope="session")
def exported(tmp_path_factory, results):
    folder = tmp_path_factory.mktemp("exported")
    return {name: export(run_of(name).run_id, results[0], folder / name) for name in MODELS}


@pytest.fixture
def copy(tmp_path, exported):
    """PCA's folder, to be damaged."""
    return shutil.copytree(exported["pca"], tmp_path / "copy")


@pytest.fixture
def model(exported):
    return bench3dmm.load(exported["pca"])
