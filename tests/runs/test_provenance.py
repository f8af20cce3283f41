"""What a result says about where it comes from."""

from __future__ import annotations

import datetime
import hashlib
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from packages import forget_modules

import bench3dmm
from bench3dmm.errors import DataError
from bench3dmm.record.run import Run
from bench3dmm.runs import provenance
from bench3dmm.runs.execute import execute
from bench3dmm.runs.results import load_result, load_results, result_path
from bench3dmm.runs.stored import stored_state

TOP = Path(__file__).resolve().parents[2]
TASK = "from plain_tasks import Means\n\n\nclass Grown(Means):\n    pass\n"


@pytest.fixture
def grown(tmp_path, monkeypatch):
    """The source of a task in the working directory, and a run of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # and not, beyond this test, where a name is looked for
    source = tmp_path / "grown_task.py"
    source.write_text(TASK)
    yield source, Run("sphere", model="pca", latent=4, task="grown_task:Grown")
    forget_modules(tmp_path)


def test_provenance_asks_git_about_the_checkout():
    provenance.git_state.cache_clear()
    state = provenance.git_state()
    assert state is None if not (TOP / ".git").exists() else len(state["commit"]) == 40


def test_the_environment_says_versions_machine_and_time():
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    found = provenance.environment(torch.device("cpu"))
    assert set(found) == {
        *("versions", "git", "sources_sha256", "device", "machine", "threads", "peak_memory_mb", "created")
    }
    assert found["versions"] == {
        "bench3dmm": bench3dmm.__version__,
        "python": sys.version.split()[0],
        **{name: metadata.version(name) for name in ("numpy", "scipy", "torch")},
    }
    assert found["threads"] == torch.get_num_threads() and found["device"]
    assert before <= datetime.datetime.fromisoformat(found["created"]) <= datetime.datetime.now(datetime.UTC)


def test_the_project_s_own_code_has_no_origin():
    run = Run("mh-scan")
    assert provenance.origin_of_model("neural3dmm") is None and provenance.origin_of_dataset("mh-scan") is None
    assert provenance.origins(run) == {} and provenance.changed_since(run, {}) == ""


def test_a_task_of_somebody_else_s_is_in_the_provenance(grown, spheres):
    _, run = grown
    result = execute(run, "results", "cpu", progress=False, dataset=spheres)
    assert set(provenance.origins(run)) == {"task_origin"}
    assert result.provenance["task_origin"] == {
        "package": None,
        "version": None,
        "module": "grown_task",
        "source_sha256": hashlib.sha256(TASK.encode()).hexdigest(),
    }
    assert "model_origin" not in result.provenance
    assert result.score == result.metrics["centre"]["mean_mm"]


def test_a_result_is_not_taken_for_one_of_a_task_that_was_edited(grown, spheres, tmp_path):
    source, run = grown
    made = execute(run, "results", "cpu", progress=False, dataset=spheres).provenance
    assert provenance.changed_since(run, made) == "" and stored_state(run, "results") == "stored"
    source.write_text(TASK + "# other\n")
    forget_modules(tmp_path)  # as in another process
    assert provenance.changed_since(run, made) == "grown_task:Grown"
    assert stored_state(run, "results") == "stale"
    with pytest.raises(DataError, match="another version of grown_task:Grown's code; run it again with --force"):
        execute(run, "results", "cpu", progress=False, dataset=spheres)


def test_a_result_stays_readable_where_its_task_is_not(grown, spheres, tmp_path):
    source, run = grown
    made = execute(run, "results", "cpu", progress=False, dataset=spheres)
    source.unlink()
    forget_modules(tmp_path)
    assert provenance.changed_since(run, made.provenance) == "", "there is nothing to compare with"
    assert load_result(result_path(run, "results")).metrics == made.metrics
    (row,) = load_results("results").to_dict("records")
    assert row["task"] == run.task and row["metric"] == "" and row["score"] != row["score"]


def test_a_model_s_change_is_named_before_a_task_s(monkeypatch):
    theirs = {"package": "theirs", "version": "2"}
    monkeypatch.setattr(provenance, "origin_of_model", lambda name: theirs)
    monkeypatch.setattr(provenance, "task_origin", lambda name: theirs)
    run = Run("mh-scan", model="pca")
    older = {"package": "theirs", "version": "1"}
    assert provenance.changed_since(run, {"model_origin": theirs, "task_origin": theirs}) == ""
    assert provenance.changed_since(run, {"model_origin": older, "task_origin": older}) == "pca"
    assert provenance.changed_since(run, {"model_origin": theirs, "task_origin": older}) == "reconstruction"
    assert provenance.changed_since(run, {"model_origin": theirs}) == "reconstruction", "it was the project's own"
