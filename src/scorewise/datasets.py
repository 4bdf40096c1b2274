"""Named tables: on disk (``SCOREWISE_DATA_HOME``), downloaded with a checksum, or bundled in scikit-learn."""

import hashlib
import io
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

HOME = "SCOREWISE_DATA_HOME"
OPENML_ID = 42477
CREDIT_DEFAULT_COLUMNS = (
    "LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6",
    "BILL_AMT1", "BILL_AMT2", "BILL_AMT3", "BILL_AMT4", "BILL_AMT5", "BILL_AMT6",
    "PAY_AMT1", "PAY_AMT2", "PAY_AMT3", "PAY_AMT4", "PAY_AMT5", "PAY_AMT6", "default",
)  # fmt: skip


class DatasetError(ValueError):
    """A named table that cannot be had: not there, not reachable, or not the one that its checksum names."""


class Dataset(NamedTuple):
    """A named table: its title, the column to predict, and where its rows come from.

    Args:
        title: name and origin in one line
        target: the column that is usually predicted
        file: name of its file under ``SCOREWISE_DATA_HOME``; None for a table that is bundled in scikit-learn
        sha256: checksum of that file, in hexadecimal digits; None where there is no file
    """

    title: str
    target: str
    file: str | None = None
    sha256: str | None = None


DATASETS: dict[str, Dataset] = {
    "credit_default": Dataset(
        "Default of credit card clients (UCI 350), 30,000 rows",
        "default",
        "credit_default.csv",
        "e28803eec99215182faffbced63edd940d5034ed240443084ae72d254f147f89",
    ),
    "credit_default_train": Dataset(
        "Default of credit card clients (UCI 350), 27,000 rows to train on",
        "default",
        "credit_default_train.parquet",
        "68899d3a17d5b1a0514df7e41699ec7460376c6bf776114f844a9b8b916b458f",
    ),
    "credit_default_test": Dataset(
        "Default of credit card clients (UCI 350), 3,000 rows to test on",
        "default",
        "credit_default_test.parquet",
        "82c33aa58a67ce9e6e255a8c1f61e436cd33fd9074da5f6fdeb36f63b167a8fc",
    ),
    "adult": Dataset(
        "Adult census income (UCI 2)",
        "income",
        "adult.parquet",
        "6d2de56ac728700c5edaa77b1767e2b225f8faf2277ebfa7ea26c71054f8d2b0",
    ),
    "shoppers": Dataset(
        "Online shoppers' purchasing intention (UCI 468)",
        "Revenue",
        "shoppers.parquet",
        "23d958fa1d5951b9a2a070d164aa518220ab4b4d7e19a01f600133369d40cd9a",
    ),
    "magic": Dataset(
        "MAGIC gamma telescope (UCI 159), sorted by class",
        "class",
        "magic.parquet",
        "4a7aca82703da29fd880ac57ac8f3a607d83c209ef2b0ef84eb916be0d770bff",
    ),
    "beijing_pm25": Dataset(
        "Beijing PM2.5, hourly (UCI 381)",
        "pm2.5",
        "beijing_pm25.parquet",
        "dccb1157d71e826d39480934206bb8d4c80408dc7fe3aece3fc0b02ce8e9291f",
    ),
    "diabetes130": Dataset(
        "Diabetes in 130 US hospitals (UCI 296)",
        "readmitted",
        "diabetes130.parquet",
        "28aa4ad7cbf72ec15cf55c7391c8f5300721fe02ab793f54dc147ce42434055e",
    ),
    "online_news_15cols": Dataset(
        "Online news popularity (UCI 332), 15 of its columns",
        "shares",
        "online_news_15cols.parquet",
        "f7da5b703733856ecded117cbe49267741b05ef4ab5778f453e0da3c5b3ac3e4",
    ),
    "breast_cancer": Dataset("Breast cancer Wisconsin (diagnostic), bundled in scikit-learn", "diagnosis"),
    "diabetes": Dataset("Diabetes progression in 442 patients, bundled in scikit-learn", "progression"),
    "iris": Dataset("Iris, bundled in scikit-learn", "species"),
    "wine": Dataset("Wine recognition, bundled in scikit-learn", "cultivar"),
}


def load(name: str, *, seconds: float = 10.0) -> "pd.DataFrame":
    """The named table, the same rows and dtypes at every call.

    A table with a file is read from the folder that ``SCOREWISE_DATA_HOME`` names, once its checksum has been verified;
    ``credit_default`` alone is downloaded from OpenML where there is no such file.

    Args:
        name: a key of ``DATASETS``
        seconds: how long a download may take, in seconds, everything included

    Returns:
        The table, with a new range index.

    Raises:
        DatasetError: If the name is unknown, or the table is not there, not reachable, or fails its checksum.

    Examples:
        >>> load("wine")["cultivar"].nunique()
        3
    """
    if name not in DATASETS:
        message = f"name must be one of {', '.join(DATASETS)}, however: {name=}. Choose one of these."
        raise DatasetError(message)
    if DATASETS[name].file is None:
        return _bundled(name)
    path = _path(name)
    if path is not None:
        return _read(path, DATASETS[name])
    if name == "credit_default":
        return canonical_credit_default(download(_openml, seconds=seconds))
    message = (
        f"{name} must lie in the folder that {HOME} names, as {DATASETS[name].file}, "
        f"however: {HOME}={os.environ.get(HOME, '')!r}. Put the file there, or set the variable to its folder."
    )
    raise DatasetError(message)


def for_demo(*, seconds: float = 10.0) -> tuple[str, "pd.DataFrame", str]:
    """The best table that can be had here and now, to show what a synthesizer does.

    Credit Default where it is on disk or OpenML answers in time; else breast cancer Wisconsin, the largest of the
    tables bundled in scikit-learn that has classes to predict.

    Args:
        seconds: how long a download may take, in seconds, everything included

    Returns:
        The name of the table, its rows, and one sentence that says why it was taken.

    Raises:
        DatasetError: If a Credit Default table is there, or was downloaded, and fails its checksum.
    """
    for name in ("credit_default", "credit_default_train"):
        if _path(name) is not None:
            return name, load(name), f"Found in {HOME}, and its checksum is right."
    try:
        frame = download(_openml, seconds=seconds)
    except DatasetError as error:
        reason = f"It comes with scikit-learn and needs no download. {error}"
        return "breast_cancer", load("breast_cancer"), reason
    return "credit_default", canonical_credit_default(frame), "Downloaded from OpenML, and its checksum is right."


def download(fetch: Callable[[], "pd.DataFrame"], *, seconds: float = 10.0) -> "pd.DataFrame":
    """What ``fetch`` returns, or an error once the time is over, whatever it hangs on.

    ``fetch`` runs in a thread of its own, which is left behind when the time is over: a name server that never answers
    cannot be interrupted in any other way.

    Args:
        fetch: gets the table
        seconds: how long it may take, in seconds

    Returns:
        The table.

    Raises:
        DatasetError: If it fails, or takes longer.
    """
    frames: list[pd.DataFrame] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            frames.append(fetch())
        except Exception as error:  # whatever stops a download is told to the user, below
            failures.append(error)

    thread = threading.Thread(target=run, name="scorewise-download", daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of another try after a failed one: the failure itself is told below
        thread.start()
        thread.join(seconds)
    if frames:
        return frames[0]
    found = f"{type(failures[0]).__name__}: {failures[0]}" if failures else "no answer"
    message = (
        f"OpenML must deliver Credit Default (data set {OPENML_ID}) within {seconds:g} seconds, however: {found}. "
        f"Connect to the network, or put credit_default.csv into a folder and name the folder in {HOME}."
    )
    raise DatasetError(message) from (failures[0] if failures else None)


def canonical_credit_default(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Credit Default as OpenML delivers it, with our names and integers, verified to be the very same 30,000 rows.

    The checksum is that of the table written as CSV, so the file on disk and the download answer to one and the same.

    Args:
        frame: columns ``x1`` to ``x23`` and ``y`` in any order, numbers of any dtype or categories that spell numbers

    Returns:
        30,000 rows of 24 int64 columns.

    Raises:
        DatasetError: If the columns, or any value of any row, are not those of Credit Default.
    """
    theirs = [*(f"x{i}" for i in range(1, 24)), "y"]
    named = {str(column).lower(): column for column in frame.columns}
    wrong = sorted(set(theirs) ^ set(named))
    if wrong:
        message = f"Columns must be x1 to x23 and y, however: {', '.join(wrong)} missing or too many. {_REMEDY}"
        raise DatasetError(message)
    ours = frame[[named[column] for column in theirs]].set_axis(list(CREDIT_DEFAULT_COLUMNS), axis="columns")
    try:
        numbers = ours.astype("object").astype("float64").reset_index(drop=True)
        table = numbers.astype("int64")
    except (TypeError, ValueError) as error:
        message = f"Every value must be an integer, however: {error}. {_REMEDY}"
        raise DatasetError(message) from error
    fractions = list(numbers.columns[(numbers != table).any()])
    if fractions:
        message = f"Every value must be an integer, however: fractions in {', '.join(fractions)}. {_REMEDY}"
        raise DatasetError(message)
    csv = table.to_csv(index=False, lineterminator="\n").encode()
    _verify(csv, "Credit Default from OpenML", DATASETS["credit_default"].sha256)
    return table


_REMEDY = "OpenML must have changed the table, or the download is damaged: do not use it."


def _openml() -> "pd.DataFrame":
    from sklearn.datasets import fetch_openml

    frame: pd.DataFrame = fetch_openml(data_id=OPENML_ID, as_frame=True, parser="auto", cache=False, n_retries=1).frame
    return frame


def _path(name: str) -> Path | None:
    file = DATASETS[name].file
    home = os.environ.get(HOME, "")
    if not home or file is None:
        return None
    path = Path(home).expanduser() / file
    return path if path.is_file() else None


def _read(path: Path, dataset: Dataset) -> "pd.DataFrame":
    import pandas as pd

    content = path.read_bytes()
    _verify(content, path.name, dataset.sha256)
    stream = io.BytesIO(content)
    return pd.read_csv(stream) if path.suffix == ".csv" else pd.read_parquet(stream)


def _verify(content: bytes, what: str, sha256: str | None) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        message = (
            f"{what} must have sha256={sha256}, however: sha256={found}. "
            "The file is damaged or another version: get it again from its source."
        )
        raise DatasetError(message)


def _bundled(name: str) -> "pd.DataFrame":
    from sklearn import datasets

    kept = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(as_frame=True, **kept)
    table: pd.DataFrame = bunch.frame.rename(columns={"target": DATASETS[name].target})
    if name != "diabetes":  # the others have classes, and their names say more than their numbers
        names = [str(label) for label in bunch.target_names]
        table[DATASETS[name].target] = [names[code] for code in bunch.target]
    return table
