"""The conformance suite: the project's own models pass it, and each way of breaking a model fails its own check."""

from __future__ import annotations

import pkgutil

import pytest
from broken_models import BROKEN

from bench3dmm import models
from bench3dmm.checks.models import CHECKS, NEEDED, check_model
from bench3dmm.checks.suite import FAILED, PASSED, SKIPPED
from bench3dmm.errors import UnknownNameError
from bench3dmm.models import preset_names

NO_MODELS = {"interface", "layers", "registry"}
FILES = [module.name for module in pkgutil.iter_modules(models.__path__) if module.name not in NO_MODELS]  # one a model
LONG = {"paper-full-targets"}  # a minute; the same network as paper, with the loss of small-full-targets
OWN = [(name, preset) for name in FILES for preset in preset_names(name) if preset not in LONG]
UNTRIED = {"pca": {"gradient", "memory order"}, "lamm": {"memory order"}}


def outcomes(checks):
    assert [check.name for check in checks] == list(CHECKS)
    assert all(check.sentence and "\n" not in check.sentence for check in checks)
    return {check.name: check.outcome for check in checks}


@pytest.mark.parametrize(("name", "preset"), OWN)
def test_the_project_s_own_models_take_part(name, preset):
    checks = check_model(name, preset)
    expected = {check: SKIPPED if check in UNTRIED.get(name, ()) else PASSED for check in CHECKS}
    assert outcomes(checks) == expected, checks


def test_a_plain_model_takes_part():
    found = outcomes(check_model("broken_models:whole", latent=5))
    assert found == {check: SKIPPED if check == "memory order" else PASSED for check in CHECKS}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_model_fails_its_own_check_alone(name):
    broken, sentence = BROKEN[name]
    checks = check_model(name)
    failed = [check for check in checks if check.outcome == FAILED]
    assert [check.name for check in failed] == [broken], failed
    assert sentence in failed[0].sentence
    later = list(CHECKS)[list(CHECKS).index(broken) + 1 :]
    for check in checks:
        if broken in NEEDED and check.name in later:
            assert check.outcome == SKIPPED and broken in check.sentence


def test_each_check_has_a_model_that_breaks_it():
    assert {check for check, _ in BROKEN.values()} == set(CHECKS)


def test_unknown_names_are_refused():
    for arguments in (("neural3dm",), ("neural3dmm", "released")):
        with pytest.raises(UnknownNameError, match="Did you mean"):
            check_model(*arguments)


def test_the_command_shows_a_row_a_check(command):
    code, out, err = command("check", "broken_models:whole", "--latent", 3)
    assert code == 0, err
    rows = out.splitlines()
    for row, name in zip(rows[1:], CHECKS, strict=False):
        assert row.startswith(name)
    assert "broken_models:whole can take part" in rows[-1]
    code, out, err = command("check", "broken-Mixing")
    assert code == 1 and err == ""
    assert "broken-Mixing cannot take part yet: batch failed" in out
    code, _, err = command("check", "neural3dm")
    assert code == 2 and "Did you mean 'neural3dmm'?" in err
