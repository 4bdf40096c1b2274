"""Named tables: verified, quick to fail, and never another table than the one that was asked for."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from scorewise import datasets
from scorewise.datasets import CREDIT_DEFAULT_COLUMNS, DATASETS, DatasetError, canonical_credit_default, download, load

ON_DISK = [name for name, dataset in DATASETS.items() if dataset.file is not None]
BUNDLED = [name for name, dataset in DATASETS.items() if dataset.file is None]


def as_openml(frame: pd.DataFrame) -> pd.DataFrame:
    """Credit Default in the columns and dtypes in which OpenML delivers it."""
    theirs = frame.set_axis([*(f"x{i}" for i in range(1, 24)), "y"], axis="columns").astype("float64")
    theirs["y"] = frame["default"].astype(str).astype("category")
    theirs["x2"] = frame["SEX"].astype("uint8")
    return theirs[["y", *theirs.columns[:-1]]]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_table_has_its_target_and_no_missing_cell(name: str) -> None:
    table = load(name)
    assert len(table) >= 150
    assert DATASETS[name].target in table.columns
    assert not table.isna().any().any()


def test_a_bundled_class_is_spelt_out() -> None:
    assert set(load("breast_cancer")["diagnosis"]) == {"malignant", "benign"}
    assert load("breast_cancer")["diagnosis"].iloc[0] == "malignant"


def test_bundled_progression_is_in_its_own_unit() -> None:
    assert load("diabetes")["age"].between(19, 79).all()


@pytest.mark.parametrize("name", ON_DISK)
def test_a_table_on_disk_is_read_as_it_is(name: str, real_table: Callable[[str], pd.DataFrame]) -> None:
    table = real_table(name)
    assert len(table) >= 3_000
    assert DATASETS[name].target in table.columns


def test_the_checksums_are_those_of_the_folder(data_home: Path) -> None:
    listing = data_home / "SHA256SUMS"
    if not listing.is_file():
        pytest.skip(f"needs SHA256SUMS in {data_home}")
    listed = {file: digits for digits, file in (line.split() for line in listing.read_text().splitlines())}
    assert listed == {dataset.file: dataset.sha256 for dataset in DATASETS.values() if dataset.file is not None}


def test_an_unknown_name() -> None:
    with pytest.raises(DatasetError, match=r"name must be one of credit_default, .*, however: name='credit'\. Choose"):
        load("credit")


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(datasets.HOME, str(tmp_path))
    with pytest.raises(DatasetError, match=r"adult must lie in .* as adult\.parquet, however: .*Put the file"):
        load("adult")


def test_no_folder_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(datasets.HOME, raising=False)
    with pytest.raises(DatasetError, match=r"however: SCOREWISE_DATA_HOME=''\. .*set the variable to its folder"):
        load("magic")


def test_another_file_under_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"LIMIT_BAL,default\n1,0\n"
    (tmp_path / "credit_default.csv").write_bytes(content)
    monkeypatch.setenv(datasets.HOME, str(tmp_path))
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(DatasetError, match=rf"must have sha256=e28803\w+, however: sha256={found}\. .*get it again"):
        load("credit_default")


def test_a_download_is_the_table_on_disk(real_table: Callable[[str], pd.DataFrame]) -> None:
    ours = real_table("credit_default")
    downloaded = canonical_credit_default(download(lambda: as_openml(ours), seconds=60.0))
    pd.testing.assert_frame_equal(downloaded, ours)


def test_one_changed_value_fails_the_checksum(real_table: Callable[[str], pd.DataFrame]) -> None:
    theirs = as_openml(real_table("credit_default"))
    theirs.loc[17, "x12"] += 1
    with pytest.raises(DatasetError, match=r"Credit Default from OpenML must have sha256=e28803"):
        canonical_credit_default(theirs)


def test_two_swapped_rows_fail_the_checksum(real_table: Callable[[str], pd.DataFrame]) -> None:
    theirs = as_openml(real_table("credit_default"))
    with pytest.raises(DatasetError, match="must have sha256="):
        canonical_credit_default(theirs.iloc[[1, 0, *range(2, len(theirs))]])


def test_a_download_with_other_columns() -> None:
    frame = pd.DataFrame({f"x{i}": [1, 2] for i in range(1, 24)} | {"z": [0, 1]})
    with pytest.raises(DatasetError, match=r"Columns must be x1 to x23 and y, however: y, z missing or too many"):
        canonical_credit_default(frame)


@pytest.mark.parametrize("value", ["many", 1.5, None])
def test_a_download_with_a_value_that_is_no_integer(value: object) -> None:
    frame = pd.DataFrame({f"x{i}": [1, 2] for i in range(1, 24)} | {"y": pd.Series([0, value], dtype="object")})
    with pytest.raises(DatasetError, match=r"Every value must be an integer, however: "):
        canonical_credit_default(frame)


def test_names_of_columns_are_those_of_the_table(real_table: Callable[[str], pd.DataFrame]) -> None:
    assert tuple(real_table("credit_default").columns) == CREDIT_DEFAULT_COLUMNS


def test_a_download_that_hangs_is_given_up_in_time() -> None:
    end = threading.Event()

    def hang() -> pd.DataFrame:
        end.wait(60.0)
        raise TimeoutError

    start = time.monotonic()
    with pytest.raises(DatasetError, match=r"within 0\.2 seconds, however: no answer\. Connect .*SCOREWISE_DATA_HOME"):
        download(hang, seconds=0.2)
    assert time.monotonic() - start < 5.0
    end.set()


def test_a_download_that_fails_says_why() -> None:
    def fail() -> pd.DataFrame:
        raise OSError("no route to host")

    with pytest.raises(DatasetError, match=r"however: OSError: no route to host\."):
        download(fail)


def test_without_a_network_the_demo_takes_a_bundled_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(datasets.HOME, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port of this machine: refuses at once
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    start = time.monotonic()
    name, table, reason = datasets.for_demo(seconds=10.0)
    assert name == "breast_cancer"
    assert len(table) == 569
    assert "needs no download. OpenML must deliver Credit Default (data set 42477) within 10 seconds" in reason
    assert time.monotonic() - start < 30.0


def test_on_disk_the_demo_takes_credit_default(real_table: Callable[[str], pd.DataFrame]) -> None:
    rows = len(real_table("credit_default"))
    name, table, reason = datasets.for_demo()
    assert (name, len(table)) == ("credit_default", rows)
    assert "Found in SCOREWISE_DATA_HOME" in reason


def test_importing_loads_no_heavy_package() -> None:
    program = "import sys, scorewise.datasets; print(*{'pandas', 'sklearn', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == ""
