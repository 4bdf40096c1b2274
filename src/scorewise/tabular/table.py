"""Tables in and out: CSV, TSV and Parquet files, and data frames."""

import errno
import gzip
import json
import os
import secrets
import sys
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scorewise.tabular import delimited
from scorewise.tabular.defect import TableError, require_distinct_names
from scorewise.tabular.frame import FrameKind, kind_of, like, to_arrow

__all__ = [
    "SUFFIXES",
    "FrameKind",
    "TableError",
    "kind_of",
    "like",
    "read_table",
    "to_arrow",
    "write_table",
    "write_whole",
]

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def read_table(path: str | Path) -> pa.Table:
    """Read a table from a file: .csv, .tsv, either with .gz behind, or .parquet, or "-" for CSV on the standard input.

    How CSV fields become values is told by `scorewise.tabular.delimited.parse`. An unnamed index that pandas wrote
    into a Parquet file is not part of the table; a named one is a column.

    Args:
        path: The file.

    Returns:
        The table, of one row and one column or more.

    Raises:
        TableError: Where there is no such file or no table in it.
    """
    if str(path) == "-":
        data = sys.stdin.buffer.read()
        if not data:
            raise TableError(
                "The standard input must hold a table as CSV, however: nothing came. Pipe a file into it, or name one."
            )
        return delimited.parse(data, "The standard input")
    path = Path(path)
    suffix = _suffix(path)
    if path.is_dir():
        raise TableError(f"A table must be a file, however: {path} is a folder. Name a file in it.")
    if not path.exists():
        raise TableError(f"A table must be a file that exists, however: there is no {path}. Check the name.")
    if suffix == ".parquet":
        return _read_parquet(path)
    data = path.read_bytes()
    if suffix.endswith(".gz") and data:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise TableError(
                f"{path} must be compressed by gzip, however: {error}. Copy or compress it again."
            ) from error
    return delimited.parse(data, str(path))


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table to a file, by extension .csv, .tsv, either with .gz behind, or .parquet, or as CSV for "-".

    Between fields of CSV is what was there in the file that the table was read from; "-" is the standard output. The
    file appears as a whole or not at all: it is written next to its place and renamed. The same table gives the same
    bytes.

    Args:
        table: The table.
        path: The file; its folder must exist.

    Raises:
        TableError: Where the extension is unknown, the folder does not exist, or the path is a folder.
        OSError: Where the file cannot be written, for example because the disk is full; a file that stood there
            before is left as it was.
    """
    if str(path) == "-":
        sys.stdout.buffer.write(delimited.render(table))
        sys.stdout.buffer.flush()
        return
    path = Path(os.path.realpath(path))
    suffix = _suffix(path)
    if path.is_dir():
        raise TableError(f"A table must be written to a file, however: {path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise TableError(
            f"A table must be written into a folder that exists, however: there is no {path.parent}. Create it first."
        )
    if suffix == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
    else:
        data = delimited.render(table, "\t" if suffix.startswith(".tsv") else None)
        if suffix.endswith(".gz"):
            data = gzip.compress(data, compresslevel=6, mtime=0)
    write_whole(path, data)


def _suffix(path: Path) -> str:
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise TableError(
            f"A table must be a .csv, .csv.gz, .tsv, .tsv.gz or .parquet file, however: {path}. "
            "Rename it, or save it in one of these formats."
        )
    return suffix


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: to a file beside it, which then takes its place.

    Args:
        path: the file; what is there stays as it is if writing fails.
        data: its new content.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(
            error.errno or errno.EIO,
            f"{path} could not be written ({len(data):,} bytes): {reason}. "
            "Nothing was changed; free some space or choose another folder",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _read_parquet(path: Path) -> pa.Table:
    if path.stat().st_size == 0:
        raise TableError(f"{path} must hold a table, however: it is empty. Give a file with a table in it.")
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise TableError(
            f"{path} must be a Parquet file, however: it is damaged or of another format ({error}). Write it again."
        ) from error
    require_distinct_names(table.column_names)
    table = _without_index(table)
    if table.num_rows == 0 or table.num_columns == 0:
        raise TableError(
            f"{path} must hold one row and one column or more, however: {table.num_rows} rows and "
            f"{table.num_columns} columns. Give a file with a table in it."
        )
    return table


def _without_index(table: pa.Table) -> pa.Table:
    """Drop the unnamed index that pandas keeps in a Parquet file, and make a named one a column like the others."""
    metadata = dict(table.schema.metadata or {})
    if b"pandas" not in metadata:
        return table
    said = json.loads(metadata[b"pandas"])
    unnamed = [
        column["field_name"]
        for column in said.get("columns", [])
        if column.get("name") is None and column["field_name"] in said.get("index_columns", [])
    ]
    said["index_columns"] = []
    said["columns"] = [column for column in said.get("columns", []) if column.get("field_name") not in unnamed]
    metadata[b"pandas"] = json.dumps(said).encode()
    return table.drop_columns(unnamed).replace_schema_metadata(metadata)
