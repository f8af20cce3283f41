"""Datasets by name."""

from __future__ import annotations

from sphere_sets import sphere_dataset

from bench3dmm.data import dataset_names, load_dataset, register_dataset


def test_a_user_s_dataset_can_be_registered(monkeypatch):
    monkeypatch.setattr("bench3dmm.data.registry._registered", {})
    register_dataset("mine", sphere_dataset)
    assert load_dataset("mine").name == "mine"
    assert "mine" in dataset_names()
