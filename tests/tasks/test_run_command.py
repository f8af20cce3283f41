"""The command that gives a run."""

from __future__ import annotations

import shlex

import pytest

from bench3dmm.record.run import Run
from bench3dmm.tasks.published import published_run, run_command


@pytest.mark.parametrize(
    "run",
    [
        published_run(dataset="mh-scan", model="coma", latent=64, profile="quick"),
        published_run(dataset="mh-seq@clean", model="spiralnet", seed=2, split="without:bareteeth"),
        Run("mh-scan", model="coma", latent=8),
        Run("mh-scan", loss="weighted-l1", weight_decay=2.2e-6),
    ],
)
def test_the_command_gives_the_run_whatever_the_defaults_of_its_fields_are(run):
    words = shlex.split(run_command(run))
    assert words[:2] == ["bench3dmm", "run"]
    kinds = {name: type(value) for name, value in run.as_dict().items()}
    names = [word.removeprefix("--").replace("-", "_") for word in words[2::2]]
    given = {name: kinds[name](word) for name, word in zip(names, words[3::2], strict=True)}
    assert Run(**given) == published_run(**given) == run
