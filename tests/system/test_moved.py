"""Old names of modules: they warn, and give what was in them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import bench3dmm
from bench3dmm.system.moved import Moved, install

ROOT = Path(__file__).parents[2]

# What README, documents and notebooks of version 0.1 took from modules that have moved, and where it is now.
MENTIONED = {
    "artefacts": {
        "papers.comparison.artefacts": (
            "breakdown_table common_training_table error_over_latent_figure error_over_time_figure "
            "extrapolation_figure extrapolation_table generative_table interpolation_figure measures_table "
            "pairs_table peers_faces_figure peers_headline published_table ranking_table region_figure "
            "sampling_figure transfer_figure"
        ),
        "papers.lamm.artefacts": (
            "edit_figure lamm_claims_table locality_table manipulation_table partition_figure region_samples_figure "
            "swap_figure"
        ),
        "papers.neural3dmm_bu3dfe.artefacts": (
            "claims_figure convergence_figure convergence_table error_view figure1 figure2 figure3 figure4 figure5 "
            "figure6 figure7 figure8 figure9 generalization_table landmark_distance_figure landmark_table table1 table2"
        ),
        "papers.setup": "Setup",
    },
    "artefacts.peers": {"papers.comparison.tables": "rank_frame rank_note"},
    "artefacts.published": {"papers.neural3dmm_bu3dfe.published": "published_numbers"},
    "checkpoint": {"apply.exported": "load load_run"},
    "claims": {"papers.neural3dmm_bu3dfe.claims": "untested_table"},
    "conformance": {"checks.models": "check_model"},
    "experiments": {
        "papers.comparison.experiments": "peer_runs",
        "papers.lamm.experiments": "LAMM_LATENT lamm_preset",
        "papers.registry": "experiment",
        "runs.sweep": "sweep",
    },
    "figures": {
        "papers.neural3dmm_bu3dfe.tables": "expression_table",
        "view.curves": "error_cdf_figure error_table",
        "view.heatmaps": "heatmap_figure",
        "view.people": "contact_sheet_figure",
        "view.spirals": "spiral_figure",
        "view.style": "save_figure",
    },
    "inference": {"models.interface": "for_one_mesh"},
    "ledger": {"papers.neural3dmm_bu3dfe.ledger": "ledger_table"},
    "mesh.coarsen": {"mesh.hierarchy": "build_hierarchy"},
    "panel": {"view.panel": "EditPanel"},
    "partition": {"mesh.partition": "Partition"},
    "ranking": {"statistics.ranking": "rank_models"},
    "results": {"runs.results": "load_result result_path results_folder"},
    "run": {"record.run": "Run", "runs.execute": "execute", "tasks.published": "published_run"},
    "show": {"view.show": "show_mesh"},
    "workbook": {"pages.workbook": "Sheet Workbook claims_table"},
}
PAPERS = {path.parent.name for path in (ROOT / "bench3dmm" / "papers").glob("*/__init__.py")}


def there(home):
    """A paper that somebody left out has no modules."""
    wing, *parts = home.split(".")
    return wing != "papers" or len(parts) < 2 or parts[0] in PAPERS


MOVED = [
    pytest.param(old, name, home, id=f"{old}.{name}")
    for old, homes in MENTIONED.items()
    for home, names in homes.items()
    if there(home)
    for name in names.split()
]

# The same of modules that are where they were.
STAYED = {
    "": "load",
    "bench": "SECTIONS load_bench run_bench",
    "bench.pictures": "compare_figure lamm_figure layers_figure peers_figure scaling_figure",
    "bench.report": "frame provenance",
    "data": "departures load_dataset",
    "data.dataset": "Dataset",
    "mesh.template": "Template",
    "models": "register",
    "models.lamm": "Lamm PRESETS STAGE_1 STAGE_2",
}


def module(name):
    return importlib.import_module(f"bench3dmm.{name}".rstrip("."))


@pytest.mark.parametrize("old", bench3dmm._MOVED)
def test_each_old_name_leads_to_modules_that_import(old):
    assert not (ROOT / "bench3dmm" / old.replace(".", "/")).with_suffix(".py").exists(), "it has not moved"
    homes = bench3dmm._MOVED[old].split()
    assert homes and len(set(homes)) == len(homes)
    assert all(module(home).__doc__ for home in homes if there(home))
    assert module(old).__name__ == f"bench3dmm.{old}"


@pytest.mark.parametrize(("old", "name", "home"), MOVED)
def test_an_old_name_gives_the_same_object_with_a_warning(old, name, home):
    there = module(old)
    with pytest.warns(DeprecationWarning, match=re.escape(f"bench3dmm.{old}.{name} has moved to bench3dmm.")) as said:
        found = getattr(there, name)
    assert found is getattr(module(home), name)
    (warning,) = said
    assert warning.filename == __file__, "it says where the old name is used"
    named = str(warning.message).rpartition("bench3dmm.")[2]
    assert getattr(module(named), name) is found


@pytest.mark.parametrize("where", STAYED)
def test_what_has_not_moved_gives_no_warning(where):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        for name in STAYED[where].split():
            assert getattr(module(where), name) is not None


def test_importing_warns_of_each_name_where_it_is_used():
    program = "from bench3dmm.run import (\n    Run,\n    execute,\n)\nfrom bench3dmm import artefacts\n"
    program += "artefacts.figure4, artefacts.peers.rank_frame\nimport bench3dmm.mesh.coarsen as c\nc.build_hierarchy\n"
    command = [sys.executable, "-W", "always::DeprecationWarning", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    said = [line.partition("Warning: ")[2] for line in done.stderr.splitlines() if "has moved" in line]
    assert said == [
        "bench3dmm.run.Run has moved to bench3dmm.record.run",
        "bench3dmm.run.execute has moved to bench3dmm.runs.execute",
        "bench3dmm.artefacts.figure4 has moved to bench3dmm.papers.neural3dmm_bu3dfe.artefacts",
        "bench3dmm.artefacts.peers.rank_frame has moved to bench3dmm.papers.comparison.tables",
        "bench3dmm.mesh.coarsen.build_hierarchy has moved to bench3dmm.mesh.hierarchy",
    ]


def test_an_emptied_folder_of_an_old_name_does_not_hide_it(tmp_path):
    """As an update of a checkout leaves them behind, with nothing but compiled modules in them."""
    (tmp_path / "old_names" / "figures" / "__pycache__").mkdir(parents=True)
    (tmp_path / "old_names" / "__init__.py").write_text(
        "from bench3dmm.system import moved\nmoved.sys.meta_path = [f for f in moved.sys.meta_path"
        " if not isinstance(f, moved.Moved)]\nmoved.install({'old_names.figures': ['bench3dmm.view.style']})\n"
    )
    program = "from old_names import figures; print(figures.save_figure.__module__)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "bench3dmm.view.style\n", done.stderr


@pytest.mark.parametrize("name", ["no_such_thing", "__wrapped__", "__path_"])
def test_an_unknown_attribute_is_an_attribute_error(name):
    old = module("losses")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AttributeError, match=rf"module 'bench3dmm\.losses' has no attribute '{name}'"):
            getattr(old, name)
        assert not hasattr(old, name)


def test_a_name_that_never_was_is_no_module():
    with pytest.raises(ModuleNotFoundError, match=r"bench3dmm\.nothing"):
        module("nothing")
    with pytest.raises(ImportError, match="no_such_thing"):
        exec("from bench3dmm.losses import no_such_thing")


def test_an_old_module_that_was_a_program_says_where_it_is():
    command = [sys.executable, "-m", "bench3dmm.ledger"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "bench3dmm.ledger has moved to bench3dmm.papers.neural3dmm_bu3dfe.ledger" in done.stderr


def test_old_names_are_looked_up_once_however_often_they_are_installed():
    before = list(sys.meta_path)
    install({"bench3dmm.other": ["bench3dmm.errors"]})
    assert sys.meta_path == before
    assert sum(isinstance(finder, Moved) for finder in before) == 1
