"""Splits are disjoint, complete, sorted, seeded, and independent of the order of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3dmm.data.splits import make_split, split_names
from bench3dmm.errors import DataError, UnknownNameError


def table(counts):
    rows = [
        (f"F{subject + 1}", ("happy", "sad", "fear")[i % 3], float(i % 4) / 4, i)
        for subject, count in enumerate(counts)
        for i in range(count)
    ]
    return pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=2, max_size=30), st.integers(0, 2**31), st.sampled_from(split_names()))
def test_disjoint_complete_and_sorted(counts, seed, name):
    samples = table(counts)
    split = make_split(name, samples, seed)
    assert split.train.dtype == split.test.dtype == np.int64
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(len(samples)))
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.test) > 0).all()
    assert len(split.train) and len(split.test)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 60), min_size=1, max_size=20), st.integers(0, 2**31))
def test_percentage_has_each_identity_on_both_sides(counts, seed):
    samples = table(counts)
    split = make_split("percentage", samples, seed)
    in_test = samples.iloc[split.test].groupby("subject").size()
    for subject, count in samples.groupby("subject").size().items():
        assert in_test[subject] == max(1, round(0.1 * count))
        assert in_test[subject] < count


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 120), st.integers(0, 2**31))
def test_identity_shares_no_subject(subjects, seed):
    samples = table([3] * subjects)
    split = make_split("identity", samples, seed)
    train, test = (set(samples["subject"].iloc[rows]) for rows in (split.train, split.test))
    assert not train & test
    assert len(test) == max(1, round(0.08 * subjects))


def test_identity_holds_out_8_of_100():
    assert len(make_split("identity", table([5] * 100)).test) == 40


@pytest.mark.parametrize("name", split_names())
def test_order_of_rows_does_not_matter(name):
    samples = table([20] * 30)
    order = np.random.default_rng(1).permutation(len(samples))
    shuffled = samples.iloc[order].reset_index(drop=True)
    there, here = make_split(name, shuffled, 5).test, make_split(name, samples, 5).test
    np.testing.assert_array_equal(np.sort(order[there]), here)


@pytest.mark.parametrize("name", split_names())
def test_index_of_the_table_does_not_matter(name):
    samples = table([20] * 30)
    odd = samples.set_index(np.arange(len(samples))[::-1] + 7)
    np.testing.assert_array_equal(make_split(name, odd).test, make_split(name, samples).test)


@pytest.mark.parametrize("name", split_names())
def test_seed_decides_and_hash_tells(name):
    samples = table([20] * 30)
    first, again, other = (make_split(name, samples, seed) for seed in (0, 0, 1))
    assert first.sha256 == again.sha256 != other.sha256
    assert not np.array_equal(first.test, other.test)


def test_too_little_to_split():
    with pytest.raises(DataError, match="subject F2 "):
        make_split("percentage", table([5, 1]))
    with pytest.raises(DataError, match="at least two"):
        make_split("identity", table([5]))
    with pytest.raises(DataError, match="subject"):
        make_split("identity", pd.DataFrame({"person": ["a", "b"]}))


def test_unknown_split_suggests():
    with pytest.raises(UnknownNameError, match="Did you mean 'identity'"):
        make_split("identities", table([5, 5]))


def test_without_an_expression_tests_all_of_it_and_nothing_else():
    samples = table([20] * 5)
    split = make_split("without:fear", samples)
    np.testing.assert_array_equal(split.test, np.flatnonzero(samples["expression"] == "fear"))
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(100))
    assert not set(samples["expression"].iloc[split.train]) & {"fear"}
    assert split.sha256 != make_split("without:sad", samples).sha256


def test_an_expression_that_cannot_be_left_out_is_refused():
    samples = table([20] * 5)
    with pytest.raises(UnknownNameError, match=r"expression 'faer'\. Did you mean 'fear'"):
        make_split("without:faer", samples)
    with pytest.raises(UnknownNameError, match="split 'without:'"):
        make_split("without:", samples)
    with pytest.raises(DataError, match="no test_share"):
        make_split("without:fear", samples, test_share=0.2)
    with pytest.raises(DataError, match="leaves none"):
        make_split("without:sad", samples[samples["expression"] == "sad"])
    with pytest.raises(DataError, match="no column 'expression'"):
        make_split("without:fear", samples.drop(columns="expression"))


def test_the_sets_leave_out_each_expression_of_the_papers_tables():
    from bench3dmm.data.synthetic.counts import TABLE1, TABLE2
    from bench3dmm.data.synthetic.makehuman import recipe, sample_table

    for name, counts in (("mh-seq", TABLE1), ("mh-scan", TABLE2)):
        samples = sample_table(recipe(name))
        assert {e: len(make_split(f"without:{e}", samples).test) for e in counts} == dict(counts)
