"""The manipulation task: pairs, measures against plain loops, editors against what they must do."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sphere_sets import as_registered, sphere_dataset

from bench3dmm.apply.exported import load_run
from bench3dmm.data.faces import partition_of
from bench3dmm.data.normaliser import Normaliser
from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.models import build_model
from bench3dmm.record.run import Run
from bench3dmm.runs.execute import execute, measure_again
from bench3dmm.runs.results import load_result, result_path
from bench3dmm.system.checkout import ROOT
from bench3dmm.tasks.parts.edits import (
    EDITORS,
    MEASURES,
    OTHER,
    SAME,
    Edited,
    HandleEditor,
    PCAEditor,
    copy_source,
    draw_pairs,
    edit_pairs,
    make_editor,
    paste_pairs,
    summarise_edits,
)
from bench3dmm.tasks.published import base_run, published_run, run_command
from bench3dmm.training.weights import load_model

SIZE = {"dataset": "sphere", "latent": 6, "profile": "smoke"}
STAGE_2 = published_run(model="lamm", preset="small", task="manipulation", **SIZE)
BY_REGIONS = published_run(model="lamm", preset="small", task="manipulation-by-regions", **SIZE)
SCRATCH = published_run(model="lamm", preset="small", task="manipulation-from-scratch", **SIZE)
PCA = published_run(model="pca", task="manipulation", **SIZE)


@pytest.fixture(scope="module")
def registered():
    return as_registered(sphere_dataset())


@pytest.fixture(scope="module")
def partition(registered):
    return partition_of(registered.template.vertices, registered.template.faces)


@pytest.fixture(scope="module")
def trained(registered, tmp_path_factory):
    """Stage 1, and stage 2 after it."""
    folder = tmp_path_factory.mktemp("results")
    execute(STAGE_2, folder, "cpu", progress=False, dataset=registered)
    return folder


# --- pairs --------------------------------------------------------------------------------------------------------


def test_pairs_are_of_test_meshes_half_of_one_person(registered):
    rows = np.arange(0, len(registered.samples), 2)
    pairs = draw_pairs(registered.samples, rows, 100)
    persons = registered.samples["subject"].to_numpy(str)
    assert set(pairs.source) | set(pairs.target) <= set(rows)
    assert (pairs.source != pairs.target).all()
    np.testing.assert_array_equal(pairs.same, persons[pairs.source] == persons[pairs.target])
    assert pairs.same.sum() == 50
    again = draw_pairs(registered.samples, rows, 100)
    np.testing.assert_array_equal(again.target, pairs.target)


@pytest.mark.parametrize(("persons", "same"), [(["a", "b", "c"], 0), (["a", "a", "a"], 100)])
def test_pairs_where_persons_have_one_mesh_or_there_is_one_person(persons, same):
    pairs = draw_pairs(pd.DataFrame({"subject": persons}), np.arange(3), 100)
    assert pairs.same.sum() == same and (pairs.source != pairs.target).all()


def test_one_mesh_makes_no_pair():
    with pytest.raises(DataError, match="two test meshes or more, there are 1"):
        draw_pairs(pd.DataFrame({"subject": ["a", "a"]}), np.array([1]))


# --- measures -------------------------------------------------------------------------------------------------------


def test_measures_written_out(registered, partition):
    faces = registered.template.faces
    pairs = draw_pairs(registered.samples, np.arange(48), 5)
    rng = np.random.default_rng(0)
    away = rng.normal(size=(1, *registered.vertices.shape[1:])).astype(np.float32)

    def shaky(sources, displacements):
        """Not even without displacement the source; with one, everything moves with its sum."""
        return sources + away * (1 + displacements.sum(axis=(1, 2))[:, None, None])

    edited = edit_pairs(shaky, registered.vertices, pairs, partition, faces)
    edges = {tuple(sorted((int(a), int(b)))) for f in faces for a, b in zip(f, np.roll(f, 1), strict=True)}
    for i, (s, t) in enumerate(zip(pairs.source, pairs.target, strict=True)):
        source, target = registered.vertices[s].astype(float), registered.vertices[t].astype(float)
        base = source + away[0]
        for r, (name, ids) in enumerate(partition.controls.items()):
            region = partition.names.index(name)
            after = source + away[0] * (1 + (target - source)[ids].sum())
            inside = [v for v in range(len(source)) if partition.labels[v] == region]
            outside = [v for v in range(len(source)) if partition.labels[v] != region]
            stay = [v for v in outside if partition.names[partition.labels[v]] in partition.controls]
            border = [(a, b) for a, b in edges if (partition.labels[a] == region) != (partition.labels[b] == region)]
            length = [np.linalg.norm(base[a] - base[b]) for a, b in border]
            now = [np.linalg.norm(after[a] - after[b]) for a, b in border]
            expected = [
                np.mean([np.linalg.norm(after[v] - target[v]) for v in ids]),
                np.mean([np.linalg.norm(after[v] - target[v]) for v in inside]),
                np.mean([np.linalg.norm(after[v] - base[v]) for v in inside]),
                np.mean([np.linalg.norm(after[v] - base[v]) for v in outside]),
                np.mean([np.linalg.norm(after[v] - base[v]) for v in stay]),
                np.mean([100 * abs(b - a) / a for a, b in zip(length, now, strict=True)]),
            ]
            np.testing.assert_allclose(edited.values[i, r], expected, rtol=2e-4)
        every = source + away[0] * (1 + (target - source)[partition.control_ids].sum())
        np.testing.assert_allclose(edited.full[i], np.linalg.norm(every - target, axis=1).mean(), rtol=2e-4)


def test_summary_is_of_means_and_the_ratio_of_means(partition):
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 2, size=(6, len(partition.controls), len(MEASURES)))
    same = np.array([True, False, True, False, False, False])
    found = summarise_edits(Edited(values, values[:, 0, 0]), same, partition)
    moved, leaked = MEASURES.index("moved_mm"), MEASURES.index("leaked_mm")
    assert found["ratio"] == pytest.approx(values[..., moved].mean() / values[..., leaked].mean())
    stirred = values[..., MEASURES.index("stirred_mm")].mean()
    assert found["held_ratio"] == pytest.approx(values[..., moved].mean() / stirred)
    name = list(partition.controls)[2]
    assert found["by_region"][name]["inside_mm"] == pytest.approx(values[:, 2, 1].mean())
    assert found["by_pair"][SAME]["control_mm"] == pytest.approx(values[same][..., 0].mean())
    assert found["by_pair"][OTHER]["full_mm"] == pytest.approx(values[~same][:, 0, 0].mean())


# --- editors ------------------------------------------------------------------------------------------------------


def test_copying_leaks_nothing_and_misses_by_the_whole_displacement(registered, partition):
    pairs = draw_pairs(registered.samples, np.arange(48), 8)
    edited = edit_pairs(copy_source, registered.vertices, pairs, partition, registered.template.faces)
    away = np.linalg.norm(registered.vertices[pairs.target] - registered.vertices[pairs.source], axis=2)
    np.testing.assert_allclose(edited.full, away.mean(axis=1), rtol=1e-5)
    found = summarise_edits(edited, pairs.same, partition)
    assert found["leaked_mm"] == found["moved_mm"] == found["seam_percent"] == 0 and found["ratio"] is None
    json.dumps(found, allow_nan=False)


def test_a_pasted_region_is_the_targets_and_its_seam_is_what_is_left(registered, partition):
    faces, pairs = registered.template.faces, draw_pairs(registered.samples, np.arange(48), 6)
    pasted = paste_pairs(registered.vertices, pairs, partition, faces)
    control, inside, moved, leaked, stirred, seam = np.moveaxis(pasted.values, 2, 0)
    assert not any(measure.any() for measure in (control, inside, leaked, stirred)) and (moved > 0).all()
    number, name = 2, list(partition.controls)[2]
    mesh = registered.vertices[pairs.source[0]].copy()
    own = partition.labels == partition.names.index(name)
    mesh[own] = registered.vertices[pairs.target[0]][own]
    changes = []
    for a, b in partition.border_edges(faces, name):
        before = np.linalg.norm(np.subtract(*registered.vertices[pairs.source[0]][[a, b]]))
        changes.append(abs(np.linalg.norm(mesh[a] - mesh[b]) - before) / before)
    assert seam[0, number] == pytest.approx(100 * np.mean(changes), rel=1e-3)


def test_handles_are_met_and_an_even_shift_is_carried_everywhere(registered, partition):
    editor, sources = HandleEditor(partition), registered.vertices[:2].astype(float)
    wanted = np.random.default_rng(0).normal(size=(2, len(partition.control_ids), 3))
    edited = editor(sources, wanted)
    np.testing.assert_allclose((edited - sources)[:, partition.control_ids], wanted, atol=1e-6)
    shifted = editor(sources, np.broadcast_to([1.0, -2.0, 3.0], wanted.shape))
    np.testing.assert_allclose(shifted - sources, np.broadcast_to([1.0, -2.0, 3.0], sources.shape), atol=1e-6)
    np.testing.assert_array_equal(editor(sources, np.zeros_like(wanted)), sources)


@pytest.fixture(scope="module")
def fitted(registered, sphere_hierarchy):
    normaliser = Normaliser.fit(registered.vertices, np.arange(48), scale=False)
    model = build_model("pca", sphere_hierarchy, 6)
    model.fit_closed_form(torch.from_numpy(normaliser.apply(registered.vertices)))
    return model, normaliser


def test_pca_solves_its_ridge_problem(registered, partition, fitted):
    """The gradient of |C(z + dz) - C(z) - δ|² + |dz|² (1 mm against one deviation) vanishes at what it chose."""
    model, normaliser = fitted
    sources = registered.vertices[3:5]
    wanted = np.random.default_rng(0).normal(0, 3, size=(2, len(partition.control_ids), 3))
    editor = PCAEditor(model, normaliser, partition)
    base, edited = editor(sources, np.zeros_like(wanted)), editor(sources, wanted)
    np.testing.assert_allclose(
        base, model(torch.from_numpy(normaliser.apply(sources))).numpy() + normaliser.mean, atol=1e-3
    )
    plain, moved = (model.encode(torch.from_numpy(normaliser.apply(mesh))).double() for mesh in (base, edited))
    change = (moved - plain).requires_grad_()
    basis = (model.components * model.deviations[:, None]).double().view(6, -1, 3)[:, partition.control_ids]
    missed = torch.einsum("bd,dcx->bcx", change, basis) - torch.from_numpy(wanted)
    (missed.square().sum() + change.square().sum()).backward()
    scale = torch.einsum("bcx,dcx->bd", torch.from_numpy(wanted), basis).abs().max()
    assert change.grad.abs().max() < 1e-3 * scale


def test_a_models_displacements_are_normalised_as_its_meshes_are(registered, partition):
    class Shifted(torch.nn.Module):
        """Decodes to its input, with the control vertices displaced."""

        def encode(self, x):
            return x.flatten(1)

        def decode(self, z, displacements):
            x = z.view(len(z), -1, 3).clone()
            x[:, partition.control_ids] += displacements
            return x

    normaliser = Normaliser.fit(registered.vertices, np.arange(48))
    editor = make_editor(Shifted(), normaliser, partition)
    wanted = np.random.default_rng(0).normal(size=(2, len(partition.control_ids), 3))
    moved = editor(registered.vertices[:2], wanted) - registered.vertices[:2]
    np.testing.assert_allclose(moved[:, partition.control_ids], wanted, atol=1e-4)


# --- runs -----------------------------------------------------------------------------------------------------------


def test_a_manipulation_begins_with_the_reconstructions_weights(trained, registered):
    base = base_run(STAGE_2)
    assert base == published_run(model="lamm", preset="small", **SIZE)
    result = load_result(result_path(STAGE_2, trained))
    assert result_path(base, trained).exists()
    assert result.provenance["base"]["run_id"] == base.run_id
    begun, _ = load_model(result_path(base, trained), dataset=registered)
    ended, _ = load_model(result_path(STAGE_2, trained), dataset=registered)
    far = published_run(model="lamm", preset="small", seed=1, **SIZE)
    execute(far, trained, "cpu", progress=False, dataset=registered)
    other, _ = load_model(result_path(far, trained), dataset=registered)
    name = "encoder.layers.0.to_qkv.weight"
    from_base, from_other = ((ended.state_dict()[name] - model.state_dict()[name]).norm() for model in (begun, other))
    assert from_base < 0.2 * from_other


def test_a_result_holds_the_task_and_its_references(trained):
    result = load_result(result_path(STAGE_2, trained))
    edits = result.metrics["manipulation"]
    pairs, values = result.arrays["edit_pairs"], result.arrays["edit_values"]
    assert values.shape == (len(EDITORS), len(pairs), len(edits["by_region"]), len(MEASURES))
    assert result.arrays["edit_full"].shape == (len(EDITORS), len(pairs))
    for editor, found in zip(EDITORS, [edits, *edits["references"].values()], strict=True):
        assert found["inside_mm"] == pytest.approx(values[EDITORS.index(editor), ..., 1].mean(), rel=1e-5)
    assert set(pairs.ravel()) <= set(result.arrays["sample_index"])


def test_a_stored_model_edits_as_it_was_measured(trained, registered):
    """`TrainedModel.edit`, region by region, against what the run measured: control vertices, and the rest."""
    result, model = load_result(result_path(STAGE_2, trained)), load_run(result_path(STAGE_2, trained))
    for at in (0, 1):
        source, target = registered.vertices[result.arrays["edit_pairs"][at]]
        plain = model.edit(source, {})
        np.testing.assert_array_equal(plain, model.reconstruct(source))
        for number, (name, ids) in enumerate(model.partition.controls.items()):
            edited = model.edit(source, {name: target[ids] - source[ids]})
            inside = model.partition.labels == model.partition.names.index(name)
            control = np.linalg.norm(edited - target, axis=1)[ids].mean()
            leaked = np.linalg.norm(edited - plain, axis=1)[~inside].mean()
            stored = result.arrays["edit_values"][0, at, number]
            np.testing.assert_allclose([control, leaked], stored[[0, 3]], atol=1e-3)
            assert leaked > 0


def test_pcas_runs_edit_too_and_reconstructions_do_not(tmp_path, trained, registered):
    execute(PCA, tmp_path, "cpu", progress=False, dataset=registered)
    model = load_run(result_path(PCA, tmp_path), dataset=registered)
    name = next(iter(model.partition.controls))
    ids = model.partition.controls[name]
    moved = model.edit(registered.vertices[0], {name: (0, 0, 3)}) - model.edit(registered.vertices[0], {})
    assert moved[ids, 2].mean() > 0.3
    plain = load_run(result_path(base_run(STAGE_2), trained))
    with pytest.raises(DataError, match="trained for reconstruction, edits no regions"):
        plain.edit(registered.vertices[0], {})


def test_measuring_again_measures_edits_too(trained, registered):
    before = load_result(result_path(STAGE_2, trained))
    after = measure_again(STAGE_2, trained, "cpu", dataset=registered)
    np.testing.assert_array_equal(after.arrays["edit_values"], before.arrays["edit_values"])


def test_from_scratch_needs_no_base_and_pca_neither(tmp_path, registered):
    assert base_run(SCRATCH) is None and base_run(PCA) is None
    for run in (SCRATCH, PCA):
        result = execute(run, tmp_path, "cpu", progress=False, dataset=registered)
        assert "base" not in result.provenance and result.metrics["manipulation"]["full_mm"] > 0
    assert len(list(tmp_path.glob("smoke/*.json"))) == 2


def test_by_regions_begins_with_the_same_weights_and_ends_with_others(trained, registered):
    assert base_run(BY_REGIONS) == base_run(STAGE_2)
    result = execute(BY_REGIONS, trained, "cpu", progress=False, dataset=registered)
    other = load_result(result_path(STAGE_2, trained))
    assert result.provenance["base"] == other.provenance["base"]
    np.testing.assert_array_equal(result.arrays["edit_pairs"], other.arrays["edit_pairs"])
    own, published = (one.arrays["edit_values"][0] for one in (result, other))
    assert not np.array_equal(own, published)


def test_missing_base_weights_are_named_with_what_trains_them(tmp_path, trained, registered):
    base = result_path(base_run(STAGE_2), trained)
    (tmp_path / "smoke").mkdir()
    for suffix in (".json", ".npz"):
        (tmp_path / "smoke" / base.with_suffix(suffix).name).write_bytes(base.with_suffix(suffix).read_bytes())
    with pytest.raises(DataError, match=rf"{base.stem}.safetensors: missing.*--model lamm.*--force"):
        execute(STAGE_2, tmp_path, "cpu", progress=False, dataset=registered)


def test_commands_and_ids_tell_tasks_apart():
    assert "--task manipulation" in run_command(STAGE_2) and "--task" not in run_command(base_run(STAGE_2))
    runs = [STAGE_2, SCRATCH, BY_REGIONS, base_run(STAGE_2)]
    assert len({run.run_id for run in runs}) == len(runs)
    assert dataclasses.replace(Run("sphere"), task="reconstruction").run_id == Run("sphere").run_id


def test_a_model_that_does_not_take_part_is_named(tmp_path, registered):
    with pytest.raises(UnknownNameError, match="task of model neural3dmm"):
        execute(Run("sphere", task="manipulation"), tmp_path, "cpu", progress=False, dataset=registered)
    with pytest.raises(UnknownNameError, match="Did you mean 'manipulation'"):
        execute(Run("sphere", task="manipulate"), tmp_path, "cpu", progress=False, dataset=registered)
    assert not list(tmp_path.iterdir())


def test_regions_of_ones_own_as_documented(tmp_path, registered, monkeypatch):
    documented = (ROOT / "docs/your-own-model.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", documented, re.S) if "Lamm(" in block)
    (tmp_path / "my_halves.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    run = published_run(model="my_halves:build", preset="small", task="manipulation", **SIZE)
    result = execute(run, tmp_path / "results", "cpu", progress=False, dataset=registered)
    edits = result.metrics["manipulation"]
    assert list(edits["by_region"]) == ["upper"]
    assert edits["stirred_mm"] == 0 and edits["held_ratio"] is None, "no other region is told anything"
    model = load_run(result_path(run, tmp_path / "results"))
    mesh = registered.vertices[0]
    moved = np.linalg.norm(model.edit(mesh, {"upper": (0, 0, 4)}) - model.reconstruct(mesh), axis=1)
    assert moved.max() > 0.01
