"""Every model beside Neural3DMM."""

from __future__ import annotations

import pytest
from bench_cases import CPU

from bench3dmm.bench import peers as peers_section
from bench3dmm.bench.peers import peers, quick_meshes
from bench3dmm.bench.worker import TASKS


def test_at_other_latent_sizes_the_models_alone_are_measured(monkeypatch):
    monkeypatch.setattr(peers_section, "in_process", lambda task, **settings: TASKS[task](**settings))
    rows = peers("face-1200", 3, CPU, 24, latent=8)
    assert [(row["model"], row["preset"], row["latent"]) for row in rows] == [
        (name, "paper", 8) for name in peers_section.MODELS
    ]
    assert not any("equal_width_ratio" in row for row in rows)


def test_every_model_is_measured_beside_neural3dmm(record):
    rows = {f"{row['model']} {row['preset']}": row for row in record["peers"]}
    assert list(rows) == [
        "pca paper",
        "coma paper",
        "spiralnet paper",
        "neural3dmm paper",
        "neural3dmm spiralnet-widths",
    ]
    pca, base = rows.pop("pca paper"), rows["neural3dmm paper"]
    assert "step_s" not in pca and "ratio" not in pca
    assert pca["fit_s"] > 0 and pca["fit_meshes"] == 24
    assert pca["parameters"] == 16 * (3 * 1200 + 1)
    assert set(base["ratio"].values()) == {1.0}
    for row in rows.values():
        assert row["vertices"] == 1200 and row["latent"] == row["batch"] == 16
        assert 0 < row["step_s"]["min"] <= row["step_s"]["median"] <= row["step_s"]["max"]
        assert row["meshes_per_s"] == pytest.approx(16 / row["step_s"]["median"])
        assert 0 < row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"]
        assert "fit_s" not in row
    for row in (pca, *rows.values()):
        assert row["peak_mb"] >= 0
        assert row["one_mesh_s"]["median"] > 0 and row["batch_s"]["median"] > 0
    compared = rows["spiralnet paper"]["equal_width_ratio"]
    wide, same = (rows[name]["step_s"] for name in ("spiralnet paper", "neural3dmm spiralnet-widths"))
    assert wide["min"] / same["max"] <= compared["median"] <= wide["max"] / same["min"]


def test_quick_profile_counts_its_meshes(spheres, monkeypatch):
    from bench3dmm.data import registry as data
    from bench3dmm.data.splits import make_split

    monkeypatch.setitem(data._registered, "sphere", lambda: spheres)
    assert quick_meshes("sphere") == len(make_split("percentage", spheres.samples, 0, 0.0).train)
