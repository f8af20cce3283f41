"""The suite for tasks: the project's own pass it, and each way of breaking a task fails its own check."""

from __future__ import annotations

import pytest
from broken_tasks import BROKEN

from bench3dmm.checks.suite import FAILED, PASSED, SKIPPED
from bench3dmm.checks.tasks import CHECKS, check_task
from bench3dmm.errors import PluginError, UnknownNameError
from bench3dmm.tasks.registry import task_names, task_origin

OWN = [name for name in task_names() if task_origin(name) is None]


def outcomes(checks):
    assert [check.name for check in checks] == list(CHECKS)
    assert all(check.sentence and "\n" not in check.sentence for check in checks)
    return {check.name: check.outcome for check in checks}


@pytest.mark.parametrize("name", [*OWN, "plain_tasks:TASK", "plain_tasks:Means"])
def test_a_task_can_take_part(name):
    checks = check_task(name)
    assert outcomes(checks) == dict.fromkeys(CHECKS, PASSED), checks


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("reconstruction", "begins with new weights"),
        ("manipulation", "begins with the weights of reconstruction"),
        ("manipulation-from-scratch", "begins with new weights"),
        ("manipulation-by-regions", "begins with the weights of reconstruction"),
    ],
)
def test_what_a_task_begins_with_is_said(name, sentence):
    assert next(check.sentence for check in check_task(name) if check.name == "begins") == sentence


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_task_fails_its_own_check_and_those_after_it_are_not_tried(name):
    _, broken, sentence = BROKEN[name]
    checks = check_task(f"broken_tasks:{name}")
    place = list(CHECKS).index(broken)
    expected = [PASSED] * place + [FAILED] + [SKIPPED] * (len(CHECKS) - place - 1)
    assert list(outcomes(checks).values()) == expected, checks
    assert sentence in checks[place].sentence
    assert all(check.sentence == f"not tried: mend {broken!r} first" for check in checks[place + 1 :])


def test_each_check_has_a_task_that_breaks_it():
    assert {check for _, check, _ in BROKEN.values()} == set(CHECKS)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'manipulation'"):
        check_task("manipulate")
    with pytest.raises(PluginError, match="nobody_has_it"):
        check_task("nobody_has_it:TASK")


def test_the_command_shows_a_row_a_check(command):
    code, out, err = command("check", "--task", "plain_tasks:TASK")
    assert code == 0, err
    rows = out.splitlines()
    for row, name in zip(rows[1:], CHECKS, strict=False):
        assert row.split()[:2] == [name, PASSED]
    assert rows[-1] == (
        "plain_tasks:TASK can take part: bench3dmm run --dataset mh-scan --task plain_tasks:TASK --profile smoke"
    )
    code, out, err = command("check", "--task", "broken_tasks:Peeking")
    assert code == 1 and err == ""
    assert "broken_tasks:Peeking cannot take part yet: rows failed" in out
    code, _, err = command("check", "--task", "manipulate")
    assert code == 2 and "Did you mean 'manipulation'?" in err
    code, _, err = command("check")
    assert code == 2 and "name a model, or a task by --task" in err
