"""Which papers there are, and which runs their experiments have."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench3dmm.errors import DataError, UnknownNameError
from bench3dmm.papers import registry
from bench3dmm.papers.paper import Paper
from bench3dmm.papers.registry import experiment
from bench3dmm.record.grid import shown_value, varying_fields
from bench3dmm.record.profiles import PROFILES
from bench3dmm.runs.execute import check_names
from bench3dmm.system.checkout import ROOT

NAMES = ("dataset", "split", "model", "preset", "latent", "profile", "seed")


# --- papers -------------------------------------------------------------------------------------------------------


def test_every_folder_is_a_paper():
    folders = {path.parent.name for path in Path(registry.__file__).parent.glob("*/__init__.py")}
    found = registry.papers()
    assert set(found) == folders >= {"neural3dmm_bu3dfe", "comparison"}
    assert all(name == paper.name for name, paper in found.items())
    assert list(found) == sorted(found, key=lambda name: (found[name].order, name))
    assert next(iter(found)) == "neural3dmm_bu3dfe", "the replicated paper comes first"
    assert len({paper.short for paper in found.values()}) == len(found)
    for paper in found.values():
        assert paper.short and paper.summary and "\n" not in paper.summary
        assert bool(paper.title) == bool(paper.citation)


@pytest.mark.parametrize("what", ["experiments", "groups", "notebooks"])
def test_no_two_papers_have_one_name(what):
    every = [name for paper in registry.papers().values() for name in getattr(paper, what)]
    assert len(set(every)) == len(every)
    assert set(getattr(registry, what)()) == set(every)


def test_experiments_are_found_with_their_paper_in_the_papers_order():
    found = registry.experiments()
    assert list(found) == [name for paper in registry.papers().values() for name in paper.experiments]
    for name, one in found.items():
        assert one.name == name and registry.papers()[one.paper].experiments[name] is one.make


def test_every_experiment_says_in_a_line_what_it_is_for():
    lines = {name: one.summary for name, one in registry.experiments().items()}
    assert all(20 < len(line) <= 120 and line == line.strip() for line in lines.values()), lines
    assert len(set(lines.values())) == len(lines)


def test_groups_stand_for_experiments_and_have_names_of_their_own():
    assert registry.experiment_names() == [*registry.groups(), *registry.experiments()]
    assert len(set(registry.experiment_names())) == len(registry.experiment_names())
    assert registry.groups()["paper"] == ("datasets", "splits", "weighted-loss", "ledger", "convergence")
    for name, members in registry.groups().items():
        assert set(members) <= set(registry.experiments())
        of_members = [run for member in members for run in experiment(member)]
        assert experiment(name) == list(dict.fromkeys(of_members)), "each run once, where it first comes"


def test_notebooks_are_exactly_the_files():
    files = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert list(registry.notebooks()) == files
    assert all(shows and "\n" not in shows for shows in registry.notebooks().values())


def test_two_papers_with_one_experiment_are_refused(monkeypatch):
    def make(coma, bu3dfe, **common):
        """Runs."""

    first = Paper(name="first", short="First", summary="", experiments={"one": make, "shared": make})
    second = Paper(name="second", short="Second", summary="", experiments={"shared": make})
    monkeypatch.setattr(registry, "papers", lambda: {"first": first})
    assert list(registry.experiments.__wrapped__()) == ["one", "shared"]
    monkeypatch.setattr(registry, "papers", lambda: {"first": first, "second": second})
    with pytest.raises(DataError, match="an experiment of second is called 'shared', as one of first is"):
        registry.experiments.__wrapped__()


def test_a_part_of_a_paper_is_a_module_of_its_folder_or_none():
    assert registry.part_of("neural3dmm_bu3dfe", "claims").__name__ == "bench3dmm.papers.neural3dmm_bu3dfe.claims"
    assert registry.part_of("comparison", "claims") is None
    assert all(registry.part_of(name, "artefacts") for name in registry.papers())


def test_an_unknown_experiment_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'weighted_loss'\. Did you mean 'weighted-loss'\?"):
        experiment("weighted_loss")


# --- experiments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", registry.experiment_names())
def test_every_run_of_an_experiment_can_be_executed(name, profile):
    runs = experiment(name, "mh-seq", "mh-scan@clean", profile, seeds=(0, 7))
    assert len(set(runs)) == len(runs)
    assert {run.dataset for run in runs} <= {"mh-seq", "mh-scan@clean"}
    assert {run.profile for run in runs} == {profile} and {run.seed for run in runs} <= {0, 7}
    for run in runs:
        check_names(run)


def test_an_unknown_profile_is_refused():
    with pytest.raises(UnknownNameError, match="smoke"):
        experiment("splits", profile="smok")


@pytest.mark.parametrize("name", registry.experiment_names())
def test_the_fields_that_vary_tell_every_run_of_an_experiment_apart(name):
    runs = experiment(name)
    fields = varying_fields(runs)
    assert len({tuple(shown_value(run, field) for field in fields) for run in runs}) == len(runs)
