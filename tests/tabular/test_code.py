"""Codes: numbers that stand for what a name says, told from quantities."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scorewise.tabular.code import find_codes
from scorewise.tabular.codec import Codec
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow

ROWS = 4_000


def places(rows: int = ROWS, codes: int = 900, seed: int = 0) -> pd.DataFrame:
    """Customers with postal codes of towns, of which large ones have several, in states; two towns share one code."""
    rng = np.random.default_rng(seed)
    every = np.sort(rng.choice(np.arange(10_000, 99_999), codes, replace=False))
    town = np.minimum(rng.zipf(1.6, codes) + np.arange(codes) // 3, 10**6)
    of = rng.choice(codes, rows, p=(p := rng.pareto(2, codes) + 0.2) / p.sum())
    name = np.char.add("Town ", town[of].astype(str))
    name = np.where((of == of[0]) & (rng.random(rows) < 0.3), "Elsewhere", name)
    return pd.DataFrame(
        {
            "code": every[of],
            "town": name,
            "state": np.char.add("S", (every[of] // 4_000).astype(str)),
            "spent": np.exp(rng.normal(4, 1, rows)).round(2),
        }
    )


def found(frame: pd.DataFrame) -> set[str]:
    table = to_arrow(frame)
    columns = Schema.infer(table, overrides={"code": {"kind": "number"}}).columns
    return find_codes(columns, {name: table[name].combine_chunks() for name in table.column_names})


def test_postal_codes_stand_for_towns() -> None:
    frame = places()
    assert found(frame) == {"code"}
    assert Schema.infer(to_arrow(frame)).column("code").kind == "category"
    gone = frame.assign(code=frame["code"].astype(float).where(np.arange(ROWS) % 10 > 0))
    assert found(gone) == {"code"}
    assert Schema.infer(to_arrow(gone)).column("code").kind == "category"
    assert found(frame.assign(town=frame["town"].where(np.arange(ROWS) % 10 > 0))) == {"code"}
    assert found(frame.assign(town=frame["town"].astype("category"))) == {"code"}


def test_rates_of_interest_stand_for_grades() -> None:
    rng = np.random.default_rng(0)
    grade, late = rng.integers(35, size=ROWS), rng.random(ROWS) < 0.4
    rate = np.where(late, 531, 532) + 37 * grade + np.where(grade > 20, 30 * late, 0)
    rate = np.where(np.arange(ROWS) < 3, 600, rate) / 100  # which three rows of other grades have
    frame = pd.DataFrame({"code": rate, "grade": np.char.add("G", grade.astype(str)), "x": rng.integers(99, size=ROWS)})
    assert found(frame) == {"code"}
    assert Schema.infer(to_arrow(frame)).column("code").kind == "category"
    assert found(frame.assign(code=frame["code"].astype(np.float32).astype(float))) == {"code"}  # 5.309999942779541
    assert found(frame.assign(code=rate[grade])) == set()  # a grade has one rate
    assert found(frame.assign(code=(531 + 37 * grade + (rng.random(ROWS) < 0.4)) / 100)) == {"code"}
    assert found(frame.assign(code=(531 + 37 * grade + (rng.random(ROWS) < 0.1)) / 100)) == set()  # or mostly one
    assert found(frame.assign(code=531 + 37 * grade + (rng.random(ROWS) < 0.1))) == {"code"}  # but of whole numbers
    codec = Codec.fit(frame)
    assert [(one.child, one.parent) for one in codec.structure.usual] == [("grade", "code")]
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


def test_who_knows_better_is_asked() -> None:
    table = to_arrow(places())
    assert Schema.infer(table, overrides={"code": {"kind": "number"}}).column("code").kind == "number"
    assert Schema.infer(table, target="code").column("code").kind == "number"


@pytest.mark.parametrize(
    "change",
    [
        lambda frame, rng: frame.drop(columns="town"),  # a state tells less of a code than its town
        lambda frame, rng: frame.assign(town=rng.permutation(frame["town"])),
        lambda frame, rng: frame.assign(
            town=np.where(rng.random(ROWS) < 0.1, rng.permutation(frame["town"]), frame["town"])
        ),
        lambda frame, rng: frame.assign(code=frame["code"] / 7),  # on no grid
        lambda frame, rng: frame.assign(code=rng.permutation(10**6)[:ROWS]),  # hardly any of them twice
        lambda frame, rng: frame.assign(town="Town " + frame["code"].astype(str)),  # a name has one code and tells it
        lambda frame, rng: frame.assign(code=frame["code"] // 10_000),  # few codes
        lambda frame, rng: frame.assign(
            town="Town " + (frame["code"] // 12_000 % 6).astype(str), code=frame["code"] // 12_000
        ),
        lambda frame, rng: frame[:80],
        lambda frame, rng: frame.assign(code=np.where(rng.random(ROWS) < 0.9, 0, frame["code"])),  # mostly nothing
    ],
)
def test_other_numbers_are_no_codes(change) -> None:
    assert found(change(places(), np.random.default_rng(1))) == set()


def test_ages_are_no_codes_of_bands() -> None:
    age = np.random.default_rng(0).integers(18, 90, ROWS)
    frame = pd.DataFrame({"code": age, "band": np.char.add("from ", (age // 5 * 5).astype(str)), "x": age % 7 + 0.5})
    assert found(frame) == set()


def test_a_table_without_rows_or_names_has_none() -> None:
    assert find_codes((), {}) == set()
    numbers = pa.table({"a": np.arange(900) // 3, "b": np.arange(900) % 77})
    assert find_codes(Schema.infer(numbers).columns, {name: numbers[name].combine_chunks() for name in "ab"}) == set()


def test_a_code_comes_with_its_town_and_its_state() -> None:
    frame = places(12_000)
    codec = Codec.fit(frame)
    assert "state" in codec.structure.determined.children
    assert [(one.child, one.parent) for one in codec.structure.usual] == [("town", "code")]
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    rng = np.random.default_rng(0)
    rows = codec.encode(frame, seed=1)
    mixed = np.where(rng.random(rows.shape[1]) < 0.5, rows, rows[rng.permutation(len(rows))])  # blocks of several rows
    fake = codec.decode(mixed).to_pandas()
    assert set(fake["code"]) <= set(frame["code"])
    for name, share in (("state", 1.0), ("town", 0.97)):
        pairs = set(zip(frame["code"], frame[name], strict=True))
        assert np.mean([pair in pairs for pair in zip(fake["code"], fake[name], strict=True)]) >= share
