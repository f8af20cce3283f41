"""The bench measures what it says: turns, floors, memory, pictures; never how fast this machine is."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from bench3dmm import bench
from bench3dmm.bench import peers as peers_section
from bench3dmm.bench import pictures, report, scaling, stored
from bench3dmm.bench.cases import (
    SIDES,
    SPIRALNET_WIDTHS,
    Case,
    build_side,
    schedule_of,
    synthetic_meshes,
    training_step,
)
from bench3dmm.bench.compare import compare
from bench3dmm.bench.lamm import generation, training
from bench3dmm.bench.layers import Work, conv_work, layer_table
from bench3dmm.bench.peers import peers, quick_meshes
from bench3dmm.bench.timing import Timing, interleaved, seconds_of
from bench3dmm.bench.worker import TASKS, in_process
from bench3dmm.data.synthetic.sizes import face
from bench3dmm.errors import Bench3dmmError, DataError, UnknownNameError
from bench3dmm.models.layers import SpiralConv, spiral_matrices

THREADS = torch.get_num_threads()
CPU = torch.device("cpu")
MACHINE = {"gemm_flops": 1e11, "bandwidth": 1e10, "gemm_flops_one_thread": 1e11, "bandwidth_one_thread": 1e10}
SMALL = Case("face-1200", batch=4)


def test_sides_are_timed_in_turns():
    order = []
    actions = {
        "quick": lambda count: (order.append("quick"), time.sleep(0.001 * count)),
        "slow": lambda count: (order.append("slow"), time.sleep(0.01 * count)),
    }
    taken = interleaved(actions, 4, CPU)
    assert order[4:] == ["quick", "quick", "slow", "slow"] * 4  # not timed, timed
    assert {side: len(seconds) for side, seconds in taken.items()} == {"quick": 4, "slow": 4}
    assert (taken["quick"] >= 0.001).all() and (taken["slow"] >= 0.01).all()


def test_seconds_are_of_one_repetition(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def action(count):
        clock[0] += 0.5 * count

    assert seconds_of(action, CPU, 3) == 0.5
    assert clock == [1.5]


def test_timing_of_a_series():
    assert Timing.of(np.array([3.0, 1, 2])) == Timing(2, 1, 3)


def test_floor_is_the_slower_of_arithmetic_and_memory():
    assert Work(2e11, 1e9).floor(MACHINE) == 2
    assert Work(1e9, 5e10).floor(MACHINE) == 5


def test_work_of_a_convolution_counts_products_maps_and_tables():
    table = np.array([[0, 1, 2], [1, 2, -1], [2, 0, 1], [3, 0, -1]])
    kept = [matrix[[0, 1]] for matrix in spiral_matrices(table)]
    conv = SpiralConv(16, 8, kept)
    assert not conv.mix_first and conv.nonzeros == 5
    products = 2 * 2 * 10 * 48 * 8
    maps = 4 * 10 * (4 * 16 + 2 * 8)
    assert conv_work(conv, 10, training=False) == Work(products, maps + 8 * 5)
    assert conv_work(conv, 10, training=True) == Work(3 * products, 3 * maps + 2 * 8 * 5)
    assert conv_work(conv, 10, training=True, first=True).flops == 2 * products

    mixing = SpiralConv(16, 8, [matrix.T for matrix in kept])
    assert mixing.mix_first
    mixed = 2 * 2 * 10 * 48 * 8 + 2 * 5 * 10 * 8
    assert conv_work(mixing, 10, training=False).flops == mixed
    assert conv_work(mixing, 10, training=True).flops == 2 * mixed + 2 * 2 * 10 * 48 * 8


@pytest.mark.parametrize("count", [1200, 7000])
def test_face_has_the_number_of_vertices_asked_for(count):
    template = face(count)
    template.check()
    assert template.n_vertices == count


def test_both_sides_take_the_same_steps():
    """From the same weights on the same batches: what is compared is one computation."""
    hierarchy = SMALL.hierarchy()
    meshes = synthetic_meshes(SMALL, 1200, CPU)
    models = {}
    for side in SIDES:
        built = []
        with pytest.MonkeyPatch.context() as patch:
            from bench3dmm.bench import cases

            original = cases.build_side
            patch.setattr(cases, "build_side", lambda *a, keep=built, make=original: keep.append(make(*a)) or keep[-1])
            training_step(side, SMALL, hierarchy, meshes)(3)
        models[side] = built[0].state_dict()
    for name, fast in models["engine"].items():
        torch.testing.assert_close(fast, models["published"][name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.fixture(scope="module")
def record():
    """Every section, on faces of a few hundred vertices."""
    rows = compare(SMALL, 3, CPU, MACHINE)
    with pytest.MonkeyPatch.context() as patch:  # that a process is started is tested by the comparison
        patch.setattr(peers_section, "in_process", lambda task, **settings: TASKS[task](**settings))
        beside = peers("face-1200", 3, CPU, 24)
    generated = generation("face-1200", 3, [("lamm", "small"), ("neural3dmm", "paper")])
    trained = [training("face-1200", "lamm", "small", "cpu")]
    trained += [{**trained[0], "vertices": n, "peak_mb": n / 10, "step_s": n / 1e5} for n in (5000, 50_000)]
    layers = [
        {**row, "mesh": "face-1200", "preset": preset, "batch": 4}
        for preset in ("paper", "release")
        for row in layer_table(Case("face-1200", preset, batch=4), CPU, MACHINE)
    ]
    grown = [
        {"axis": axis, "value": n, "side": side, "step_s": 1e-6 * n, "peak_mb": 10 + n / 1e3}
        for axis in ("vertices", "batch", "latent")
        for n in (1000, 5000, 20_000, 100_000)
        for side in SIDES
    ]
    around = dict.fromkeys(("import_s", "help_s", "run_to_first_epoch_s", "hierarchy_and_spirals_s"), 0.5)
    around |= {"hierarchy_and_spirals_cached_s": 0.1, "evaluation_s": 2.0, "evaluated_meshes": 2000}
    together = [
        {"trainings": 2, "threads_each": 1, "steps_per_s": 50.0, "meshes_per_s": 800.0, "mesh": "m", "preset": "paper"}
    ]
    return {
        "schema": stored.SCHEMA,
        "device": "a machine",
        "versions": {"torch": "2"},
        "threads": 2,
        "measured": {section: {"seconds": 1.0} for section in bench.SECTIONS},
        "machine": MACHINE,
        "compare": rows,
        "peers": beside,
        "lamm": generated + trained,
        "layers": layers,
        "scaling": grown,
        "together": together,
        "around": around,
    }


def test_compared_numbers_are_consistent(record):
    rows = record["compare"]
    assert [(row["what"], row["batch"]) for row in rows] == [("training step", 4), ("forward", 1), ("forward", 16)]
    for row in rows:
        assert row["vertices"] == 1200
        assert 0 < row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"]
        assert row["floor_fraction"] == pytest.approx(row["floor_s"] / row["engine_s"]["median"])
    # The dense matrices alone: U and D, (1201, 301) and so on, of float32.
    assert rows[0]["peak_mb"]["published"] > 2 * 4 * 1201 * 301 / 1e6
    assert rows[0]["peak_mb"]["engine"] > 0


def test_lamm_is_measured_beside_spiral_models(record):
    """Decoding leaves torch its threads; a training step takes no less memory than its meshes."""
    generated = [row for row in record["lamm"] if row["what"] == "generation"]
    assert [(row["model"], row["batch"]) for row in generated] == [
        (model, batch) for model in ("lamm", "neural3dmm") for batch in (1, 16)
    ]
    assert all(0 < row["mesh_s"]["min"] <= row["mesh_s"]["median"] for row in generated)
    assert ["as_trained_ratio" in row for row in generated] == [True, True, False, False]
    assert torch.get_num_threads() == THREADS
    (row, *_) = [row for row in record["lamm"] if row["what"] == "training"]
    meshes = 4 * 32 * 1200 * 3 * 4 / 1e6
    assert row["peak_mb"] > meshes and row["batch"] == 32 and row["step_s"] > 0


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


def test_a_fit_in_closed_form_is_measured_in_its_own_process():
    measured = in_process("closed_form", device="cpu", meshes=400, mesh="face-1200", model="pca")
    assert measured["fit_s"] > 0
    assert measured["peak_mb"] > 2 * 8 * 400**2 / 1e6  # two Gram matrices of float64


def test_neural3dmm_at_spiralnets_widths_has_its_channels():
    hierarchy = SMALL.hierarchy()
    wide = build_side("engine", Case("face-1200", SPIRALNET_WIDTHS), hierarchy, CPU)
    spiralnet = build_side("engine", Case("face-1200", model="spiralnet"), hierarchy, CPU)
    for part in ("encoder_convs", "decoder_convs"):
        one, other = ([conv.linear.out_features for conv in getattr(model, part)] for model in (wide, spiralnet))
        assert one == other


def test_models_take_the_steps_of_their_published_training():
    assert schedule_of(Case("mh-scan")).optimizer == "adam"
    coma = schedule_of(Case("mh-scan", batch=4, model="coma"))
    assert (coma.optimizer, coma.learning_rate, coma.batch_size) == ("sgd", 8e-3, 4)


def test_quick_profile_counts_its_meshes(spheres, monkeypatch):
    from bench3dmm.data import registry as data
    from bench3dmm.data.splits import make_split

    monkeypatch.setitem(data._registered, "sphere", lambda: spheres)
    assert quick_meshes("sphere") == len(make_split("percentage", spheres.samples, 0, 0.0).train)


def test_record_is_kept_whole_and_drawn(record, tmp_path):
    written = bench.save_bench(record, tmp_path)
    parts = ("compare", "peers", "lamm", "layers", "scaling")
    names = {f"bench-{part}.{kind}" for part in parts for kind in ("png", "pdf")}
    assert {path.name for path in written} == {"bench.json", *names}
    assert bench.load_bench(tmp_path / "bench.json")["compare"] == record["compare"]


COMMON = ("schema", "device", "versions", "threads", "machine")


def later(record, **changed):
    """Start-up measured again, by itself."""
    around = {"measured": {"around": {"seconds": 2.0}}, "around": {**record["around"], "help_s": 9}}
    return {key: record[key] for key in COMMON} | around | changed


def test_sections_measured_later_join_those_of_the_same_machine(record, tmp_path):
    bench.save_bench(record, tmp_path)
    bench.save_bench(later(record), tmp_path)
    joined = bench.load_bench(tmp_path / "bench.json")
    assert joined["around"]["help_s"] == 9 and joined["measured"]["around"] == {"seconds": 2.0}
    assert joined["compare"] == record["compare"] and not any("on" in made for made in joined["measured"].values())


def test_sections_of_another_machine_stand_beside_and_name_it(record, tmp_path):
    bench.save_bench(record, tmp_path)
    bench.save_bench(later(record, device="another machine", machine={**MACHINE, "bandwidth": 3e9}), tmp_path)
    joined = bench.load_bench(tmp_path / "bench.json")
    assert joined["device"] == "a machine" and joined["compare"] == record["compare"]
    assert bench.of_section(joined, "compare")["device"] == "a machine"
    assert bench.of_section(joined, "around")["device"] == "another machine"
    assert pictures.machine_line(joined, "around").startswith("another machine; ")
    assert "copy 3 GB/s" in pictures.machine_line(joined, "around")
    assert report.provenance(joined)["device"].to_dict() == {
        section: "another machine" if section == "around" else "a machine" for section in bench.SECTIONS
    }
    bench.save_bench(later(record), tmp_path)
    again = bench.load_bench(tmp_path / "bench.json")
    assert "on" not in again["measured"]["around"], "measured again where the others were"


def test_a_record_measured_anew_elsewhere_is_that_machines(record, tmp_path):
    bench.save_bench(later(record), tmp_path)
    bench.save_bench({**record, "device": "another machine"}, tmp_path)
    anew = bench.load_bench(tmp_path / "bench.json")
    assert anew["device"] == "another machine" and not any("on" in made for made in anew["measured"].values())


def test_every_section_has_a_table(record):
    assert len(list(report.tables(record))) == 1 + len(bench.SECTIONS)
    for section in ("machine", *bench.SECTIONS):
        assert len(report.frame(record, section))
    assert report.frame({**record, "machine": MACHINE, "device": ""}, "nothing").empty
    assert report.frame(record, "compare").loc["training step", "vertices"] == "1,200"


def test_linear_growth_has_exponent_one(record):
    assert scaling.exponent(record["scaling"], "vertices", "engine") == pytest.approx(1)
    squares = [{"axis": "batch", "side": "engine", "value": n, "step_s": 3.0 * n**2} for n in (1, 10, 70)]
    assert scaling.exponent(squares, "batch", "engine") == pytest.approx(2)
    assert np.isnan(scaling.exponent(squares, "batch", "engine", least=50))


def test_scaling_reaches_100_000_vertices_without_dense_matrices():
    points = list(scaling.points())
    assert max(p.value for p in points if p.axis == "vertices") == 100_000
    assert max(p.value for p in points if p.axis == "vertices" and p.side == "published") == scaling.DENSE_LIMIT


def test_pictures_say_which_machine(record):
    for name in ("compare", "peers", "lamm", "layers", "scaling"):
        draw = getattr(pictures, f"{name}_figure")
        assert any("a machine" in text.get_text() for text in draw(record).texts)


def test_failed_measurement_is_one_clear_error():
    with pytest.raises(Bench3dmmError, match=r"measuring step of .*'no-mesh'.* failed"):
        in_process("step", mesh="no-mesh", side="engine", device="cpu")


def test_unknown_section_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'layers'"):
        bench.run_bench(["layer"])


def test_damaged_or_missing_record_is_named(tmp_path):
    with pytest.raises(DataError, match=r"bench\.json: not a stored bench.*run bench3dmm bench"):
        bench.load_bench(tmp_path / "bench.json")
    (tmp_path / "bench.json").write_text('{"schema": 0}')
    with pytest.raises(DataError, match="of schema 0"):
        bench.load_bench(tmp_path / "bench.json")


def test_machine_line_has_the_rates(record):
    line = pictures.machine_line(record, "compare")
    assert "100 GFLOP/s" in line and "10 GB/s" in line
