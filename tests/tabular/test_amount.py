"""Amounts that are text: the form that all of them have, and the same text again."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular.amount import find_form, is_form, read, write
from scorewise.tabular.codec import Codec
from scorewise.tabular.protection import protect
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import TableError, read_table, to_arrow

ROWS = 900


def _texts(*cells: str | None) -> Any:
    return pa.array(cells, pa.large_string())


@pytest.mark.parametrize(
    ("cells", "form", "numbers"),
    [
        (("$1,200.50", "$3.00"), "$#,##0.00", [1200.5, 3.0]),
        (("-$1,200.50", "$3.00"), "-$#,##0.00", [-1200.5, 3.0]),
        (("$-1,200.50", "$3.00"), "$#,##0.00", [-1200.5, 3.0]),
        (("$5", "$12"), "$0", [5, 12]),
        (("(5)", "3", "12"), "(0)", [-5, 3, 12]),
        (("($1,200.50)", "$3.00"), "($#,##0.00)", [-1200.5, 3]),
        (("(3.5%)", "12.0%"), "(0.0%)", [-3.5, 12]),
        (("($1.2B)", "$3.4M"), "($0.0M)|($0.0B)", [-1.2e9, 3.4e6]),
        (("USD 1,000", "USD 20"), "USD #,##0", [1000, 20]),
        (("R$ 10,50", "R$ 1.000,00"), "R$ #.##0,00", [10.5, 1000]),
        (("Rs. 500", "Rs. 1,500"), "Rs. #,##0", [500, 1500]),
        (("1.234,56 €", "12,00 €"), "#.##0,00 €", [1234.56, 12]),
        (("1.234 €", "5 €", "1.200 €"), "#.##0 €", [1234, 5, 1200]),
        (("€ 1.200", "€ 900"), "€ #.##0", [1200, 900]),
        (("12.5%", "7%", "100%"), "0.#%", [12.5, 7, 100]),
        (("12.50%", "7.00%"), "0.00%", [12.5, 7]),
        (("-5 %", "3 %"), "0 %", [-5, 3]),
        ((" 10.65%", " 7.90%"), " 0.00%", [10.65, 7.9]),
        ((" 36 months", " 60 months"), " 0 months", [36, 60]),
        ((" $1,200.50 ", " $3.00 "), " $#,##0.00 ", [1200.5, 3]),
        (("36 months", "120 months"), "0 months", [36, 120]),
        (("1248 CC", "998 CC"), "0 CC", [1248, 998]),
        (("23.4 kmpl", "19.0 kmpl"), "0.0 kmpl", [23.4, 19]),
        (("100 sq. ft", "90 sq. ft"), "0 sq. ft", [100, 90]),
        (("60 km/h", "7 km/h"), "0 km/h", [60, 7]),
        (("5 m²", "71 m²"), "0 m²", [5, 71]),
        (("1,234", "999"), "#,##0", [1234, 999]),
        (("1,234", "2,345"), "#,##0", [1234, 2345]),  # not a decimal comma
        (("12,50", "3,00"), "0,00", [12.5, 3]),
        (("1 234,5", "12,5"), "# ##0,0", [1234.5, 12.5]),
        (("5\u00a0000", "40"), "#\u00a0##0", [5000, 40]),
        (("5'900", "12'000'000"), "#'##0", [5900, 12_000_000]),
        (("1.234 kg", "5.678 kg"), "0.000 kg", [1.234, 5.678]),  # not thousands
        (("175cm", "159cm"), "0cm", [175, 159]),
        (("20.0%", "3.25%"), "0.0#%", [20, 3.25]),
        (("$5", "$1,200.50", "$-3.10"), "$#,##0[.]00", [5, 1200.5, -3.1]),
        (("5 €", "1.200,500 €", "0,1255 €"), "#.##0[,]000# €", [5, 1200.5, 0.1255]),
        (("8.10k", "1.50M", "12k"), "0[.]00k|0.00M", [8_100, 1.5e6, 12_000]),
        (("€0", "€565K", "€110.5M", "€77M"), "€0|€0K|€0.#M", [0, 565e3, 110.5e6, 77e6]),
        (("8.5k", "201k", "2.3k", "7.0M", "19M"), "0.#k|0.0M|0M", [8_500, 201e3, 2_300, 7e6, 19e6]),
        (("1.23M", "45.60K", "980.12K"), "0.00K|0.00M", [1.23e6, 45_600, 980_120]),
        (("-$1.2B", "$3.4M"), "-$0.0M|-$0.0B", [-1.2e9, 3.4e6]),
        (("1,5K", "12", "0"), "0|0,0K", [1_500, 12, 0]),
        (("0", "12K"), "0|0K", [0, 12_000]),
    ],
)
def test_the_form_of_amounts_is_found_and_writes_them_again(
    cells: tuple[str, ...], form: str, numbers: list[float]
) -> None:
    texts = _texts(*cells)
    assert find_form(texts) == form
    assert is_form(form)
    assert read(texts, form).to_pylist() == numbers
    assert write(read(texts, form), form).equals(texts)


@pytest.mark.parametrize(
    "cells",
    [
        (),
        ("12.50", "3.00"),  # would have been numbers
        ("02139", "12345"),  # codes
        ("007 kg", "8 kg"),
        ("INV-1001", "INV-1002"),
        ("12A", "13B"),
        ("1st", "2nd"),
        ("20-30", "30-40"),
        ("192.168.1.1", "10.0.0.1"),
        ("2020.01.02", "2021.03.04"),
        ("12:30", "13:40"),
        ("3 out of 5", "4 out of 5"),
        ("$5", "€5"),
        ("$5", "5"),
        (" 5", " 12"),  # digits alone
        ("5.5 ", "12.5 "),
        (" 5%", "12%"),
        ("5%", ""),
        ("5%", "none"),
        ("(5)", "-3"),
        ("(5", "3"),
        ("(5) apples", "3 apples"),
        ("$1,20", "$3,000"),
        ("1,234.5%", "12.50%"),
        ("-$5", "$-6"),
        ("-0%", "1%"),
        ("1234567890123456%", "1%"),  # more than a float holds for sure
        ("7", "5B"),  # houses
        ("7", "12A", "3K"),
        ("12", "3m"),
        ("€5K", "$3M"),
        ("5K", "3k"),
        ("0.95M", "950K"),
        ("$5", "$5.00", "$5.10"),  # two ways to write five
        ("1000K", "1M"),
        ("1500", "1.5K"),
        ("5 kg", "3 t"),
    ],
)
def test_other_texts_are_no_amounts(cells: tuple[str, ...]) -> None:
    assert find_form(_texts(*cells)) is None


@pytest.mark.parametrize(
    "form",
    [
        "€0|$0K",
        "0K|0",
        "0|0",
        "0|0 kg",
        "0K|0k",
        "0K|0K|0K|0M",
        "|0K",
        "-$0|$0K",
        "-0%",
        "#,##0,00",
        "%Y-%m-%d",
        "00%",
        "$",
        "abc",
        "0.#0%",
        "0[.]0%",  # is 0.#%
        "0[.00%",
        "0.]00%",
        "0[.]##%",
        "0.%",
        None,
        7,
        "0.0000000000000000%",
    ],
)
def test_what_is_no_form(form: object) -> None:
    assert not is_form(form)
    if isinstance(form, str):
        with pytest.raises(ValueError, match="form must be one that `find_form` gives, however"):
            read(_texts("5%"), form)


@settings(deadline=None, max_examples=200)
@given(
    numbers=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20, unique=True),
    decimals=st.integers(0, 4),
    before=st.sampled_from(["", "$", " $", "($", "€ ", "USD ", "-$", "-€ "]),
    after=st.sampled_from(["", "%", " % ", " kg", " €", " sq. ft"]),
    style=st.sampled_from(["0.", "#,##0.", "#.##0,", "0,", "#'##0.", "# ##0,"]),
    place=st.sampled_from("0#"),
    bare=st.booleans(),
)
def test_what_is_written_in_a_form_is_read_again(
    numbers: list[int], decimals: int, before: str, after: str, style: str, place: str, bare: bool
) -> None:
    point = f"[{style[-1]}]" if bare else style[-1]
    form = before + style[:-1] + (point + place * decimals if decimals else "") + after + ")" * before.startswith("(")
    if not is_form(form):
        return
    values = pa.array([number / 10**decimals for number in numbers])
    texts = write(values, form)
    assert read(texts, form).equals(values)
    found = find_form(texts, plain=True)  # of several that write the same, it may be another one
    assert found is not None
    assert write(read(texts, found), found).equals(texts)


@settings(deadline=None, max_examples=100)
@given(
    numbers=st.lists(st.integers(-(10**10), 10**10) | st.integers(-2_000, 2_000), min_size=1, max_size=20),
    form=st.sampled_from(["€0|€0K|€0.#M", "0.0k|0k|0.0M|0M", "-$0.00K|-$0.00M|-$0.000B", "0|0,0K"]),
)
def test_numbers_are_written_by_their_size(numbers: list[int], form: str) -> None:
    texts = write(pa.array(numbers, pa.float64()), form)
    assert write(read(texts, form), form).equals(texts)
    for number, text in zip(numbers, texts.to_pylist(), strict=True):
        unit = text[-1] if text[-1].isalpha() else ""
        size = text.strip("-$€").replace(",", ".").removesuffix(unit)
        one = 10.0 ** {"": 0, "k": 3, "K": 3, "M": 6, "B": 9}[unit]
        decimals = len(size.partition(".")[2])
        assert float(size) < 1_000 or unit == form[-1]
        coarsest = 1.0 if form != "€0|€0K|€0.#M" else 0.1
        assert abs(float(size) * one - abs(number)) <= 0.5 * one * max(10.0**-decimals, coarsest) * 1.001
        assert ("-" in text) == (number < 0 and float(size) > 0)


def test_a_number_that_is_rounded_up_to_the_next_size_is_written_so() -> None:
    numbers = pa.array([0, 0.4, 999.4, 999.6, 949_999, 950_000, 999_499, 999_600, 9.96e6, 123_456_789])
    said = ["€0", "€0", "€999", "€1K", "€950K", "€950K", "€999K", "€1M", "€10M", "€123.5M"]
    assert write(numbers, "€0|€0K|€0.#M").to_pylist() == said
    said = ["0.0k", "0.0k", "1.0k", "1.0k", "950k", "950k", "999k", "1.0M", "10M", "123M"]
    assert write(numbers, "0.0k|0k|0.0M|0M").to_pylist() == said
    assert read(_texts("0.00001K", "8.7M"), "0.00000K|0.#M").to_pylist() == [0.01, 8_700_000]
    assert read(_texts("€1.25M", "€3B", "€-5K", "7", "€7"), "€0|€0K|€0.#M").to_pylist() == [
        1_250_000,
        None,
        -5_000,
        None,
        7,
    ]


def test_values_by_their_size_are_numbers() -> None:
    generator = np.random.default_rng(0)
    value = np.where(generator.random(ROWS) < 0.05, 0, np.exp(generator.normal(13.5, 1.5, ROWS)))
    said = write(pa.array(value), "€0|€0K|€0.#M").to_pylist()
    frame = pd.DataFrame({"value": said, "x": np.log1p(value).round(3)})
    column = Schema.infer(to_arrow(frame)).column("value")
    assert (column.kind, column.written) == ("number", "€0|€0K|€0.#M")
    assert Schema.from_json(Schema.infer(to_arrow(frame)).to_json()).column("value") == column
    codec = Codec.fit(frame)
    assert codec.decode(codec.encode(frame))["value"].equals(to_arrow(frame)["value"])
    made = codec.decode(np.random.default_rng(1).normal(size=(400, codec.layout.width))).to_pandas()["value"]
    assert made.str.fullmatch(r"€(0|\d{1,3}K|\d{1,3}(\.[1-9])?M)").all()


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (("12", "305"), "0"),
        (("29.85", "1889.5", "20"), "0.##"),
        (("20.0", "3.25"), "0.0#"),
        (("02139", "5"), None),
        (("26", "8.10"), "0[.]00"),
    ],
)
def test_plain_numbers_have_a_form_where_that_is_allowed(cells: tuple[str, ...], form: str | None) -> None:
    assert find_form(_texts(*cells)) is None
    assert find_form(_texts(*cells), plain=True) == form
    assert form is None or write(read(_texts(*cells), form), form).equals(_texts(*cells))


def test_decimals_and_thousands_of_other_rows_may_be_others() -> None:
    assert read(_texts("($5)", "-$5", "$5.1", "(5)"), "($0.00)").to_pylist() == [-5.0, -5.0, 5.1, None]
    assert read(_texts("($5)"), "$0.00").to_pylist() == [None]
    assert read(_texts("$1234.567", "$1,234", "-$5", "$-5", "1", "$a", None), "$#,##0.00").to_pylist() == [
        1234.567,
        1234.0,
        -5.0,
        -5.0,
        None,
        None,
        None,
    ]


def _frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    price = np.exp(generator.normal(6, 1, ROWS)).round(2)
    frame = pd.DataFrame(
        {
            "price": [f"${one:,.2f}" for one in price],
            "rate": [f"{one:g}%" for one in (100 * generator.beta(2, 5, ROWS)).round(1)],
            "term": generator.choice(["36 months", "60 months"], ROWS),
            "half": [f"{one / 2:.3f}".replace(".", ",") for one in price],
        }
    )
    frame.loc[::9, "rate"] = None
    return frame


def test_amounts_are_numbers_and_come_back_as_text() -> None:
    frame = _frame()
    schema = Schema.infer(to_arrow(frame))
    assert {column.name: (column.kind, column.written) for column in schema.columns} == {
        "price": ("number", "$#,##0.00"),
        "rate": ("number", "0.#%"),
        "term": ("category", None),  # two levels, with many rows each
        "half": ("number", "0,000"),
    }
    assert Schema.from_json(schema.to_json()) == schema
    codec = Codec.fit(frame)
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    made = codec.decode(np.random.default_rng(1).normal(size=(400, codec.layout.width))).to_pandas()
    assert made["price"].str.fullmatch(r"\$(\d{1,3},)*\d{1,3}\.\d\d").all()
    assert made["rate"].dropna().str.fullmatch(r"\d{1,2}(\.[1-9])?%").all()
    assert made["rate"].isna().any()


def test_amounts_that_count_rows_or_are_few_are_not_numbers() -> None:
    frame = pd.DataFrame(
        {
            "ticket": [f"{1000 + i} A" for i in range(ROWS)],
            "stars": [f"{i % 5} stars" for i in range(ROWS)],
            "x": np.arange(ROWS) % 7,
        }
    )
    table = to_arrow(frame)
    assert [column.kind for column in Schema.infer(table).columns] == ["identifier", "category", "category"]
    asked = Schema.infer(table, overrides={"stars": {"kind": "number"}}).column("stars")
    assert (asked.kind, asked.written) == ("number", "0 stars")
    left = Schema.infer(to_arrow(_frame()), overrides={"price": {"kind": "category"}}).column("price")
    assert (left.kind, left.written) == ("category", None)


@pytest.mark.parametrize("blank", [" ", "?", "n/a", "Top"])
@pytest.mark.parametrize(
    "cells",
    [
        lambda x: f"{x:g}",  # as pandas reads numbers, were it not for the word
        lambda x: f"${x:,.2f}",
        lambda x: (pd.Timestamp("2020-01-01") + pd.Timedelta(int(x), "D")).strftime("%d.%m.%Y"),
    ],
)
def test_one_word_among_numbers_stands_for_what_is_not_there(cells: Any, blank: str) -> None:
    generator = np.random.default_rng(0)
    x = np.exp(generator.normal(6, 1, ROWS)).round(2)
    frame = pd.DataFrame({"x": [cells(one) for one in x], "y": np.log(x).round(3)})
    frame.loc[::50, "x"] = blank
    column = Schema.infer(to_arrow(frame)).column("x")
    assert (column.kind, column.blank, column.missing) == ("number", blank, pytest.approx(0.02))
    schema = Schema.infer(to_arrow(frame))
    assert Schema.from_json(schema.to_json()) == schema
    assert np.isnan(schema.cells(to_arrow(frame)).numbers["x"]).sum() == ROWS / 50
    codec = Codec.fit(frame)
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    made = codec.decode(np.random.default_rng(1).normal(size=(2_000, codec.layout.width))).to_pandas()["x"]
    assert (made == blank).any()
    assert set(made.str.contains(r"\d")[made != blank]) == {True}


def test_several_words_or_missing_cells_beside_one_are_left_as_they_are() -> None:
    cells = [f"{one}.5" for one in range(ROWS)]
    for first in (["?", "none"], ["?", None]):
        frame = pd.DataFrame({"x": [*first, *cells[2:]], "y": np.arange(ROWS) % 90, "z": np.arange(ROWS) % 70})
        assert Schema.infer(to_arrow(frame)).column("x").kind == "identifier"
    few = pd.DataFrame({"x": ["?", *(str(one % 9) for one in range(ROWS - 1))], "y": np.arange(ROWS) % 90, "z": cells})
    column = Schema.infer(to_arrow(few.astype({"z": float}))).column("x")
    assert (column.kind, column.blank) == ("category", None)


def test_cells_of_another_form_are_refused_and_numbers_are_taken() -> None:
    schema = Schema.infer(to_arrow(_frame()[["price", "term"]]))
    term = ["36 months"] * 2
    assert schema.cells(pa.table({"price": [5.25, 7.0], "term": term})).numbers["price"].tolist() == [5.25, 7.0]
    with pytest.raises(TableError, match=r"written as \$#,##0.00, however: '5 EUR'"):
        schema.cells(pa.table({"price": ["$5.00", "5 EUR"], "term": term}))
    said = schema.to_json()
    said["columns"][0]["written"] = "00"
    with pytest.raises(TableError, match=r"a known form such as .* or '\$#,##0.00', however: written='00'"):
        Schema.from_json(said)
    said["columns"][0] |= {"written": None, "blank": "?", "kind": "category", "levels": ["a", "b"]}
    with pytest.raises(TableError, match=r"a written form to have a text for what is blank, however: blank='\?'"):
        Schema.from_json(said)


def test_what_stands_for_missing_among_amounts_of_a_file_is_missing(tmp_path: Any) -> None:
    path = tmp_path / "x.csv"
    path.write_text("price,n\n" + "".join(f'"${1000 + 7 * i:,}",{i % 9}\n' for i in range(60)) + "NA,3\n,4\n")
    table = read_table(path)
    assert table["price"].null_count == 2
    assert Schema.infer(table).column("price").written == "$#,##0"


def test_extremes_of_amounts_are_protected() -> None:
    frame = _frame()
    frame.loc[3, "price"] = "$9,999,999.00"
    hidden = protect(to_arrow(frame), Schema.infer(to_arrow(frame))).to_pandas()
    assert "$9,999,999.00" not in set(hidden["price"])
    assert hidden["price"].str.startswith("$").all()


def test_amounts_are_sampled_with_their_dependence(tmp_path: Any) -> None:
    frame = _frame()
    fitted = Synthesizer(seed=0, time_limit=0.03).fit(frame)
    fake = fitted.sample(500, seed=1)
    price, half = (
        read(pa.array(fake[name], pa.large_string()), form).to_numpy()
        for name, form in (("price", "$#,##0.00"), ("half", "0,000"))
    )
    assert np.corrcoef(np.log(price), np.log(half))[0, 1] > 0.9
    fitted.save(f"{tmp_path}/model")
    assert Synthesizer.load(f"{tmp_path}/model").sample(500, seed=1).equals(fake)
