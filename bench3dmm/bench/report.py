"""A bench record as tables of text: (title, columns, rows)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from bench3dmm.bench.stored import of_section

Table = tuple[str, list[str], list[list[str]]]


def tables(record: dict[str, Any]) -> Iterator[Table]:
    """The machine's table, and one for each section that was measured."""
    yield _machine(record)
    for section, make in _MAKERS.items():
        if section in record:
            yield make(record[section])


def frame(record: dict[str, Any], section: str) -> pd.DataFrame:
    """The table of ``machine`` or of a section; one without rows if it was not measured."""
    if section == "machine":
        _, columns, rows = _machine(record)
    elif section in record:
        _, columns, rows = _MAKERS[section](record[section])
    else:
        return pd.DataFrame()
    return pd.DataFrame(rows, columns=columns).set_index(columns[0])


def provenance(record: dict[str, Any]) -> pd.DataFrame:
    """Of each section when, by which commit and on which machine it was measured."""
    rows = {}
    for section, made in record["measured"].items():
        where = of_section(record, section)
        made = {key: value for key, value in made.items() if key != "on"}
        rows[section] = {**made, "device": where["device"], "torch": where["versions"]["torch"]}
    return pd.DataFrame(rows).T


def _machine(record: dict[str, Any]) -> Table:
    machine = record["machine"]
    return (
        f"{record['device']}, torch {record['versions']['torch']}",
        ["", "all threads", "one thread"],
        [
            ["float32 matrix product, GFLOP/s", *(f"{machine[k] / 1e9:.0f}" for k in _on_threads("gemm_flops"))],
            ["copy, GB/s", *(f"{machine[k] / 1e9:.1f}" for k in _on_threads("bandwidth"))],
        ],
    )


def _on_threads(name: str) -> tuple[str, str]:
    return name, f"{name}_one_thread"


def _compare(rows: list[dict[str, Any]]) -> Table:
    columns = ["", "preset", "vertices", "d", "batch", "engine ms", "(min–max)", "published ms", "(min–max)", "ratio",
               "(min–max)", "GFLOP/s", "of floor", "MB", "published MB"]  # fmt: skip
    body = []
    for row in rows:
        memory = [f"{row['peak_mb'][side]:.0f}" for side in ("engine", "published")] if "peak_mb" in row else ["", ""]
        body.append(
            [row["what"], row["preset"], f"{row['vertices']:,}", str(row["latent"]), str(row["batch"]),
             *_spread(row["engine_s"], 1e3, 2), *_spread(row["published_s"], 1e3, 1), *_spread(row["ratio"], 1, 1),
             f"{row['gflops']:.0f}", f"{row['floor_fraction']:.0%}", *memory]
        )  # fmt: skip
    return f"Engine against the published formulation, in turns, {rows[0]['rounds']} rounds", columns, body


def _spread(timing: dict[str, float], factor: float, digits: int) -> list[str]:
    median, least, most = (f"{factor * timing[key]:.{digits}f}" for key in ("median", "min", "max"))
    return [median, f"({least}–{most})"]


def _peers(rows: list[dict[str, Any]]) -> Table:
    columns = ["model", "preset", "vertices", "d", "parameters", "step ms", "(min–max)", "of neural3dmm", "(min–max)",
               "equal width", "(min–max)", "meshes/s", "fit s", "MB", "1 mesh ms", "(min–max)",
               "16 meshes ms", "(min–max)"]  # fmt: skip
    body = []
    for row in rows:
        step, rate, fit = ["", "", "", ""], "", f"{row['fit_s']:.1f}" if "fit_s" in row else ""
        if "step_s" in row:
            step = [*_spread(row["step_s"], 1e3, 1), *_spread(row["ratio"], 1, 2)]
            rate = f"{row['meshes_per_s']:,.0f}"
        equal = _spread(row["equal_width_ratio"], 1, 2) if "equal_width_ratio" in row else ["", ""]
        body.append(
            [row["model"], row["preset"], f"{row['vertices']:,}", str(row["latent"]), f"{row['parameters']:,}", *step,
             *equal, rate, fit, f"{row['peak_mb']:.0f}", *_spread(row["one_mesh_s"], 1e3, 2),
             *_spread(row["batch_s"], 1e3, 1)]
        )  # fmt: skip
    fits = " and ".join(
        dict.fromkeys(f"{row['fit_meshes']:,} meshes ({row['mesh']})" for row in rows if "fit_s" in row)
    )
    title = f"The models, in turns, {rows[0]['rounds']} rounds, training batch {rows[0]['batch']}"
    return f"{title}; closed-form fit of {fits}", columns, body


def _lamm(rows: list[dict[str, Any]]) -> Table:
    columns = ["what", "model", "preset", "vertices", "d", "batch", "ms a mesh", "(min–max)", "meshes/s", "as trained",
               "(min–max)", "MB"]  # fmt: skip
    body = []
    for row in rows:
        named = [row["model"], row["preset"], f"{row['vertices']:,}", str(row["latent"]), str(row["batch"])]
        if row["what"] == "generation":
            spread, rate = _spread(row["mesh_s"], 1e3, 2), f"{1 / row['mesh_s']['median']:,.0f}"
            as_trained = _spread(row["as_trained_ratio"], 1, 2) if "as_trained_ratio" in row else ["", ""]
            body.append(["decoding", *named, *spread, rate, *as_trained, ""])
        else:
            seconds = row["step_s"] / row["batch"]
            body.append(
                [
                    "training",
                    *named,
                    f"{1e3 * seconds:.2f}",
                    "",
                    f"{1 / seconds:,.0f}",
                    "",
                    "",
                    f"{row['peak_mb']:,.0f}",
                ]
            )
    title = (
        "LAMM beside spiral models: codes decoded on one CPU thread, and training steps; as trained: the time with "
        "weights laid out as training leaves them, over this one"
    )
    return title, columns, body


def _layers(rows: list[dict[str, Any]]) -> Table:
    columns = ["preset", "layer", "vertices", "channels", "order", "MFLOP", "MB", "floor ms", "achieved ms",
               "of floor", "GFLOP/s"]  # fmt: skip
    body = [
        [row["preset"], row["layer"], "→".join(f"{n:,}" for n in row["vertices"]), "→".join(map(str, row["channels"])),
         row["order"], f"{row['mflop']:.0f}", f"{row['mbyte']:.1f}", f"{1e3 * row['floor_s']:.2f}",
         f"{1e3 * row['achieved_s']:.2f}", f"{row['floor_fraction']:.0%}", f"{row['gflops']:.0f}"]
        for row in rows
    ]  # fmt: skip
    return f"Layers, forward and backward, one thread, {rows[0]['mesh']}, batch {rows[0]['batch']}", columns, body


def _scaling(rows: list[dict[str, Any]]) -> Table:
    columns = ["axis", "value", "side", "ms per step", "peak MB"]
    body = [
        [row["axis"], f"{row['value']:,}", row["side"], f"{1e3 * row['step_s']:.1f}", f"{row['peak_mb']:.0f}"]
        for row in rows
    ]
    return "A training step over vertices, batch and latent size", columns, body


def _together(rows: list[dict[str, Any]]) -> Table:
    columns = ["trainings", "threads each", "steps/s in all", "meshes/s in all"]
    body = [
        [str(row["trainings"]), str(row["threads_each"]), f"{row['steps_per_s']:.1f}", f"{row['meshes_per_s']:,.0f}"]
        for row in rows
    ]
    return f"Trainings at once, {rows[0]['mesh']}, preset {rows[0]['preset']}", columns, body


def _around(values: dict[str, float]) -> Table:
    names = {
        "import_s": "import bench3dmm (with Python's own start)",
        "help_s": "bench3dmm --help",
        "run_to_first_epoch_s": "bench3dmm run, to the first epoch, cached data",
        "hierarchy_and_spirals_s": "hierarchy and spirals, 6,704 vertices",
        "hierarchy_and_spirals_cached_s": "the same from the cache",
        "evaluation_s": f"evaluation of {values['evaluated_meshes']:,.0f} meshes, 6,704 vertices",
    }
    return "Around the step", ["", "seconds"], [[name, f"{values[key]:.2f}"] for key, name in names.items()]


_MAKERS: dict[str, Callable[[Any], Table]] = {
    "compare": _compare,
    "peers": _peers,
    "lamm": _lamm,
    "layers": _layers,
    "scaling": _scaling,
    "together": _together,
    "around": _around,
}
