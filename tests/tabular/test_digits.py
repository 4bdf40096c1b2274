import numpy as np

from scorewise.tabular.digits import DIRECT_LEVELS, Digits


def test_joining_digits_gives_the_code_back() -> None:
    codes = np.random.default_rng(0).zipf(1.3, 50_000) % 1_000
    digits = Digits.fit(codes, 1_000)
    every = np.arange(1_000)
    assert np.array_equal(digits.join(digits.group[every], digits.member[every]), every)
    assert digits.group.max() + digits.member.max() < 300


def test_frequent_levels_stand_alone() -> None:
    codes = np.repeat(np.arange(400), np.arange(400))
    digits = Digits.fit(codes, 400)
    frequent = np.arange(400 - DIRECT_LEVELS, 400)
    assert (digits.member[frequent] == 0).all()
    assert (digits.member[: 400 - DIRECT_LEVELS] > 0).all()


def test_a_member_that_a_group_does_not_have_becomes_its_nearest() -> None:
    digits = Digits(np.array([0, 1, 1, 2, 2, 2]), np.array([0, 1, 2, 1, 2, 3]))
    assert digits.join(np.array([0, 1, 1, 2]), np.array([3, 3, 0, 0])).tolist() == [0, 2, 1, 3]
