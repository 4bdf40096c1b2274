import re
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular import identifier
from scorewise.tabular.identifier import Patterns, fresh_integers, is_integer_identifier, outer_bounds, patterns_of
from scorewise.tabular.table import TableError

INT64 = (-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "ID",
        "customer_id",
        "customerID",
        "PassengerId",
        "patient_nbr",
        "Order No",
        "order-key",
        "row.number",
        "id_order",
        "uuid",
    ],
)
def test_names_of_identifiers(name):
    assert identifier.looks_like_identifier(name)


@pytest.mark.parametrize("name", ["paid", "humid", "piano", "monkey", "number_of_rooms", "key_rate", "", "1", "amount"])
def test_names_of_other_columns(name):
    assert not identifier.looks_like_identifier(name)


def test_integers_are_identifiers_where_consecutive_or_without_expected_collisions_or_by_name():
    rng = np.random.default_rng(0)
    consecutive = rng.permutation(np.arange(50, 80))
    assert is_integer_identifier(consecutive, "x")
    assert not is_integer_identifier(consecutive[:19], "id")
    without_collisions = rng.choice(1000, size=200, replace=False)  # 200^2 / 2000 = 20 collisions expected
    assert is_integer_identifier(without_collisions, "x")
    sparse = rng.choice(10**6, size=200, replace=False)
    assert not is_integer_identifier(sparse, "amount")
    assert is_integer_identifier(sparse, "account_id")


@given(st.sets(st.integers(-(10**9), 10**9), min_size=20, max_size=60), st.integers(1, 7), st.integers(0, 50))
def test_fresh_integers_are_distinct_and_beyond(values, step, rows):
    known = np.array(sorted(values)) * step
    low, high = outer_bounds(known, step)
    assert low < known[0]
    assert high > known[-1]
    fresh = fresh_integers(rows, low, high, step, INT64, "x")
    assert len(set(fresh.tolist()) - set(known.tolist())) == rows
    assert (fresh % step == 0).all()
    assert (fresh >= high).all()


def test_fresh_integers_go_downwards_where_the_type_ends():
    low, high = outer_bounds(np.arange(90, 126), 1)
    fresh = fresh_integers(20, low, high, 1, (-128, 127), "x")
    assert (low, high) == (80, 130)
    assert fresh.tolist() == list(range(80, 60, -1))


def test_no_fresh_integers_left():
    with pytest.raises(
        TableError, match=r"fresh value for each row, however: 300 rows, and the integers of 'x' leave 209"
    ):
        fresh_integers(300, 80, 130, 1, (-128, 127), "x")


def test_fresh_unsigned_integers_beyond_63_bits():
    fresh = fresh_integers(3, 0, 2**63 + 10, 1, (0, 2**64 - 1), "x")
    assert fresh.dtype == np.uint64
    assert fresh.tolist() == [2**63 + 10, 2**63 + 11, 2**63 + 12]


def uuids(count, seed):
    rng = np.random.default_rng(seed)
    return [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(count)]


def make(patterns, rows, seed=0):
    return patterns.make(rows, np.random.default_rng(seed))


def test_uuids_stay_uuids():
    known = uuids(2000, 0)
    made = make(patterns_of(known), 5000)
    assert len(set(made) - set(known)) == 5000
    assert all(uuid.UUID(value).version == 4 and str(uuid.UUID(value)) == value for value in made)


def test_prefixed_numbers_keep_their_prefix_and_length():
    known = [f"CUST-{number:06d}" for number in np.random.default_rng(0).choice(10**6, 1000, replace=False)]
    made = make(patterns_of(known), 1000)
    assert all(re.fullmatch(r"CUST-\d{6}", value) for value in made)
    assert len(set(made) - set(known)) == 1000


def test_a_full_pattern_grows_longer():
    known = [f"C{number:03d}" for number in range(1000)]
    made = make(patterns_of(known), 3000)
    assert all(re.fullmatch(r"C\d{4,}", value) for value in made)
    assert len(set(made) - set(known)) == 3000


def test_lengths_keep_their_shares():
    rng = np.random.default_rng(0)
    known = [f"{n:05d}" for n in rng.choice(10**5, 300, replace=False)] + [
        f"{n:09d}" for n in rng.choice(10**9, 700, replace=False)
    ]
    lengths = [len(value) for value in make(patterns_of(known), 2000)]
    assert set(lengths) == {5, 9}
    assert abs(lengths.count(9) / 2000 - 0.7) < 0.05


def test_same_seed_same_values():
    patterns = patterns_of(uuids(100, 0))
    assert make(patterns, 50, seed=3) == make(patterns, 50, seed=3)
    assert make(patterns, 50, seed=3) != make(patterns, 50, seed=4)


def test_long_texts_with_one_beginning():
    known = ["x" * 70 + str(number) for number in range(100, 200)]
    made = make(patterns_of(known), 200)
    assert len(set(made) - set(known)) == 200


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.sets(st.text(max_size=6), min_size=1, max_size=80),
        st.sets(st.text("ab", max_size=7), min_size=20, max_size=120),
        st.sets(st.from_regex(r"[A-C][0-9]{1,3}", fullmatch=True), min_size=20, max_size=200),
    ),
    st.integers(0, 300),
)
def test_made_values_are_distinct_and_new_and_the_patterns_hold_none_of_the_old(known, rows):
    patterns = patterns_of(sorted(known))
    made = make(patterns, rows)
    assert len(made) == len(set(made)) == rows
    assert not set(made) & known
    assert Patterns.from_json(patterns.to_json()) == patterns


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, r"must have a length and positions, however: KeyError\('patterns'\)"),
        ({"patterns": [{"share": "x"}], "longest": 3}, r"must have a length and positions, however: ValueError"),
        ({"patterns": [], "longest": 3}, r"must have characters at each position, however: "),
        (
            {"patterns": [{"share": 1, "positions": ["a", ""], "marked": [], "marks": []}], "longest": 3},
            r"must have characters",
        ),
    ],
)
def test_patterns_refused(said, message):
    with pytest.raises(TableError, match=message):
        Patterns.from_json(said)
