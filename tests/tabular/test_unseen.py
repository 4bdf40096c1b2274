"""What no row of a table has is found, and no row of a sample has it."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from scorewise.network import TableDenoiser
from scorewise.relay import returned
from scorewise.tabular.codec import Codec
from scorewise.tabular.correction import correct
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.unseen import EXPECTED, LEAST_KEPT, Unseen, find_unseen

ROWS = 3_000


def _staff(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Years at work and of them at this firm, a bonus that juniors never have, and when they came and left."""
    generator = np.random.default_rng(seed)
    work = generator.gamma(3, 40, rows).round(1)
    firm = (work * generator.beta(1, 1, rows)).round(1)
    role = generator.choice(["junior", "senior", "chief"], rows, p=[0.5, 0.4, 0.1])
    bonus = np.where(role == "junior", "none", generator.choice(["none", "small", "large"], rows))
    came = pd.Timestamp("2001-01-01") + pd.to_timedelta(generator.integers(0, 5_000, rows), unit="D")
    left = came + pd.to_timedelta(generator.integers(0, 5_000, rows), unit="D")
    rated = np.where(bonus == "none", np.nan, generator.normal(size=rows))
    return pd.DataFrame(
        {"work": work, "firm": firm, "role": role, "bonus": bonus, "came": came, "left": left, "rated": rated}
    )


def _ranked(rows: int = ROWS) -> pd.DataFrame:
    """Pupils, how many hundreds are in their year, which rank they have, and what share of the year that is."""
    generator = np.random.default_rng(3)
    size = np.rint(generator.lognormal(4.5, 0.8, rows)) + 1
    rank = np.ceil(size * generator.beta(1.2, 1.2, rows))
    columns = {"size": size / 100, "rank": rank, "share": 100 * rank / size}
    return pd.DataFrame({**columns, "mark": generator.normal(size=rows)})


def _found(frame: pd.DataFrame) -> tuple[Unseen, Schema, Cells]:
    table = to_arrow(frame)
    schema = Schema.infer(table)
    cells = schema.cells(table)
    return find_unseen(schema, cells), schema, cells


def _broken(frame: pd.DataFrame) -> np.ndarray:
    """The same in words of its own."""
    junior = (frame["role"] == "junior") & (frame["bonus"] != "none")
    unrated = frame["rated"].isna() != (frame["bonus"] == "none")
    return np.asarray((frame["work"] < frame["firm"]) | (frame["left"] < frame["came"]) | junior | unrated)


def test_bounds_and_levels_that_never_meet_are_found_and_tell_which_rows_break_them() -> None:
    staff = _staff()
    unseen, schema, cells = _found(staff)
    assert set(unseen.bounds) == {("work", "firm"), ("left", "came")}
    assert {(first, second) for first, second, _ in unseen.apart} == {
        ("role", "bonus"),
        ("role", "rated"),
        ("bonus", "rated"),
    }
    assert unseen.allowed(schema, cells).all()
    generator = np.random.default_rng(1)
    mixed = pd.DataFrame({name: generator.permutation(column) for name, column in staff.items()})
    broken = _broken(mixed)
    assert 0.5 < broken.mean() < 1
    # beside what the words say, a junior is not rated
    more = broken | np.asarray((mixed["role"] == "junior") & mixed["rated"].notna())
    assert np.array_equal(unseen.allowed(schema, schema.cells(to_arrow(mixed))), ~more)


def test_what_one_row_has_is_not_kept_apart() -> None:
    staff = _staff()
    staff.loc[np.flatnonzero(staff["role"] == "junior")[0], "bonus"] = "small"
    unseen, schema, cells = _found(staff)
    assert unseen.allowed(schema, cells).all()
    large = staff.assign(role="junior", bonus="large", rated=np.nan)
    assert not unseen.allowed(schema, schema.cells(to_arrow(large))).any()
    small = large.assign(bonus="small")
    assert unseen.allowed(schema, schema.cells(to_arrow(small))).mean() > 0.9


def test_a_missing_level_is_a_level_of_its_own() -> None:
    generator = np.random.default_rng(0)
    has = generator.choice(["no", "yes"], ROWS)
    kind = np.where(has == "no", None, generator.choice(["a", "b"], ROWS))
    frame = pd.DataFrame({"has": has, "kind": kind, "x": generator.normal(size=ROWS)})
    unseen, schema, cells = _found(frame)
    assert unseen.allowed(schema, cells).all()
    for one, other, held in (("no", None, True), ("yes", None, False), ("yes", "a", True), ("no", "a", False)):
        rows = pd.DataFrame({"has": [one], "kind": pd.Series([other], dtype=frame["kind"].dtype), "x": [0.0]})
        assert unseen.allowed(schema, schema.cells(to_arrow(rows))).all() == held


def _inquiries(rows: int = ROWS) -> pd.DataFrame:
    """A bureau's numbers: -9 throughout where nobody is known; -7 where there was no delay, months since it else."""
    generator = np.random.default_rng(0)
    unknown, delays = generator.random(rows) < 0.06, generator.random(rows) < 0.4
    frame = pd.DataFrame(
        {
            "oldest": generator.gamma(4, 40, rows).round(),
            "paid": np.where(delays, 100 - generator.gamma(2, 8, rows).clip(1, 90).round(1), 100),
            "since": np.where(delays, generator.gamma(1.2, 30, rows).round(1), -7),
            "owed": np.where(generator.random(rows) < 0.2, 0, generator.lognormal(7, 1, rows).round()),
        }
    )
    frame["due"] = (frame["owed"] * generator.uniform(0.02, 0.1, rows)).round(2)
    frame.loc[unknown] = -9
    return frame


def test_values_that_many_rows_share_are_kept_apart_from_what_they_do_not_meet() -> None:
    frame = _inquiries()
    unseen, schema, cells = _found(frame)
    assert unseen.allowed(schema, cells).all()
    assert {name: set(one.known) >= {-9} for name, one in unseen.values.items()} == dict.fromkeys(frame, True)
    assert not any(one.every for one in unseen.values.values())
    usual = {"oldest": 150.5, "paid": 93.7, "since": 21.3, "owed": 1_234.0, "due": 61.7}
    for change, held in (
        ({}, True),
        (dict.fromkeys(frame, -9.0), True),
        ({"owed": -9.0, "due": -9.0}, False),
        ({"paid": 100.0}, False),
        ({"since": -7.0}, False),
        ({"paid": 100.0, "since": -7.0}, True),
        ({"owed": 0.0}, False),
        ({"owed": 0.0, "due": 0.0}, True),
        ({"due": 0.0}, False),
    ):
        row = pd.DataFrame([usual | change])
        assert unseen.allowed(schema, schema.cells(to_arrow(row))).all() == held, change
    again = Unseen.from_parts(json.loads(json.dumps(unseen.to_json())), unseen.arrays(), schema)
    mixed = schema.cells(to_arrow(frame.apply(lambda one: np.random.default_rng(len(one.name)).permutation(one))))
    assert np.array_equal(again.allowed(schema, mixed), unseen.allowed(schema, mixed))
    assert 0.1 < unseen.allowed(schema, mixed).mean() < 0.6


def test_a_missing_cell_is_neither_a_common_value_nor_another_one() -> None:
    frame = _inquiries()
    frame["since"] = frame["since"].where(frame["since"] != -7)
    unseen, schema, cells = _found(frame)
    assert unseen.allowed(schema, cells).all()
    usual = {"oldest": 150.5, "paid": 93.7, "since": 21.3, "owed": 1_234.0, "due": 61.7}
    for change, held in (
        ({"since": np.nan}, False),
        ({"since": np.nan, "paid": 100.0}, True),
        ({"paid": 100.0}, False),
    ):
        assert unseen.allowed(schema, schema.cells(to_arrow(pd.DataFrame([usual | change])))).all() == held, change


def test_of_common_values_only_what_costs_them_few_rows_is_kept_apart() -> None:
    frame = _inquiries()
    unseen, schema, _ = _found(frame)
    pairs = {(first, second) for first, second, _ in unseen.apart}
    assert ("oldest", "paid") in pairs
    assert unseen.steady.apart == ()
    for share, kept in ((0.05, True), (0.3, False)):
        made, known = frame.copy(), np.flatnonzero(frame["paid"] != -9)
        unknown = np.flatnonzero(frame["paid"] == -9)
        made.loc[unknown[: int(share * len(unknown))], "paid"] = 93.7
        made.loc[known[:5], "oldest"] = -9
        narrow = unseen.narrowed(schema, schema.cells(to_arrow(made)))
        assert (("oldest", "paid") in {(first, second) for first, second, _ in narrow.apart}) == kept
    staff, schema, _ = _found(_staff())
    assert staff.steady.apart == staff.apart


def test_common_values_are_as_frequent_as_in_the_table_however_brief_the_training() -> None:
    frame = _inquiries()
    fake = Synthesizer(seed=0, time_limit=0.05).fit(frame).sample(4_000, seed=1)
    for name in ("oldest", "paid", "since", "owed", "due"):
        assert abs((fake[name] == -9).mean() - 0.06) < 0.015


def test_what_independent_columns_would_not_have_either_is_no_accident_and_not_found() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "small": generator.normal(size=ROWS),
            "large": generator.normal(100, 1, ROWS),
            "kind": np.repeat(["a", "b"], [ROWS - 3, 3]),
            "word": generator.choice(["x", "y"], ROWS),
        }
    )
    unseen, *_ = _found(frame)
    assert not unseen
    few, *_ = _found(_staff(2 * EXPECTED))
    assert not few.bounds or EXPECTED < 10


def test_a_bound_holds_between_a_number_and_one_of_few_values_and_up_to_rounding() -> None:
    generator = np.random.default_rng(0)
    years = generator.integers(0, 15, ROWS)
    frame = pd.DataFrame(
        {"years": years, "age": years + generator.gamma(0.5, 9, ROWS), "x": generator.normal(size=ROWS)}
    )
    unseen, schema, _ = _found(frame)
    assert unseen.bounds == (("age", "years"),)
    for slack, held in ((1e-12, True), (1e-3, False)):
        near = schema.cells(to_arrow(frame.assign(age=years * (1 - slack)).iloc[np.flatnonzero(years > 1)]))
        assert unseen.allowed(schema, near).all() == held


def test_moments_of_other_units_are_compared_to_the_microsecond() -> None:
    staff = _staff()
    jitter = np.random.default_rng(1).integers(0, 1_000, ROWS)  # so that ticks are too many for a float to hold
    staff["left"] = staff["left"].dt.as_unit("ns") + pd.to_timedelta(1_000_000_000 + jitter, unit="ns")
    unseen, schema, _ = _found(staff)
    assert ("left", "came") in unseen.bounds
    same = staff.assign(left=staff["came"].dt.as_unit("ns"))
    assert unseen.allowed(schema, schema.cells(to_arrow(same))).all()
    assert not unseen.allowed(
        schema, schema.cells(to_arrow(same.assign(left=same["left"] - pd.Timedelta(1, "s"))))
    ).any()


def test_what_a_model_never_makes_or_makes_too_often_is_let_go() -> None:
    staff = _staff()
    unseen, schema, cells = _found(staff)
    assert not unseen.narrowed(schema, cells)
    assert unseen.narrowed(schema, cells).left == 1
    made = staff.assign(came=staff["left"] + pd.Timedelta(1, "D"))
    made.loc[: ROWS // 10, "firm"] = made["work"] + 1
    some = unseen.narrowed(schema, schema.cells(to_arrow(made)))
    assert (some.bounds, some.apart, some.values) == ((("work", "firm"),), (), {})
    assert some.left == pytest.approx(0.9, abs=0.01)
    assert some.left > LEAST_KEPT


def test_it_is_written_and_read_and_what_does_not_fit_is_refused() -> None:
    unseen, schema, _ = _found(_staff())
    said, arrays = json.loads(json.dumps(unseen.to_json())), unseen.arrays()
    again = Unseen.from_parts(said, arrays, schema)
    mixed = _staff(seed=3).apply(lambda column: np.random.default_rng(len(column.name)).permutation(column))
    cells = schema.cells(to_arrow(mixed))
    assert np.array_equal(again.allowed(schema, cells), unseen.allowed(schema, cells))
    for damaged in (
        {"left": 0.1},
        {"left": 2},
        {"bounds": [["work", "role"]]},
        {"bounds": [["work", "other"]]},
        {"values": [["role", True]]},
        {"apart": [["role", "bonus", 4, 5]]},
        {"apart": [["role", "rated", 4, 4]]},
    ):
        with pytest.raises((ValueError, KeyError)):
            Unseen.from_parts(said | damaged, arrays, schema)
    with pytest.raises(ValueError, match="kept apart by a table"):
        Unseen.from_parts(said, {name: array.int() for name, array in arrays.items()}, schema)


@pytest.mark.parametrize("rows", [1_500, 3_000])
def test_no_sampled_row_has_what_no_row_has_and_the_margins_stay(rows: int) -> None:
    staff = _staff(rows).drop(columns=["came", "left"])
    table = to_arrow(staff)
    codec = Codec.fit(table)
    moments = codec.moments(codec.compact(table))  # a network of independent columns
    moments = moments._replace(covariance=torch.eye(len(moments.mean), dtype=moments.covariance.dtype))
    network = TableDenoiser(codec.layout, moments, 16, 1, torch.Generator().manual_seed(0)).eval()
    correction = returned(correct(network, codec, table, 2_000, seed=0))
    assert LEAST_KEPT < correction.unseen.left < 0.9
    fake: pa.Table = returned(correction.sample(network, codec, 3_000, seed=1))
    assert fake.num_rows == 3_000
    kept = correction.unseen.allowed(codec.schema, codec.schema.cells(fake))
    assert kept.all()
    made = fake.to_pandas()
    assert not (made["work"] < made["firm"]).any()
    for name in ("work", "firm"):
        np.testing.assert_allclose(
            made[name].quantile([0.2, 0.5, 0.8]), staff[name].quantile([0.2, 0.5, 0.8]), rtol=0.15
        )


def test_a_saved_model_keeps_apart_what_it_kept(tmp_path: object) -> None:
    fitted = Synthesizer(seed=0, time_limit=0.03).fit(_staff(1_000))
    assert fitted.unseen_
    fitted.save(f"{tmp_path}/model")
    again = Synthesizer.load(f"{tmp_path}/model")
    assert again.unseen_.bounds == fitted.unseen_.bounds
    made = again.sample(500, seed=1)
    assert made.equals(fitted.sample(500, seed=1))


def test_a_bound_holds_though_two_numbers_were_typed_wrongly_but_not_three() -> None:
    staff = _staff()
    for wrong, bound in ((2, True), (3, False)):
        typed = staff.copy()
        typed.loc[: wrong - 1, "firm"] += 10_000
        unseen, schema, cells = _found(typed)
        assert (("work", "firm") in unseen.bounds) == bound
        if bound:
            allowed = unseen.allowed(schema, cells)
            assert not allowed[:wrong].any()
            assert allowed[wrong:].all()
    few = _staff(1_900)
    few.loc[:1, "firm"] += 10_000  # two of fewer than two thousand
    assert ("work", "firm") not in _found(few)[0].bounds


def test_nothing_is_computed_beyond_the_table() -> None:
    frame = _ranked()
    table = to_arrow(frame)
    codec = Codec.fit(table)
    computed = codec.structure.determined.formulas
    assert [one.child for one in computed] == ["share"]
    cells = codec.schema.cells(table)
    unseen = find_unseen(codec.schema, cells, computed=computed)
    assert unseen.beyond == computed
    assert unseen.allowed(codec.schema, cells).all()
    above = Cells({**cells.numbers, "rank": np.where(np.arange(ROWS) < 30, 200 * cells.numbers["size"], 1)}, {})
    assert (~unseen.allowed(codec.schema, above)).sum() >= 30
    again = Unseen.from_parts(json.loads(json.dumps(unseen.to_json())), unseen.arrays(), codec.schema, computed)
    assert again.beyond == computed
    with pytest.raises(ValueError, match=r"must be computed, however: \['share'\] are not"):
        Unseen.from_parts(unseen.to_json(), unseen.arrays(), codec.schema)
    narrow = unseen.narrowed(codec.schema, above)
    assert narrow.beyond == computed
    assert narrow.left < 1
    assert unseen.narrowed(codec.schema, cells).beyond == ()  # where a model does not err


def test_what_is_rounded_down_to_the_ends_of_a_table_is_not_beyond_it() -> None:
    frame = _ranked()
    frame["share"] = (frame["share"] / 7).round(1)
    frame = frame[frame["share"] < frame["share"].max()]  # of the largest many were rounded down to it
    codec = Codec.fit(frame)
    (computed,) = codec.structure.determined.formulas
    cells = codec.schema.cells(to_arrow(frame))
    assert (computed.of(cells.numbers) > frame["share"].max()).any()
    assert find_unseen(codec.schema, cells, computed=[computed]).allowed(codec.schema, cells).all()


@pytest.mark.parametrize("clip", [True, False])
def test_a_share_of_a_sample_is_what_it_is_computed_from(clip: bool) -> None:
    synthesizer = Synthesizer(seed=0, clip=clip, time_limit=0.03).fit(_ranked())
    fake = synthesizer.sample(2_000, seed=1)
    np.testing.assert_allclose(fake["share"], fake["rank"] / fake["size"], rtol=1e-6)
    assert len(synthesizer.unseen_.beyond) == clip
    assert (fake["share"] <= 100).all() or not clip
