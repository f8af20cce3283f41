"""Which results are compared."""

from __future__ import annotations

import pytest
from peer_results import PERSONS, SETUP, peer_result

from bench3dmm.errors import DataError
from bench3dmm.papers.comparison.chosen import peers_headline
from bench3dmm.papers.comparison.figures import error_over_latent_figure, error_over_time_figure, region_figure
from bench3dmm.papers.comparison.tables import (
    breakdown_table,
    measures_table,
    pairs_table,
    published_table,
    ranking_table,
)


@pytest.mark.parametrize(
    "make",
    [
        ranking_table,
        pairs_table,
        measures_table,
        breakdown_table,
        published_table,
        peers_headline,
        error_over_latent_figure,
        error_over_time_figure,
        region_figure,
    ],
)
def test_without_results_the_command_is_named(make):
    with pytest.raises(DataError, match="`bench3dmm sweep peers --profile quick`"):
        make([], SETUP)


def test_results_of_two_versions_are_refused(results):
    run = results[0].run
    with pytest.raises(DataError, match="measured on 2 versions"):
        ranking_table([peer_result(run, PERSONS, split_sha256="older"), *results[1:]], SETUP)
