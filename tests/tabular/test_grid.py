from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular import grid


@pytest.mark.parametrize(
    ("values", "bits", "step"),
    [
        ([1000.0, 3000.0, -4000.0], 64, 1000),
        ([1.0, 3.0, 5.0], 64, 1),
        ([12.3, 0.1, -7.0], 64, 0.1),
        ([0.25, 0.75, 1.5], 64, 0.25),
        ([0.05, 0.15], 64, 0.05),
        ([1e-9, 1.0], 64, 1e-9),
        ([1e-10, 1.0], 64, None),
        ([1 / 3, 0.5], 64, None),
        ([0.1 + 0.2, 0.5], 64, None),
        ([1e300, 1.0], 64, None),
        ([0.0, -0.0], 64, None),
        (np.array([0.1, 12.3], np.float32).astype(float), 32, 0.1),
        (np.array([0.1, 12.3], np.float32).astype(float), 64, None),
        (np.random.default_rng(0).random(100, np.float32).astype(float), 32, None),
        (np.random.default_rng(0).random(100), 64, None),
        (1e6 * np.random.default_rng(0).random(100), 64, None),
        (np.array([0.5, 0.25], np.float16).astype(float), 16, 0.25),
    ],
)
def test_step(values, bits, step):
    assert grid.step(np.array(values), bits) == step


def test_floats_of_32_bits_are_told_whatever_form_they_have():
    single = np.random.default_rng(0).lognormal(0, 9, 2_000).astype(np.float32).astype(float)
    single = np.concatenate([single, -single, [0.0, 1e-30, 3e38]]).astype(np.float32).astype(float)
    written = np.array([float(f"{value:.15g}") for value in single])
    read = grid.as_single(single, "read")
    np.testing.assert_allclose(read, single, rtol=1e-11)  # small ones have fewer digits read
    assert 0.5 < (read == single).mean() < 1
    forms = {"exact": single, "written": written, "read": read}
    for form, values in forms.items():
        assert grid.single_form(values) == form
        for other in forms.values():
            np.testing.assert_array_equal(grid.as_single(other, form), values)
    assert grid.single_form(single * (1 + 1e-13)) is None
    assert grid.single_form(np.append(single, 1 / 3)) is None
    assert grid.single_form(np.array([1e300, 1.0])) is None
    assert grid.single_form(np.append(written, np.nextafter(written[:9], np.inf))) == "written"
    for form in forms:
        np.testing.assert_array_equal(grid.as_single(np.array([np.nan, 0.0]), form), [np.nan, 0.0])
    np.testing.assert_array_equal(grid.as_single(grid.plain(single), "exact"), single)
    shortest = np.array([float(str(np.float32(value))) for value in single])
    np.testing.assert_allclose(grid.plain(single), shortest, rtol=3e-16)
    large = np.abs(single) > 1e-20  # whose powers of ten floats hold
    np.testing.assert_array_equal(grid.plain(single)[large], shortest[large])
    np.testing.assert_array_equal(grid.plain(np.array([np.nan, np.float32(0.7)])), [np.nan, 0.7])


def test_floats_of_32_bits_are_those_that_pandas_read():
    table = {  # of a table that pandas 2 read, by what had been written
        36.099998474121094: 36.09999847412109,
        36.529998779296875: 36.52999877929688,
        0.43417999148368835: 0.4341799914836883,
        0.45497000217437744: 0.4549700021743774,
        9.069999694824219: 9.06999969482422,
        9.899999618530273: 9.899999618530272,
        9.920000076293945: 9.920000076293944,
    }
    np.testing.assert_array_equal(grid.as_single(np.array([*table]), "read"), [*table.values()])


def test_whole_steps_are_integers():
    assert isinstance(grid.step(np.array([2.0, 4.0])), int)
    assert isinstance(grid.step(np.array([0.5, 1.0])), float)


multiples = st.lists(st.integers(-(10**6), 10**6), min_size=2).filter(any)


@given(multiples, st.integers(0, 9))
def test_step_is_the_greatest_common_divisor_of_the_decimals(counts, decimals):
    values = np.array([float(Fraction(count, 10**decimals)) for count in counts])
    exact = Fraction(int(np.gcd.reduce(counts)), 10**decimals)
    assert grid.step(values) == float(exact)


@given(multiples, st.sampled_from([1, 1000, 0.1, 0.25, 0.05, 1e-9, 0.125]))
def test_snapped_values_print_like_the_step(counts, step):
    exact = [float(Fraction(str(step)) * count) for count in counts]
    noisy = np.array(exact) + 0.3 * step * np.sin(np.arange(len(counts)))
    snapped = grid.snap(noisy, step)
    assert [repr(value) for value in (snapped + 0.0).tolist()] == [repr(value + 0.0) for value in exact]


def test_snap_leaves_missing_cells_and_has_no_negative_zero():
    snapped = grid.snap(np.array([np.nan, -0.01]), 0.1)
    assert np.isnan(snapped[0])
    assert repr(snapped[1].item()) == "0.0"


@pytest.mark.parametrize("step", [1e-10, 1 / 3, 0.0, -1.0, float("inf"), float("nan")])
def test_no_step(step):
    with pytest.raises(ValueError, match="step must be above 0 and have at most 9 decimals, however: step="):
        grid.decimals(step)


def rounded(values, digits):
    """To so many significant digits, as Python prints them."""
    return np.array([float(f"{value:.{digits - 1}e}") for value in values])


def sizes(low, high, count=400, seed=0):
    return np.exp(np.random.default_rng(seed).uniform(np.log(low), np.log(high), count))


@pytest.mark.parametrize("digits", [2, 4, 7, 10, 12, 15])
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_of_so_many_digits_keep_them_whatever_their_size(digits, sign):
    values = sign * rounded(sizes(1e-3, 1e6), digits)
    step = grid.step(values)
    places = grid.find_places(values, step)
    assert np.array_equal(grid.round_to(values, places), values)
    others = sign * sizes(1e-3, 9e5, seed=1)
    made = grid.round_to(others, places)
    coarse = np.abs(others) >= (0 if step is None else step * 10.0**digits)  # a grid ends where the smallest ones end
    assert np.array_equal(rounded(made, digits)[coarse], made[coarse])
    half = 0.5 * 10.0 ** (np.floor(np.log10(np.abs(others))) - digits + 1)
    assert (np.abs(made - others) <= half * (1.001 if digits < 15 else 1.5))[coarse].all()  # floats end after 15


def test_numbers_that_are_counted_in_hundreds_where_they_are_large():
    rng = np.random.default_rng(0)
    values = np.unique(np.concatenate([rng.integers(1, 1_000, 300), 100 * rng.integers(10, 900, 300)])).astype(float)
    assert grid.find_places(values, 1) == ((3, 2),)
    made = grid.round_to(np.array([7.0, 999.0, 1_049.0, 85_951.0, 123_456.0, np.nan, 0.0, -1_950.0]), ((3, 2),))
    assert made[:5].tolist() == [7, 999, 1_000, 86_000, 123_500]
    assert np.isnan(made[5])
    assert made[6:].tolist() == [0, -2_000]
    once = np.append(values, 5_017.0)
    assert grid.find_places(once, 1) == ((4, 2),)  # five digits alone are in hundreds then
    assert grid.find_places(np.append(values, [20_130_100.0, 71_540_200.0]), 1) == ((3, 2),)  # too few to tell
    finer = np.unique(np.append(values, rng.integers(10_000, 99_999, 100)))
    assert grid.find_places(finer, 1) == ((3, 2), (4, 0))


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.arange(1.0, 2_000), 1),
        (np.arange(1, 2_000) / 100, 0.01),
        (1e4 * np.arange(1.0, 80), 10_000),
        (np.append(np.arange(1.0, 1_000), [1_000, 2_000, 3_000]), 1),  # too few to tell
        (np.append(np.random.default_rng(0).normal(size=500), 100.0), None),
        (np.append(80 * np.arange(1.0, 120), 1_000.0 * 10 * np.arange(1, 90, 4) + 6_000), 80),  # 1,000 is none of 80s
        (np.zeros(1), None),
        (np.array([]), None),
        (np.random.default_rng(0).normal(size=500), None),
        (1e300 * np.random.default_rng(0).normal(size=500), None),
    ],
)
def test_numbers_with_all_the_digits_that_they_may_have(values, step):
    assert grid.find_places(values, step) is None


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_what_is_found_leaves_the_numbers_as_they_are(data):
    digits = data.draw(st.integers(1, 17))
    decimals = data.draw(st.integers(0, 9) | st.none())
    low, high = sorted(data.draw(st.lists(st.integers(-8, 8), min_size=2, max_size=2, unique=True)))
    values = rounded(sizes(10.0**low, 10.0**high, data.draw(st.integers(1, 60)), digits), digits)
    values = values if decimals is None else np.round(values, decimals)
    step = grid.step(values)
    places = grid.find_places(values, step)
    if places is not None:
        assert grid.is_places(places)
        assert np.array_equal(grid.round_to(values, places), values)
        once = grid.round_to(values * 1.037, places)
        assert np.array_equal(grid.round_to(once, places), once)
