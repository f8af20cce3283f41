"""Runs with the training that their model was published with."""

from __future__ import annotations

import pytest

from bench3dmm.errors import UnknownNameError
from bench3dmm.record.run import Run
from bench3dmm.tasks.published import published_run


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
