"""Runs with the training that their model was published with, what they begin with, and what trains them."""

from __future__ import annotations

import dataclasses
import shlex

import pytest

from bench3dmm.cli.app import app
from bench3dmm.errors import UnknownNameError
from bench3dmm.models import published_training
from bench3dmm.record.run import TRAINING, Run
from bench3dmm.tasks.published import base_run, published_run, reconstruction_of, run_command


def test_published_training_is_the_models_unless_said_otherwise():
    coma = published_run(dataset="mh-scan", model="coma")
    assert (coma.optimizer, coma.learning_rate, coma.weight_decay, coma.batch_size) == ("sgd", 8e-3, 5e-4, 16)
    assert published_run(dataset="mh-scan", model="coma", optimizer="adam", learning_rate=1e-3, weight_decay=5e-5) == (
        Run("mh-scan", model="coma")
    )
    spiralnet = published_run(dataset="mh-scan", model="spiralnet")
    assert (spiralnet.optimizer, spiralnet.weight_decay, spiralnet.batch_size) == ("adam", 0.0, 32)
    assert published_run(dataset="mh-scan") == Run("mh-scan")
    with pytest.raises(UnknownNameError, match="coma"):
        published_run(dataset="mh-scan", model="komma")


def test_each_task_has_its_own_published_training_and_others_the_reconstruction_s():
    lamm = {
        task: published_run(dataset="mh-scan", model="lamm", task=task) for task in ("reconstruction", "manipulation")
    }
    of = {task: {name: getattr(run, name) for name in TRAINING} for task, run in lamm.items()}
    assert of["reconstruction"] != of["manipulation"]
    for task, fields in of.items():
        assert published_training("lamm", "paper", task).items() <= fields.items()
    assert published_training("lamm", "paper", "somebody else's") == published_training("lamm", "paper")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "lamm", "preset": "smal"}, "unknown preset of model lamm 'smal'. Did you mean 'small'?"),
        ({"model": "lamm", "task": "manipulate"}, "unknown task 'manipulate'. Did you mean 'manipulation'?"),
        ({"model": "coma", "task": "manipulation"}, "unknown task of model coma 'manipulation'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(fields, says):
    with pytest.raises(UnknownNameError) as raised:
        published_run(dataset="mh-scan", **fields)
    assert str(raised.value).startswith(says)


def test_a_run_begins_with_the_reconstruction_that_has_its_fields_and_its_published_training():
    fields = {"dataset": "mh-seq", "split": "identity", "model": "lamm", "preset": "small", "latent": 64, "seed": 2}
    run = published_run(**fields, task="manipulation", epochs=7, learning_rate=1e-5)
    assert base_run(run) == reconstruction_of(run) == published_run(**fields, epochs=7)
    assert base_run(base_run(run)) is None
    assert base_run(dataclasses.replace(run, task="manipulation-from-scratch")) is None
    assert base_run(published_run(dataset="mh-seq", model="pca", task="manipulation")) is None, "there are no weights"


@pytest.mark.parametrize(
    "run",
    [
        Run("mh-scan"),
        published_run(dataset="mh-scan", model="coma", latent=8, split="identity", profile="quick"),
        published_run(dataset="mh-scan", model="coma", weight_decay=5e-5),
        published_run(dataset="mh-scan@clean", model="lamm", preset="small", task="manipulation", warm_up=0.25),
        Run("mh scan's", seed=3, epochs=9),
        Run("mh-scan", split="without:happy", model="spiralnet"),
        published_run(dataset="mh-seq@clean", model="spiralnet", seed=2, split="without:bareteeth"),
        Run("mh-scan", loss="weighted-l1", weight_decay=2.2e-6),
    ],
)
def test_the_command_of_a_run_trains_that_run(run, monkeypatch):
    """Given back to the command line, it asks for the same run; and it says no more than it must."""
    asked = []
    monkeypatch.setattr("bench3dmm.runs.execute.execute", lambda run, *_, **__: asked.append(run) or exit(0))
    words = shlex.split(run_command(run))
    with pytest.raises(SystemExit):
        app(words[1:])
    assert words[0] == "bench3dmm" and asked == [run]


def test_the_command_of_a_run_says_what_differs_from_the_defaults():
    assert run_command(Run("mh-scan")) == "bench3dmm run --dataset mh-scan"
    coma = published_run(dataset="mh-scan", model="coma", seed=1)
    assert run_command(coma).startswith("bench3dmm run --dataset mh-scan --model coma --seed 1")
