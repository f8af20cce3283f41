"""The conformance suite: the project's own models pass it, and each way of breaking a model fails its own check."""

from __future__ import annotations

import pkgutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from broken_models import BROKEN, Whole

from bench3dmm import models
from bench3dmm.checks.models import CHECKS, NEEDED, check_model
from bench3dmm.checks.suite import FAILED, PASSED, SKIPPED
from bench3dmm.errors import UnknownNameError
from bench3dmm.models import preset_names, registry

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


class Graph(Whole):
    """Averages neighbours with a sparse matrix, as graph nets in plain PyTorch do."""

    def __init__(self, hierarchy, latent, layout, persistent):
        super().__init__(hierarchy.sizes[0], latent)
        matrix = hierarchy.upsampling(0) @ hierarchy.downsampling(0)
        dense = torch.from_numpy(matrix.toarray()).float()
        self.register_buffer("average", dense.to_sparse(layout=layout), persistent=persistent)

    def encode(self, x):
        batch = len(x)
        columns = x.transpose(0, 1).reshape(x.shape[1], -1)
        return super().encode((self.average @ columns).view(-1, batch, 3).transpose(0, 1).contiguous())


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_a_model_with_sparse_buffers_takes_part_if_files_leave_them_out(monkeypatch, layout):
    def build(hierarchy, latent, *, preset):
        return Graph(hierarchy, latent, layout, persistent)

    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    registry.register("graph")(build)
    persistent = False
    assert {check.name: check.sentence for check in check_model("graph") if check.outcome == FAILED} == {}
    persistent = True
    failed = {check.name: check.sentence for check in check_model("graph") if check.outcome == FAILED}
    assert list(failed) == ["saves"] and "register_buffer('average', ..., persistent=False)" in failed["saves"]


def test_unknown_names_are_refused():
    for arguments in (("neural3dm",), ("neural3dmm", "released")):
        with pytest.raises(UnknownNameError, match="Did you mean"):
            check_model(*arguments)


def test_what_a_task_asks_comes_after_what_all_are_asked():
    checks = check_model("lamm", "small", 4, task="manipulation")
    assert [check.name for check in checks] == [*CHECKS, "manipulation: told", "manipulation: still"]
    assert [check.outcome for check in checks[-2:]] == [PASSED, PASSED]
    assert checks[-2].sentence.startswith("8 regions with "), checks[-2]
    assert outcomes(check_model("pca", task="reconstruction"))["builds"] == PASSED, "nothing more is asked"


class Untold(Whole):
    """Is trained for manipulation, and decodes as if nothing had been displaced."""

    def __init__(self, n_vertices, latent):
        super().__init__(n_vertices, latent)
        self.partition = SimpleNamespace(control_ids=np.arange(5), controls={"nose": np.arange(5)})

    def decode(self, z, displacements=None):
        return super().decode(z)

    def manipulation_loss(self, source, target, alpha, loss):
        return loss(self(source), target)


class Restless(Untold):
    """Told of a displacement it moves, however small it is."""

    def decode(self, z, displacements=None):
        x = super().decode(z)
        return x if displacements is None else x + 1 + displacements.mean()


class Unready(Whole):
    """Knows nothing of regions."""


@pytest.mark.parametrize(
    ("kind", "failed", "sentence"),
    [
        (Untold, "manipulation: told", "decode(z, displacements) does not depend on the displacements"),
        (Restless, "manipulation: still", "an edit of nothing changes the face"),
        (Unready, "manipulation: told", "the model has no partition and no manipulation_loss"),
    ],
)
def test_a_model_that_is_not_told_of_displacements_fails_what_the_task_asks(monkeypatch, kind, failed, sentence):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    build = lambda hierarchy, latent, *, preset: kind(hierarchy.sizes[0], latent)  # noqa: E731
    models.register("untold", tasks={"manipulation": {}})(build)
    checks = check_model("untold", latent=4, task="manipulation")
    assert FAILED not in outcomes(checks[:-2]).values()
    found = {check.name: check for check in checks[-2:]}
    assert found[failed].outcome == FAILED and sentence in found[failed].sentence


def test_a_task_that_the_model_takes_no_part_in_is_refused():
    with pytest.raises(UnknownNameError, match="unknown task of model coma 'manipulation'"):
        check_model("coma", task="manipulation")


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
