"""Rankings: who wins, who ties, that the intervals hold what they promise, and that nothing unlike is compared."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from ranked_results import PERSONS, pca, ranked, result, seeds_of, two_to_a_person
from scipy import stats

from bench3dmm.errors import DataError
from bench3dmm.record.run import Run
from bench3dmm.runs.stored import on_protocol
from bench3dmm.statistics.bootstrap import bootstrap_mean
from bench3dmm.statistics.ranking import BETTER, TIE, WORSE, rank_models, rankings
from bench3dmm.tasks.published import published_run

# --- who wins -----------------------------------------------------------------------------------------------------


def test_a_clear_order_is_a_ranking():
    found = ranked(seeds_of("coma", 1.2), pca(0.8), seeds_of("neural3dmm", 1.0))
    assert [(s.model, s.rank, s.place) for s in found.standings] == [
        ("pca", 1, "1"),
        ("neural3dmm", 2, "2"),
        ("coma", 3, "3"),
    ]
    assert (found.unit, found.units, found.unranked, found.devices) == ("persons", PERSONS, "", ("a machine",))
    assert found.better_than("coma") == ["pca", "neural3dmm"] and found.better_than("pca") == []
    pair = found.pair("pca", "coma")
    assert pair.verdict == BETTER
    assert pair.difference.low < pair.difference.point < pair.difference.high < 0
    assert pair.ratio.low < 0.8 / 1.2 < pair.ratio.high < 1


def test_persons_that_are_hard_for_all_cancel():
    """Intervals of the means overlap by far, the paired difference is still told from 0."""
    found = ranked(seeds_of("coma", 1.05), pca(1.0))
    best, worst = found.standings
    assert best.mean.high > worst.mean.point and found.pair("pca", "coma").verdict == BETTER


def test_identical_models_tie():
    errors = [one.arrays["sample_error"] for one in seeds_of("coma", 1.0, seed_sd=0.05)]
    copies = {name: [result(name, e, seed=s) for s, e in enumerate(errors)] for name in ("coma", "spiralnet")}
    found = ranked(*copies.values(), seeds_of("neural3dmm", 3.0))
    pair = found.pair("coma", "spiralnet")
    assert pair.verdict == TIE and pair.difference.point == 0
    assert pair.difference.low < 0 < pair.difference.high, "their seeds are drawn apart"
    assert [s.place for s in found.standings] == ["1=", "1=", "3"]


def test_two_equal_linear_models_tie_without_any_doubt():
    (one,) = pca(1.0)
    other = dataclasses.replace(one, run=dataclasses.replace(one.run, model="my-pca"))
    found = rank_models([one, other], two_to_a_person)
    difference = found.pairs[0].difference
    assert (difference.low, difference.high) == (0, 0) and found.pairs[0].verdict == TIE


def test_ties_are_not_transitive():
    """a ties with b and b with c, but a is better than c: a and b are first, c is behind a alone."""
    wide = seeds_of("b", 1.03, seed_sd=0.06)
    found = ranked(seeds_of("aaaa", 1.0, seed_sd=0.001), wide, seeds_of("cc", 1.06, seed_sd=0.001))
    assert found.pair("aaaa", "b").verdict == found.pair("b", "cc").verdict == TIE
    assert found.pair("aaaa", "cc").verdict == BETTER
    assert {s.model: s.place for s in found.standings} == {"aaaa": "1=", "b": "1=", "cc": "2"}


def test_a_pair_turned_is_its_mirror_image():
    found = ranked(seeds_of("coma", 1.02), pca(1.0))
    one, other = found.pair("pca", "coma"), found.pair("coma", "pca")
    assert {one.verdict, other.verdict} == {BETTER, WORSE}
    assert other.difference.low == -one.difference.high and other.difference.point == -one.difference.point
    assert other.ratio.low == pytest.approx(1 / one.ratio.high)
    assert found.pair("pca", "none") is None


def test_neither_order_nor_company_changes_a_pair():
    models = [seeds_of("coma", 1.0), seeds_of("spiralnet", 1.01), pca(1.02), seeds_of("neural3dmm", 0.99)]
    whole = ranked(*models)
    again = ranked(*reversed([list(reversed(model)) for model in models]))
    assert whole == again
    alone = ranked(models[0], models[1])
    assert alone.pair("coma", "spiralnet") == whole.pair("coma", "spiralnet")


def test_the_point_and_its_interval_are_those_of_the_bootstrap():
    """A model's own interval is the one that all other tables show, up to the draws."""
    entered = seeds_of("coma", 1.0, seed_sd=0.05)
    found = ranked(entered, pca(1.0), resamples=20_000).standing("coma").mean
    errors = np.stack([one.arrays["sample_error"] for one in entered])
    expected = bootstrap_mean(errors, two_to_a_person(""), resamples=20_000, seed=5)
    assert found.point == pytest.approx(expected.point)
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_intervals_of_seeds_alone_are_welchs():
    """With all persons alike, the interval of a difference is that of Welch's t test."""
    rng = np.random.default_rng(3)
    means = {"a": 1 + 0.02 * rng.normal(size=12), "b": 1.01 + 0.05 * rng.normal(size=9)}
    entered = [result(name, np.full(80, mean), seed=s) for name in means for s, mean in enumerate(means[name])]
    pair = rank_models(entered, two_to_a_person, resamples=20_000).pair("a", "b")
    expected = stats.ttest_ind(means["a"], means["b"], equal_var=False).confidence_interval(0.95)
    width = expected.high - expected.low
    assert pair.difference.low == pytest.approx(expected.low, abs=0.04 * width)
    assert pair.difference.high == pytest.approx(expected.high, abs=0.04 * width)


@pytest.mark.parametrize(
    ("seeds_a", "person_sd", "seed_sd", "persons"),
    [
        (3, 0.1, 0.02, 100),
        (3, 0.3, 0.005, 100),
        (3, 0.02, 0.05, 100),
        (1, 0.1, 0.02, 100),
        (1, 0.02, 0.05, 100),
        (3, 0.1, 0.02, 8),
    ],
    ids=["both", "persons", "seeds", "against PCA", "seeds against PCA", "eight persons"],
)
def test_intervals_of_pairs_hold_the_true_difference(seeds_a, person_sd, seed_sd, persons):
    """Persons and seeds, as they are modelled: two-way, persons shared by both models, seeds of each by itself."""
    rng = np.random.default_rng(7)
    trials, covered = 300, 0

    def entered(name, mean, hard, seeds, sd):
        own = mean + person_sd * rng.normal(size=persons)  # what each person's faces cost this model
        return [
            result(name, hard + own + sd * rng.normal() + 0.02 * rng.normal(size=persons), seed=s, losses=seeds > 1)
            for s in range(seeds)
        ]

    for _ in range(trials):
        hard = rng.normal(5, 1, persons)
        models = entered("a", 0.0, hard, seeds_a, seed_sd if seeds_a > 1 else 0), entered("b", 0.1, hard, 3, seed_sd)
        found = rank_models(itertools.chain(*models), lambda _: np.arange(persons), resamples=400)
        difference = found.pair("a", "b").difference
        covered += difference.low <= -0.1 <= difference.high
    assert 0.91 <= covered / trials <= 0.99  # 0.95 up to three standard errors; a little wide where both count


# --- what is not ranked -------------------------------------------------------------------------------------------


def test_two_seeds_have_no_rank_but_a_mean():
    found = ranked(seeds_of("coma", 0.5, count=2), pca(1.0), seeds_of("neural3dmm", 1.2))
    assert [(s.model, s.place) for s in found.standings] == [("coma", "–"), ("pca", "1"), ("neural3dmm", "2")]
    assert found.unranked == "coma (2 seeds, fewer than 3)" and found.pair("coma", "pca") is None
    assert found.standing("coma").mean.point == pytest.approx(0.5, rel=0.1)
    assert len(found.pairs) == 1


def test_four_persons_rank_nobody():
    entered = [*seeds_of("coma", 1.0), *pca(0.1)]
    found = rank_models(entered, lambda _: np.repeat(np.arange(4), 20))
    assert found.pairs == () and {s.rank for s in found.standings} == {None}
    assert found.unranked == "pca and coma (4 persons, fewer than 5)"


def test_nobody_is_first_alone():
    found = ranked(pca(1.0))
    assert found.standings[0].place == "–" and found.unranked == "pca (nothing to compare it with)"


def test_meshes_are_drawn_where_persons_are_not_known():
    found = rank_models([*seeds_of("coma", 1.0), *pca(0.9)], lambda _: None)
    assert (found.unit, found.units) == ("meshes", 2 * PERSONS)


# --- what is not compared -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"dataset": "other"}, "one dataset, not of faces and other"),
        ({"split": "identity"}, "one split"),
        ({"latent": 8}, "one latent, not of 16 and 8"),
        ({"profile": "smoke"}, "one profile"),
        ({"epochs": 5}, "trained for 5 and 30 epochs"),
        ({"provenance": {"split_sha256": "older"}}, "measured on 2 versions"),
        ({"provenance": {"dataset_recipe_sha256": "older"}}, "measured on 2 versions"),
        ({"rows": np.arange(80) + 1}, "tested on other meshes"),
    ],
)
def test_what_is_unlike_is_refused(other, message):
    with pytest.raises(DataError, match=message):
        ranked(seeds_of("coma", 1.0), seeds_of("spiralnet", 1.0, **other))


def test_a_closed_form_has_no_epochs_to_differ_in():
    ranked(seeds_of("coma", 1.0), pca(1.0, epochs=5))
    with pytest.raises(DataError, match="no results"):
        rank_models([])


def test_each_cell_is_ranked_by_itself():
    entered = [*seeds_of("coma", 1.0, latent=64), *pca(0.9, latent=64), *seeds_of("coma", 1.0), *pca(1.2)]
    entered += pca(1.0, split="identity")
    found = rankings(entered, two_to_a_person)
    assert [(one.split, one.latent) for one in found] == [("percentage", 16), ("percentage", 64), ("identity", 16)]
    assert [one.standings[0].model for one in found] == ["coma", "pca", "pca"]


def test_variants_of_one_model_compete_under_names_that_tell_them_apart():
    found = ranked(seeds_of("coma", 1.0), seeds_of("coma", 1.3, preset="release"), pca(1.1))
    assert [s.model for s in found.standings] == ["coma", "pca", "coma, preset release"]
    rates = [seeds_of("coma", 1.0, learning_rate=rate) for rate in (1e-3, 1e-2)]
    assert {s.model for s in ranked(*rates).standings} == {"coma, learning_rate 0.001", "coma, learning_rate 0.01"}
    assert ranked(pca(1.0), seeds_of("coma", 1.3, preset="release")).standings[1].model == "coma, preset release"


def test_models_of_others_compete():
    found = ranked(seeds_of("theirs.models:mlp", 0.8), pca(1.1))
    assert found.standings[0].model == "theirs.models:mlp" and found.standings[0].place == "1"


def test_what_is_on_the_protocol():
    assert on_protocol(published_run(dataset="mh-scan", model="coma"))
    for other in ({"epochs": 5}, {"loss": "weighted-l1"}, {"validation": 100}, {"test_share": 0.1}):
        assert not on_protocol(Run("mh-scan", **other))


def test_the_order_of_a_standings_seeds_and_its_deviation():
    standing = ranked(seeds_of("coma", 1.0, seed_sd=0.05), pca(1.0)).standing("coma")
    assert list(standing.seeds) == [0, 1, 2]
    assert standing.sd == pytest.approx(np.std(list(standing.seeds.values()), ddof=1))
    assert np.isnan(ranked(pca(1.0), seeds_of("coma", 1.0)).standing("pca").sd)
