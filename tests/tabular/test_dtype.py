import numpy as np
import pyarrow as pa
import pytest

from scorewise.tabular import dtype
from scorewise.tabular.table import TableError

TYPES = [
    pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.string(), pa.large_string(),
    pa.string_view(), pa.decimal128(10, 2), pa.decimal256(60, -3), pa.date32(), pa.date64(), pa.time32("s"),
    pa.time64("ns"), pa.timestamp("ms"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns", "+05:30"),
    pa.duration("us"), pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint32(), pa.timestamp("s", "UTC"), True),
]  # fmt: skip


@pytest.mark.parametrize("own", TYPES, ids=str)
def test_every_type_is_read_from_its_text(own):
    assert dtype.parse(str(own)) == own
    assert dtype.family(own) is not None


@pytest.mark.parametrize(
    "other",
    [pa.binary(), pa.list_(pa.int8()), pa.struct([("a", pa.int8())]), pa.map_(pa.string(), pa.int8()),
     pa.dictionary(pa.int8(), pa.binary()), pa.month_day_nano_interval()],
    ids=str,
)  # fmt: skip
def test_types_that_no_table_holds(other):
    assert dtype.family(other) is None
    with pytest.raises(TableError, match="arrow_type must be the name of an Arrow type such as 'int64'"):
        dtype.parse(str(other))


@pytest.mark.parametrize(
    ("own", "low", "high"),
    [
        (pa.int8(), -128, 127),
        (pa.uint64(), 0, 2**64 - 1),
        (pa.decimal128(5, 2), -99_999, 99_999),
        (pa.time32("s"), 0, 86_399),
        (pa.time64("us"), 0, 86_400 * 10**6 - 1),
        (pa.date32(), -(2**31), 2**31 - 1),
        (pa.timestamp("ns"), -(2**63) + 1, 2**63 - 1),
    ],
    ids=str,
)
def test_limits(own, low, high):
    assert dtype.limits(own) == (low, high)


@pytest.mark.parametrize(
    "own",
    [
        pa.int16(),
        pa.uint64(),
        pa.decimal128(38, 3),
        pa.date32(),
        pa.time64("ns"),
        pa.timestamp("s", "UTC"),
        pa.duration("ms"),
    ],
    ids=str,
)
def test_integers_come_back(own):
    values = np.array([0, 5, 12, 30_000])
    missing = np.array([False, True, False, False])
    cells = dtype.from_integers(values, missing, own)
    assert cells.type == own
    assert dtype.present(cells).tolist() == (~missing).tolist()
    assert dtype.integers(cells).tolist() == [0, 0, 12, 30_000]
    assert dtype.integers(cells.slice(2, 1)).tolist() == [12]


@pytest.mark.parametrize("number", [10**30, -(10**30), 2**63, -(2**63) - 1])
def test_decimals_beyond_64_bits_come_back(number):
    cells = dtype.from_integers(np.array([number, 7], dtype=object), np.zeros(2, dtype=bool), pa.decimal128(38, 2))
    assert dtype.integers(cells).tolist() == [number, 7]
    assert dtype.floats(cells).tolist() == [number / 100, 0.07]


def test_floats_beyond_the_range_become_its_ends():
    cells = dtype.from_floats(np.array([1e300, -1e300, 1.5]), np.zeros(3, dtype=bool), pa.float32(), nan=False)
    most = float(np.finfo(np.float32).max)
    assert cells.to_pylist() == [most, -most, 1.5]


@pytest.mark.parametrize(("nan", "expected"), [(False, [None, 2.0]), (True, ["nan", 2.0])])
def test_missing_floats_are_null_or_nan(nan, expected):
    cells = dtype.from_floats(np.array([1.0, 2.0]), np.array([True, False]), pa.float64(), nan=nan)
    assert [str(cell) if cell != cell else cell for cell in cells.to_pylist()] == expected
    assert dtype.present(cells).tolist() == [False, True]
