import decimal
import errno
import gzip
import io
import os
import re
import resource
import subprocess
import sys
from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal

from scorewise.tabular.schema import Schema
from scorewise.tabular.table import TableError, kind_of, like, read_table, to_arrow, write_table


def written(folder, text, name="table.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --------------------------------------------------------------------------------------- reading: what is refused


def test_no_such_file(tmp_path):
    with pytest.raises(TableError, match=r"must be a file that exists, however: there is no .*none\.csv\. Check"):
        read_table(tmp_path / "none.csv")


def test_a_folder(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match=r"must be a file, however: .*folder\.csv is a folder"):
        read_table(tmp_path / "folder.csv")


@pytest.mark.parametrize("name", ["table.xlsx", "table", "table.json", "table.gz"])
def test_unknown_extension(tmp_path, name):
    path = written(tmp_path, "a,b\n1,2\n", name)
    with pytest.raises(TableError, match=r"must be a \.csv, \.csv\.gz, \.tsv, \.tsv\.gz or \.parquet file, however: "):
        read_table(path)
    with pytest.raises(TableError, match=r"must be a \.csv, \.csv\.gz, \.tsv, \.tsv\.gz or \.parquet file, however: "):
        write_table(pa.table({"a": [1]}), path)


@pytest.mark.parametrize(("name", "data"), [("e.csv", b""), ("e.csv", b"\n \n"), ("e.csv.gz", b""), ("e.parquet", b"")])
def test_empty_file(tmp_path, name, data):
    with pytest.raises(TableError, match=r"must hold a .*however: it is empty"):
        read_table(written(tmp_path, data, name))


def test_header_only(tmp_path):
    with pytest.raises(TableError, match=r"must hold one row or more, however: it is a header only"):
        read_table(written(tmp_path, "a,b\n"))


def test_duplicate_column_names(tmp_path):
    with pytest.raises(TableError, match=r"Column names must be distinct, however: 'a', 'b' stand more than once"):
        read_table(written(tmp_path, "a,b,a,b,c\n1,2,3,4,5\n"))


def test_duplicate_column_names_in_parquet(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"Column names must be distinct, however: 'a' stand"):
        read_table(tmp_path / "t.parquet")


def test_not_utf8(tmp_path):
    path = written(tmp_path, "a,b\nx,caf\xe9\n".encode("latin-1"))
    with pytest.raises(TableError, match=r"must be encoded as UTF-8, however: byte 9 is 0xe9\. .*iconv"):
        read_table(path)


def test_ragged_rows(tmp_path):
    path = written(tmp_path, "a,b,c\n1,2,3\n4,5\n6,7,8,9\n")
    with pytest.raises(TableError, match=r"must have 3 fields in each row, however: row 3 has 2 \(2 such rows\)"):
        read_table(path)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_separators_are_read_and_written_again(tmp_path, mark):
    text = f'a b{mark}c\n1{mark}"x{mark}y"\n2{mark}1,5\n'
    table = read_table(written(tmp_path, text))
    assert table.to_pydict() == {"a b": [1, 2], "c": [f"x{mark}y", "1,5"]}
    write_table(table, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == text
    schema = Schema.from_json(Schema.infer(table).to_json())
    restored = schema.restore(schema.cells(table), 2, 0)
    write_table(restored, tmp_path / "restored.csv")
    assert (tmp_path / "restored.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    write_table(table, tmp_path / "tabs.tsv")
    assert (tmp_path / "tabs.tsv").read_text().startswith("a b\tc\n")
    assert read_table(tmp_path / "tabs.tsv").equals(table)
    with pytest.raises(TableError, match=re.escape(f"Quote the fields that hold a {mark!r}, or mend")):
        read_table(written(tmp_path, f"a{mark}b\n1{mark}2\n1{mark}2{mark}3\n"))


def test_a_comma_in_the_header_is_what_separates(tmp_path):
    assert read_table(written(tmp_path, "a;b,c|d\n1;2,3\n")).to_pydict() == {"a;b": ["1;2"], "c|d": [3]}
    marks = read_table(written(tmp_path, '"a,x";b|c;d\n1;2;3\n'))
    assert marks.column_names == ["a,x", "b|c", "d"]


def test_damaged_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match=r"must be a Parquet file, however: it is damaged or of another format"):
        read_table(path)


def test_parquet_without_rows(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"one row and one column or more, however: 0 rows and 1 columns"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "damage", [lambda data: b"no gzip", lambda data: data[:-9], lambda data: data[:15] + b"xx" + data[17:]]
)
def test_damaged_gzip(tmp_path, damage):
    data = gzip.compress(b"a,b\n" + b"1,2\n" * 100)
    with pytest.raises(TableError, match=r"must be compressed by gzip, however: "):
        read_table(written(tmp_path, damage(data), "t.csv.gz"))


def test_nothing_on_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(TableError, match=r"standard input must hold a table as CSV, however: nothing came"):
        read_table("-")


# --------------------------------------------------------------------------------------- reading: what is understood


def read(tmp_path, text):
    return read_table(written(tmp_path, text))


@pytest.mark.parametrize(
    ("fields", "dtype", "values"),
    [
        (["1", "-2", "+3"], pa.int64(), [1, -2, 3]),
        (["1", "", "3"], pa.int64(), [1, None, 3]),
        (["1", "NA", "#N/A", "NaN", "null"], pa.int64(), [1, None, None, None, None]),
        (["1.5", "2", "-1e-3", ".5"], pa.float64(), [1.5, 2.0, -0.001, 0.5]),
        ([" 1", "2 "], pa.int64(), [1, 2]),
        (["inf", "1"], pa.float64(), [float("inf"), 1.0]),
        (["True", "false", "TRUE"], pa.bool_(), [True, False, True]),
        (["2020-01-31", ""], pa.date32(), [date(2020, 1, 31), None]),
        (["2020-13-31", "2020-01-01"], pa.large_string(), ["2020-13-31", "2020-01-01"]),
        (["2020-01-31 10:00"], pa.timestamp("s"), [datetime(2020, 1, 31, 10)]),
        (["2020-01-31T10:00:00.25"], pa.timestamp("ms"), [datetime(2020, 1, 31, 10, 0, 0, 250_000)]),
        (["00501", "12345"], pa.large_string(), ["00501", "12345"]),
        (["0.5", "0"], pa.float64(), [0.5, 0.0]),
        (["98765432109876543210"], pa.large_string(), ["98765432109876543210"]),
        (["None", "Norm", ""], pa.large_string(), ["None", "Norm", None]),
        (["None", "1"], pa.large_string(), ["None", "1"]),
        (["NA", "Low"], pa.large_string(), ["NA", "Low"]),
        ([" x", "y "], pa.large_string(), [" x", "y "]),
        (["", "NA"], pa.null(), [None, None]),
        (["1/31/2020", "2/1/2020"], pa.large_string(), ["1/31/2020", "2/1/2020"]),
        (["1/31/2020", "NA", "", "2/1/2020"], pa.large_string(), ["1/31/2020", None, None, "2/1/2020"]),
        (["1/31/2020", "NA", "2/30/2020"], pa.large_string(), ["1/31/2020", "NA", "2/30/2020"]),
        (
            ["31.01.2020 09:00", "NA", " 01.02.2020 10:00"],
            pa.large_string(),
            ["31.01.2020 09:00", "NA", " 01.02.2020 10:00"],
        ),
        (["1", "true"], pa.large_string(), ["1", "true"]),
        (["1,5", '"'], pa.large_string(), ["1,5", '"']),
        (["two\nlines", "a"], pa.large_string(), ["two\nlines", "a"]),
    ],
)
def test_types_of_csv_fields(tmp_path, fields, dtype, values):
    quoted = ['"' + field.replace('"', '""') + '"' if set(field) & set('",\n') else field for field in fields]
    table = read(tmp_path, "row,field\n" + "".join(f"{i},{field}\n" for i, field in enumerate(quoted)))
    assert table.column("field").type == dtype
    assert table.column("field").to_pylist() == values


def test_timestamp_with_zone(tmp_path):
    column = read(tmp_path, "a,b\n2020-01-01T10:00:00Z,1\n2020-01-01 10:00:00+02:00,2\n").column("a")
    assert column.type == pa.timestamp("s", "UTC")
    assert [value.hour for value in column.to_pylist()] == [10, 8]


def test_what_a_clock_is_ahead_of_utc_is_kept_as_it_is_written(tmp_path):
    winter, summer = "2020-01-01 10:00:00+01:00", "2020-07-01 10:00:00+02:00"
    for cells in ((winter, summer), (winter, winter.replace("10", "11"))):
        table = read(tmp_path, "a,b\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)) + "NA,2\n")
        assert table.column("a").type == pa.large_string()
        assert table.column("a").to_pylist() == [*cells, None]
    zero = read(tmp_path, "a,b\n2020-01-01 10:00:00+00:00,1\n2020-01-01 11:00:00Z,2\n").column("a")
    assert zero.type == pa.timestamp("s", "UTC")


@pytest.mark.parametrize("zeros", ["0", "0000000"])
def test_zeros_behind_seconds_are_kept_as_they_are_written(tmp_path, zeros):
    cells = [f"2020-01-01 10:00:0{second}.{zeros}" for second in (1, 2)]
    column = read(tmp_path, "a,b\n" + "".join(f"{cell},1\n" for cell in cells)).column("a")
    assert column.to_pylist() == cells
    longer = read(tmp_path, f"a,b\n{cells[0]}5,1\n{cells[1]},2\n").column("a")
    assert pa.types.is_timestamp(longer.type)


def test_quoted_empty_field_is_missing(tmp_path):
    assert read(tmp_path, 'a,b\n"",1\n"x",""\n').to_pylist() == [{"a": None, "b": 1}, {"a": "x", "b": None}]


def test_byte_order_mark_is_no_part_of_the_name(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n").column_names == ["a", "b"]


def test_windows_line_ends(tmp_path):
    assert read(tmp_path, "a,b\r\n1,x\r\n2,y\r\n").to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_standard_input_and_output():
    program = "from scorewise.tabular.table import *; write_table(read_table('-'), '-')"
    text = b'a,b,c\n1,x,0.1\n,"y,z",12.3\n'
    done = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, check=True)
    assert done.stdout == text


def test_unnamed_pandas_index_is_no_column(tmp_path):
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}, index=[5, 7, 9])
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").column_names == ["a", "b"]
    frame.rename_axis("key").to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").column_names == ["a", "b", "key"]


# ---------------------------------------------------------------------------------------------- writing

EVERY_TYPE = pa.table(
    {
        "integer": [1, None, 3],
        "float": [12.3, None, -2.0],
        "tiny": [1e-7, 1e20, 0.1 + 0.2],
        "boolean": [True, None, False],
        "text": ["a", None, 'say "x", y'],
        "lines": ["one\ntwo", "x", "y"],
        "date": [date(2020, 1, 31), None, date(1999, 12, 1)],
        "time stamp": pa.array([datetime(2020, 1, 31, 10), None, datetime(1999, 12, 1)], pa.timestamp("us")),
        "zoned": pa.array([datetime(2020, 1, 31, 10), None, datetime(1999, 12, 1)], pa.timestamp("ms", "UTC")),
    }
)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.CSV", "t.tsv", "t.tsv.gz", "t.parquet"])
def test_written_tables_are_read_back(tmp_path, name):
    write_table(EVERY_TYPE, tmp_path / name)
    again = read_table(tmp_path / name)
    wide = [
        pa.large_string() if field.type == pa.string() and not name.endswith("parquet") else field.type
        for field in EVERY_TYPE.schema
    ]
    assert again.schema.types == wide
    assert again.to_pylist() == EVERY_TYPE.to_pylist()


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv.gz", "t.parquet"])
def test_same_table_same_bytes_and_nothing_else_in_the_folder(tmp_path, name):
    write_table(EVERY_TYPE, tmp_path / name)
    first = (tmp_path / name).read_bytes()
    write_table(EVERY_TYPE, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    assert os.listdir(tmp_path) == [name]


def test_csv_text(tmp_path):
    table = pa.table(
        {
            "f": [12.3, 100.0, float("nan")],
            "f32": pa.array([0.1, None, 7], pa.float32()),
            "b": [True, False, None],
            "c": pa.array(["x", "", None]).dictionary_encode(),
            "d": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-2.00")]),
            "s": pa.array([timedelta(minutes=1.5), None, timedelta(0)], pa.duration("ms")),
            "t": pa.array([time(1, 2, 3), None, time(0)], pa.time32("s")),
        }
    )
    write_table(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == (
        'f,f32,b,c,d,s,t\n12.3,0.1,True,x,1.50,90.0,01:02:03\n100.0,,False,"",,,\n,7.0,,,-2.00,0.0,00:00:00\n'
    )


def test_one_column_of_missing_cells_keeps_its_rows(tmp_path):
    write_table(pa.table({"a": ["x", None, "y"]}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").to_pylist() == [{"a": "x"}, {"a": None}, {"a": "y"}]


def test_folder_must_exist(tmp_path):
    with pytest.raises(
        TableError, match=r"into a folder that exists, however: there is no .*nowhere\. Create it first"
    ):
        write_table(EVERY_TYPE, tmp_path / "nowhere" / "t.csv")


def test_written_to_a_folder(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(TableError, match=r"must be written to a file, however: .*t\.csv is a folder"):
        write_table(EVERY_TYPE, tmp_path / "t.csv")


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real" / "t.csv")
    write_table(EVERY_TYPE, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert read_table(tmp_path / "real" / "t.csv").num_rows == 3


def test_full_disk_leaves_the_old_file_whole(tmp_path):
    write_table(EVERY_TYPE, tmp_path / "t.csv")
    old = (tmp_path / "t.csv").read_bytes()
    program = (
        "import sys, pyarrow as pa; from scorewise.tabular.table import write_table\n"
        "try: write_table(pa.table({'a': list(range(10_000))}), sys.argv[1])\n"
        "except OSError as error: print(error.errno, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "t.csv")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(errno.EFBIG))
    assert (
        "t.csv could not be written (48,892 bytes): File too large. Nothing was changed; free some space" in done.stdout
    )
    assert (tmp_path / "t.csv").read_bytes() == old
    assert os.listdir(tmp_path) == ["t.csv"]


@pytest.mark.skipif("SCOREWISE_DATA_HOME" not in os.environ, reason="SCOREWISE_DATA_HOME is not set")
@pytest.mark.parametrize("name", ["credit_default_train", "shoppers", "beijing_pm25"])
def test_real_tables_survive_csv(tmp_path, name):
    table = read_table(os.path.join(os.environ["SCOREWISE_DATA_HOME"], f"{name}.parquet"))
    write_table(table, tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").cast(table.schema).equals(table)


# ---------------------------------------------------------------------------------------------- data frames


def test_kind_of():
    assert kind_of(pd.DataFrame({"a": [1]})) == "pandas"
    assert kind_of(pl.DataFrame({"a": [1]})) == "polars"
    assert kind_of(pa.table({"a": [1]})) == "pyarrow"


@pytest.mark.parametrize(
    ("frame", "advice"),
    [
        (np.zeros((2, 2)), r"ndarray\. Wrap the array, with a name for each column: pandas\.DataFrame"),
        (pl.LazyFrame({"a": [1]}), r"LazyFrame\. Call \.collect\(\) on it first"),
        ({"a": [1]}, r"dict\. Convert it first"),
        (pd.Series([1]), r"Series\. Convert it first"),
        ("table.csv", r"str\. Convert it first; a file is read by"),
    ],
)
def test_other_objects_are_no_tables(frame, advice):
    with pytest.raises(
        TypeError, match=r"A table must be a pandas or polars DataFrame or a pyarrow Table, however: " + advice
    ):
        to_arrow(frame)


NAN = float("nan")
PANDAS_COLUMNS = {
    "int8": pd.Series([1, -2, 3], dtype="int8"),
    "uint64": pd.Series([1, 2, 2**64 - 1], dtype="uint64"),
    "float16": pd.Series([0.5, NAN, 2], dtype="float16"),
    "float32": pd.Series([0.1, NAN, 2], dtype="float32"),
    "bool": pd.Series([True, False, True]),
    "str": pd.Series(["a", None, "c"]),
    "object": pd.Series(["a", None, "c"], dtype=object),
    "object nan": pd.Series(["a", NAN, "c"], dtype=object),
    "object NA": pd.Series(["a", pd.NA, "c"], dtype=object),
    "object integers": pd.Series([1, None, 3], dtype=object),
    "object booleans": pd.Series([True, None, False], dtype=object),
    "object decimals": pd.Series([decimal.Decimal("1.50"), None, decimal.Decimal("2.25")], dtype=object),
    "object dates": pd.Series([date(2020, 1, 1), None, date(2021, 1, 1)], dtype=object),
    "object times": pd.Series([time(1), None, time(2)], dtype=object),
    "object stamps": pd.Series([pd.Timestamp("2020-01-01 10:00"), None, pd.Timestamp("2021-01-01")], dtype=object),
    "object datetimes": pd.Series([datetime(2020, 1, 1, 10), None, datetime(9999, 1, 1)], dtype=object),
    "object timedeltas": pd.Series([pd.Timedelta(1, "s"), None, pd.Timedelta(2, "s")], dtype=object),
    "object durations": pd.Series([timedelta(1), pd.NaT, timedelta(2)], dtype=object),
    "string python": pd.Series(["a", None, "c"], dtype=pd.StringDtype("python")),
    "string pyarrow": pd.Series(["a", None, "c"], dtype=pd.StringDtype("pyarrow")),
    "category": pd.Series(pd.Categorical(["b", None, "a"], categories=["b", "a", "unused"], ordered=True)),
    "category of objects": pd.Series(pd.Categorical(["b", "b", "a"], categories=pd.Index(["a", "b"], dtype=object))),
    "category of integers": pd.Series(pd.Categorical([3, None, 1], categories=[3, 2, 1])),
    "category of dates": pd.Series(pd.Categorical(pd.to_datetime(["2020-01-01", None, "2021-01-01"]))),
    "Int8": pd.Series([1, None, 3], dtype="Int8"),
    "UInt64": pd.Series([1, None, 2**64 - 1], dtype="UInt64"),
    "Float32": pd.Series([0.1, None, 3], dtype="Float32"),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    **{
        f"datetime64[{unit}]": pd.Series(pd.to_datetime(["2020-01-01", None, "2021-01-01"])).astype(
            f"datetime64[{unit}]"
        )
        for unit in ("s", "ms", "us", "ns")
    },
    "zone": pd.Series(pd.to_datetime(["2020-07-01", None, "2021-01-01"]).tz_localize("Europe/Berlin")),
    "offset": pd.Series(pd.to_datetime(["2020-07-01T00:00+01:00", None, "2021-01-01T00:00+01:00"])),
    "timedelta64[s]": pd.Series(pd.to_timedelta([1, None, 3], unit="s")).astype("timedelta64[s]"),
    "arrow integers": pd.Series([1, None, 3], dtype=pd.ArrowDtype(pa.int16())),
    "arrow text": pd.Series(["a", None, "c"], dtype=pd.ArrowDtype(pa.string())),
    "arrow decimals": pd.Series(
        [decimal.Decimal("1.5"), None, decimal.Decimal("2.5")], dtype=pd.ArrowDtype(pa.decimal128(5, 1))
    ),
    "arrow dates": pd.Series([date(2020, 1, 1), None, date(2021, 1, 1)], dtype=pd.ArrowDtype(pa.date32())),
}


@pytest.mark.parametrize("name", PANDAS_COLUMNS)
def test_pandas_dtypes_come_back(name):
    frame = pd.DataFrame({"x": PANDAS_COLUMNS[name], "other": [1, 2, 3]}).set_axis([7, 8, 9])
    assert frame["x"].notna().sum() >= 2
    kept = frame.copy(deep=True)
    again = like(to_arrow(frame), "pandas")
    assert_frame_equal(again, kept.reset_index(drop=True), check_exact=True)
    assert [type(cell) for cell in again["x"]] == [type(cell) for cell in kept["x"]]
    assert_frame_equal(frame, kept)


def test_all_pandas_columns_at_once_survive_parquet(tmp_path):
    frame = pd.DataFrame(PANDAS_COLUMNS).drop(columns=["category of integers"])
    write_table(to_arrow(frame), tmp_path / "t.parquet")
    assert_frame_equal(like(read_table(tmp_path / "t.parquet"), "pandas"), frame)


@pytest.mark.parametrize(
    "columns", [[0, 1], [10, "b"], pd.Index(["a", "b"], dtype=object, name="names"), pd.RangeIndex(2)]
)
def test_column_names_come_back(columns):
    frame = pd.DataFrame([[1, 2.5], [3, 4.5]], columns=columns)
    table = to_arrow(frame)
    assert table.column_names == [str(name) for name in columns]
    assert_frame_equal(like(table, "pandas"), frame)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([("a", 1), 2.5], r"must be text or integers, however: \('a', 1\) of type tuple"),
        ([None, "a"], r"must be text or integers, however: (None|nan) of type"),
        (pd.MultiIndex.from_tuples([("a", "b"), ("c", "d")]), r"must have one name each, however: 2 levels of names"),
        ([1, "1"], r"must be distinct, however: '1' stand more than once"),
        (["a", "a"], r"must be distinct, however: 'a' stand more than once"),
    ],
)
def test_column_names_refused(columns, message):
    with pytest.raises(TableError, match=message):
        to_arrow(pd.DataFrame([[1, 2]], columns=columns))


def test_mixed_types_are_all_named():
    frame = pd.DataFrame(
        {
            "a": pd.Series([1, "x", None], dtype=object),
            "b": pd.Series([1.5, True, None], dtype=object),
            "c": pd.Series([date(2020, 1, 1), datetime(2020, 1, 1), None], dtype=object),
            "d": pd.Series([1, 2.5, None], dtype=object),
        }
    )
    with pytest.raises(
        TableError,
        match=r"one type of values, however: 'a' \(numbers and text\), 'b' \(numbers and booleans\), 'c' \(dates and t",
    ):
        to_arrow(frame)


def test_naive_and_zoned_stamps_are_mixed():
    stamps = pd.Series([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01", tz="UTC")], dtype=object)
    with pytest.raises(TableError, match=r"'a' \(timestamps with a zone and timestamps without\)"):
        to_arrow(pd.DataFrame({"a": stamps}))


def test_unsupported_columns_are_all_named():
    frame = pd.DataFrame(
        {
            "lists": [[1], [2]],
            "dicts": [{"k": 1}, {}],
            "sets": [{1}, {2}],
            "bytes": [b"a", b"b"],
            "complex": [1j, 2j],
            "period": pd.period_range("2020-01", periods=2, freq="M"),
            "interval": pd.interval_range(0, 2),
            "cut": pd.cut([1, 2], 2),
            "sparse": pd.arrays.SparseArray([0, 1]),
            "huge": pd.Series([2**70, 1], dtype=object),
            "fine": [1, 2],
        }
    )
    with pytest.raises(TableError, match="Columns must hold numbers, booleans, text") as caught:
        to_arrow(frame)
    for name in frame.columns.drop("fine"):
        assert f"'{name}' (" in str(caught.value)
    assert "fine" not in str(caught.value)


def test_missing_cell_in_a_dtype_without_missing():
    table = to_arrow(pd.DataFrame({"a": [1, 2], "b": [True, False]}))
    holed = pa.Table.from_arrays([pa.array([1, None]), table.column("b")], schema=table.schema)
    with pytest.raises(
        TableError, match=r"Column 'a' must have no missing cell to be of dtype int64, however: 1 are missing"
    ):
        like(holed, "pandas")


def test_polars_comes_back():
    frame = pl.DataFrame(
        {
            "category": pl.Series(["a", None, "b"], dtype=pl.Categorical),
            "enum": pl.Series(["x", "y", None], dtype=pl.Enum(["y", "x", "unused"])),
            "decimal": pl.Series([decimal.Decimal("1.50"), None, decimal.Decimal("2")], dtype=pl.Decimal(10, 2)),
            "time": [time(1), None, time(2)],
            "duration": [timedelta(1), None, timedelta(2)],
            "zoned": pl.Series(
                [datetime(2020, 1, 1), None, datetime(2021, 1, 1)], dtype=pl.Datetime("ms", "Europe/Berlin")
            ),
            "nan": [NAN, None, 1.0],
            "uint8": pl.Series([1, None, 3], dtype=pl.UInt8),
        }
    )
    assert_polars_equal(like(to_arrow(frame), "polars"), frame)


def test_polars_objects_are_refused():
    frame = pl.DataFrame(
        {"a": pl.Series([object(), object()], dtype=pl.Object), "b": pl.Series([1, 2], dtype=pl.Int128)}
    )
    with pytest.raises(TableError, match=r"however: 'a' \(Object\), 'b' \(Int128\)"):
        to_arrow(frame)


def test_arrow_is_taken_as_it_is():
    table = pa.table({"a": [1, 2]}, metadata={"key": "value"})
    assert like(to_arrow(table), "pyarrow") is table


def test_arrow_with_duplicate_names_is_refused():
    with pytest.raises(TableError, match="'a' stand more than once"):
        to_arrow(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_unknown_frame_kind():
    with pytest.raises(
        ValueError, match="frame_kind must be 'pandas', 'polars' or 'pyarrow', however: frame_kind='modin'"
    ):
        like(pa.table({"a": [1]}), "modin")


def test_a_file_can_become_any_frame(tmp_path):
    table = read(tmp_path, "a,b\n1,x\n2,\n")
    assert like(table, "pandas").to_dict("list")["a"] == [1, 2]
    assert like(table, "polars").to_dict(as_series=False) == {"a": [1, 2], "b": ["x", None]}
