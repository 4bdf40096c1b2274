"""The command line as it is used: what it refuses, what it leaves behind, and one run of all of it."""

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import scorewise.cli
from scorewise.cli import app

Make = Callable[..., pd.DataFrame]
MINUTES = "0.05"  # of training: three seconds are enough to see that it works


def run(*words: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin)


def refused(result: Result, message: str, folder: Path) -> None:
    """Exit code 2, the message on the standard error alone, no traceback, and no output in the folder."""
    assert result.exit_code == 2, result.output
    said = " ".join(result.stderr.replace("│", " ").split())
    assert message in said
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert not (folder / "model").exists()
    assert not (folder / "model.partial").exists()
    assert not (folder / "out.csv").exists()
    assert not (folder / "out.json").exists()


@pytest.fixture
def train(tmp_path: Path, small_table: Make) -> Path:
    path = tmp_path / "train.csv"
    small_table(rows=300, seed=0).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, small_table: Make) -> Path:
    """A model of 300 rows, trained for a few seconds: never a good one, always a whole one."""
    folder = tmp_path_factory.mktemp("fitted")
    small_table(rows=300, seed=0).to_csv(folder / "train.csv", index=False)
    result = run("fit", folder / "train.csv", "--out", folder / "model", "--time-limit", MINUTES, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    return folder / "model"


# --- help and options


@pytest.mark.parametrize("command", ["fit", "sample", "evaluate", "schema", "demo", "experiment"])
def test_help_has_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: scorewise {command} " in " ".join(result.output.split())


def test_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("scorewise 0.")


def test_help_is_quick_and_loads_no_heavy_package() -> None:
    program = (
        "import sys\nfrom scorewise.cli import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(*{'torch', 'pandas', 'sklearn', 'lightgbm', 'pyarrow', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit"], "Missing argument 'TRAIN'"),
        (["fit", "train.csv", "--epochs", "3"], "No such option: --epochs"),
        (["fit", "train.csv", "--seed", "-1"], "must be at least 0, however: -1"),
        (["fit", "train.csv", "--time-limit", "0"], "must be more than 0 minutes, however: 0"),
        (["sample", "model", "--rows", "0", "--out", "out.csv"], "must be at least 1, however: 0. Ask for one row"),
        (["sample", "model", "--rows", "-5", "--out", "out.csv"], "must be at least 1, however: -5"),
        (["sample", "model", "--rows", "many", "--out", "out.csv"], "Invalid value for '--rows'"),
        (["sample", "model", "--rows", "3", "--out", "out.csv", "--device", "tpu9"], "device must be auto, cpu, cuda"),
        (["evaluate", "--real", "-", "--synthetic", "-"], "Only one table can be read from the standard input"),
    ],
)
def test_bad_options(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(run(*words), message, tmp_path)


# --- bad tables

BAD_CSV = {
    "an empty file": (b"", "must hold a header and rows, however: it is empty"),
    "a header only": (b"a,b\n", "must hold one row or more, however: it is a header only"),
    "duplicate names": (b"a,a,b\n1,2,3\n4,5,6\n", "Column names must be distinct, however: 'a' stand"),
    "no UTF-8": (
        "a,b\n1,caf\u00e9\n2,th\u00e9\n".encode("latin-1"),
        "must be encoded as UTF-8, however: byte 9 is 0xe9",
    ),
    "ragged rows": (b"a,b\n1,2\n3,4,5\n", "must have 2 fields in each row"),
    "one row": (b"a,b\n1,2\n", "A table must have 2 rows or more, however: 1 row."),
    "one column": (
        b"a\n" + b"".join(b"%d.5\n" % (i * i) for i in range(40)),
        "A table must have 2 columns or more that can be learned, however: one column, 'a'",
    ),
    "an all-missing column beside one": (
        b"a,b\n" + b"".join(b"%d.5,\n" % (i * i) for i in range(40)),
        "A table must have 2 columns or more that can be learned, however: one column, 'a' (besides 'b' (constant))",
    ),
}


@pytest.mark.parametrize("command", ["fit", "schema"])
@pytest.mark.parametrize("defect", BAD_CSV)
def test_a_bad_csv_is_refused(command: str, defect: str, tmp_path: Path) -> None:
    content, message = BAD_CSV[defect]
    (tmp_path / "train.csv").write_bytes(content)
    out = tmp_path / ("model" if command == "fit" else "out.json")
    refused(run(command, tmp_path / "train.csv", "--out", out), message, tmp_path)


def test_rare_levels_are_hidden_where_asked_for(tmp_path: Path, small_table: Make) -> None:
    frame = small_table(rows=300, seed=0)
    frame["job"] = ["clerk", "nurse", "cook"] * 99 + ["secret"] * 3
    frame.to_csv(tmp_path / "train.csv", index=False)
    words = ["fit", tmp_path / "train.csv", "--out", tmp_path / "model", "--time-limit", "0.001"]
    told = "Levels that fewer than 5 rows have are sampled as they are, in 'job' (1 level); --protect-rare hides them."
    found = []
    for more in ([], ["--quiet"], ["--protect-rare"]):
        result = run(*words, *more)
        assert result.exit_code == 0
        found.append((told in result.stderr, "secret" in (tmp_path / "model" / "model.json").read_text()))
    assert found == [(True, True), (False, True), (False, False)]


def test_no_such_file(tmp_path: Path) -> None:
    result = run("fit", tmp_path / "absent.csv", "--out", tmp_path / "model")
    refused(result, "A table must be a file that exists, however: there is no", tmp_path)


def test_an_unknown_extension(tmp_path: Path) -> None:
    (tmp_path / "train.xlsx").write_bytes(b"PK")
    refused(run("fit", tmp_path / "train.xlsx", "--out", tmp_path / "model"), "must be a .csv, .csv.gz, .tsv", tmp_path)


def test_infinite_values(tmp_path: Path) -> None:
    values = np.arange(40.0)
    values[7] = np.inf
    pq.write_table(pa.table({"a": values, "b": np.arange(40) % 2}), tmp_path / "train.parquet")
    refused(run("fit", tmp_path / "train.parquet", "--out", tmp_path / "model"), "'a' hold infinite values", tmp_path)


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and then nothing")
    result = run("fit", tmp_path / "train.parquet", "--out", tmp_path / "model")
    refused(result, "must be a Parquet file, however: it is damaged", tmp_path)


def test_two_thousand_columns(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = pa.table({f"x{i}": generator.normal(size=30) for i in range(2_000)})
    pq.write_table(table, tmp_path / "train.parquet")
    start = time.monotonic()
    refused(run("fit", tmp_path / "train.parquet", "--out", tmp_path / "model"), "at most 1,000 columns", tmp_path)
    assert time.monotonic() - start < 20.0


def test_a_target_that_is_not_there(train: Path, tmp_path: Path) -> None:
    result = run("fit", train, "--target", "defaults", "--out", tmp_path / "model")
    refused(result, "there is no 'defaults'. Did you mean 'default'", tmp_path)


def test_nothing_on_the_standard_input(tmp_path: Path) -> None:
    result = run("fit", "-", "--out", tmp_path / "model", stdin=b"")
    refused(result, "The standard input must hold a table as CSV, however: nothing came", tmp_path)


# --- bad outputs


def test_a_folder_of_another_kind_is_not_overwritten(train: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("one")
    refused(run("fit", train, "--out", tmp_path / "thesis"), "--out must be new or a model, however", tmp_path)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "one"


def test_a_file_is_not_overwritten_by_a_model(train: Path, tmp_path: Path) -> None:
    content = train.read_bytes()
    refused(run("fit", train, "--out", train), "--out must be new or a model, however", tmp_path)
    assert train.read_bytes() == content


def test_a_demo_does_not_write_into_a_folder_of_another_kind(train: Path, tmp_path: Path) -> None:
    result = run("demo", "--data", train, "--out", tmp_path)
    refused(result, "--out must be new or an earlier demo, however", tmp_path)
    assert "train.csv" in result.stderr


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("absent/out.csv", "The folder of the output must exist, however: there is no"),
        ("out.xlsx", "A table must be a .csv, .csv.gz, .tsv, .tsv.gz, .parquet file or -, however"),
        ("folder.csv", "The output must be a file, however"),
    ],
)
def test_an_output_is_checked_before_any_work(out: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    result = run("sample", tmp_path / "absent", "--rows", "10", "--out", tmp_path / out)
    refused(result, message, tmp_path)


def test_a_model_into_a_folder_that_is_not_there(train: Path, tmp_path: Path) -> None:
    result = run("fit", train, "--out", tmp_path / "absent" / "model")
    refused(result, "The folder of the output must exist, however: there is no", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--schema must name a file, however: there is no"),
        ("{", "--schema must name a JSON file, however"),
        ("[]", "--schema must hold a JSON object, however"),
    ],
)
def test_a_bad_schema_file(content: str | None, message: str, train: Path, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "schema.json").write_text(content)
    result = run("fit", train, "--schema", tmp_path / "schema.json", "--out", tmp_path / "model")
    refused(result, message, tmp_path)


# --- bad models


def test_no_model_there(tmp_path: Path) -> None:
    refused(
        run("sample", tmp_path / "absent", "--rows", "3", "--out", tmp_path / "out.csv"),
        "absent: no such folder",
        tmp_path,
    )


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"\x89PNG")
    refused(
        run("sample", tmp_path / "photos", "--rows", "3", "--out", tmp_path / "out.csv"),
        "photos: no model.json",
        tmp_path,
    )


def test_a_damaged_model(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    tensors = copy / "model.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    result = run("sample", copy, "--rows", "3", "--out", tmp_path / "out.csv")
    refused(result, "must be the file that was saved, however: its checksum differs", tmp_path)


# --- evaluate


def test_a_synthetic_table_with_other_columns(train: Path, tmp_path: Path, small_table: Make) -> None:
    other = small_table(rows=50, seed=1).rename(columns={"age": "years"})
    other.to_csv(tmp_path / "synthetic.csv", index=False)
    result = run(
        "evaluate", "--real", train, "--synthetic", tmp_path / "synthetic.csv", "--json", tmp_path / "out.json"
    )
    refused(result, "'age'", tmp_path)
    assert "years" in result.stderr


def test_evaluate_writes_what_it_prints(train: Path, tmp_path: Path, small_table: Make) -> None:
    small_table(rows=200, seed=1).to_csv(tmp_path / "synthetic.csv", index=False)
    small_table(rows=100, seed=2).to_csv(tmp_path / "test.csv", index=False)
    words = ["evaluate", "--real", train, "--synthetic", tmp_path / "synthetic.csv", "--test", tmp_path / "test.csv"]
    words += ["--target", "default", "--json", tmp_path / "scores.json", "--report", tmp_path / "report.html"]
    result = run(*words)
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["scores"]
    assert {"shapes", "trends", "detection", "utility", "closer_to_train"} <= set(scores)
    assert "Shapes" in result.stdout
    assert (tmp_path / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_evaluate_writes_json_to_the_standard_output_alone(train: Path, small_table: Make) -> None:
    synthetic = small_table(rows=200, seed=1).to_csv(index=False).encode()
    result = run("evaluate", "--real", train, "--synthetic", "-", "--json", "-", stdin=synthetic)
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert "shapes" in content["scores"]
    assert "utility" in content["skipped"]


# --- schema


def test_a_schema_is_written_edited_and_used(train: Path, tmp_path: Path) -> None:
    printed = run("schema", train, "--target", "default")
    assert printed.exit_code == 0, printed.output
    content = json.loads(printed.stdout)
    kinds = {column["name"]: column["kind"] for column in content["columns"]}
    assert kinds["income"] == "number"
    assert kinds["job"] == "category"
    assert content["target"] == "default"
    assert run("schema", train, "--target", "default", "--out", tmp_path / "out.json").exit_code == 0
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == printed.stdout


# --- end to end


def test_sample_gives_the_columns_and_values_of_the_table(model: Path, tmp_path: Path) -> None:
    result = run("sample", model, "--rows", "120", "--out", tmp_path / "out.csv", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    real = pd.read_csv(model.parent / "train.csv")
    synthetic = pd.read_csv(tmp_path / "out.csv")
    assert len(synthetic) == 120
    assert list(synthetic.columns) == list(real.columns)
    assert set(synthetic["job"]) <= set(real["job"])
    assert synthetic["age"].between(real["age"].min(), real["age"].max()).all()


def test_same_seed_same_bytes_whatever_the_way_out(model: Path, tmp_path: Path) -> None:
    first = run("sample", model, "--rows", "50", "--out", "-", "--seed", "3", "--quiet")
    second = run("sample", model, "--rows", "50", "--out", tmp_path / "out.csv", "--seed", "3")
    other = run("sample", model, "--rows", "50", "--out", "-", "--seed", "4", "--quiet")
    assert [first.exit_code, second.exit_code, other.exit_code] == [0, 0, 0]
    assert first.stdout_bytes == (tmp_path / "out.csv").read_bytes()
    assert first.stdout_bytes != other.stdout_bytes
    assert len(pd.read_csv(io.BytesIO(first.stdout_bytes))) == 50


def test_a_model_is_replaced_by_a_model_and_reads_the_standard_input(tmp_path: Path, small_table: Make) -> None:
    csv = small_table(rows=60, seed=5).to_csv(index=False).encode()
    for column in ("job", "member"):
        result = run("fit", "-", "--out", tmp_path / "model", "--target", column, "--time-limit", "0.001", stdin=csv)
        assert result.exit_code == 0, result.output
        assert f"Fitted 60 rows of 5 columns. The model is in {tmp_path / 'model'}" in result.stderr
        assert "Trained. It ended at the time limit of 0.001 minutes" in result.stderr
        assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_demo_on_a_table_of_the_users(tmp_path: Path, small_table: Make) -> None:
    small_table(rows=300, seed=0).to_csv(tmp_path / "my.csv", index=False)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "synthetic.csv").write_text("of an earlier demo\n")
    words = ["demo", "--data", tmp_path / "my.csv", "--target", "default", "--time-limit", MINUTES]
    result = run(*words, "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["model", "report.html", "synthetic.csv"]
    reason = next(line for line in result.stderr.splitlines() if line.startswith("Trained. ")).removeprefix("Trained. ")
    assert reason in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert len(pd.read_csv(tmp_path / "demo" / "synthetic.csv")) == 270
    for said in ("Utility", "Closer to train", str(tmp_path / "demo" / "report.html")):
        assert said in result.stdout


def test_a_demo_of_too_few_rows(tmp_path: Path, small_table: Make) -> None:
    small_table(rows=19, seed=0).to_csv(tmp_path / "my.csv", index=False)
    result = run("demo", "--data", tmp_path / "my.csv", "--out", tmp_path / "demo")
    refused(result, "A demo must have at least 20 rows, however: 19", tmp_path)
    assert not (tmp_path / "demo").exists()


# --- full disk, interruption


def small_files_only() -> None:
    """In a child process: no file may grow beyond 4 KiB, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096))


def test_a_full_disk_while_a_table_is_saved(model: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("older\n")
    done = subprocess.run(
        [sys.executable, "-m", "scorewise.cli", "sample", model, "--rows", "3000", "--out", tmp_path / "out.csv"],
        capture_output=True,
        text=True,
        preexec_fn=small_files_only,
    )
    assert done.returncode == 1, done.stderr
    assert "out.csv could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out.csv").read_text() == "older\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_full_disk_while_a_model_is_saved(train: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scorewise.cli", "fit", train, "--out", tmp_path / "model", "--time-limit", "0.02"],
        capture_output=True,
        text=True,
        preexec_fn=small_files_only,
    )
    assert done.returncode == 1, done.stderr
    assert "The model must be written to" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output(train: Path, unbuffered: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    words = [sys.executable, "-m", "scorewise.cli", "schema", train]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.strip() == "scorewise: No space left on device"


def test_an_interrupted_fit_goes_on_by_the_same_command(train: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "scorewise.cli", "fit", train, "--out", tmp_path / "model", "--time-limit", "0.05"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as child:
        assert child.stderr is not None
        first = child.stderr.readline()
        child.send_signal(signal.SIGINT)
        said = child.stderr.read()
    assert first.startswith("Fitting: 1 of "), first
    assert child.returncode == 130, said
    assert "model.partial: the same command goes on from there" in said
    assert "Traceback" not in said
    assert not (tmp_path / "model").exists()
    again = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "model").is_dir()
    assert not (tmp_path / "model.partial").exists()


# --- experiments


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the package as it is and one suite of two small scripts, of which one is shared code."""
    root = tmp_path / "clone"
    shutil.copytree(Path(scorewise.cli.__file__).parent, root / "src" / "scorewise")
    toy = root / "experiments" / "toy"
    toy.mkdir(parents=True)
    (toy / "shared.py").write_text("HALF = 0.5\n", encoding="utf-8")
    (toy / "half.py").write_text(
        '"""Say what it was told.\n\nAnd more."""\nimport sys\nfrom experiments.toy.shared import HALF\n'
        'if __name__ == "__main__":\n    print(HALF, *sys.argv[1:])\n    sys.exit(len(sys.argv) > 3)\n',
        encoding="utf-8",
    )
    return root


def in_clone(root: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    program = [sys.executable, "-m", "scorewise.cli", "experiment", *words]
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_experiment_runs_as_a_module_of_the_clone(clone: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra: pip install -e '.[experiments]'")
    done = in_clone(clone / "src", tmp_path, "toy", "half", "--quick")
    assert (done.returncode, done.stdout) == (0, "0.5 --quick\n"), done.stderr
    done = in_clone(clone / "src", tmp_path, "toy", "half", "--out", "here")
    assert (done.returncode, done.stdout) == (0, f"0.5 --out {tmp_path / 'here'}\n"), done.stderr
    assert in_clone(clone / "src", tmp_path, "toy", "half", "--quick", "--out", "here").returncode == 1


def test_experiments_are_listed_by_suite(clone: Path, tmp_path: Path) -> None:
    for words in ((), ("toy",)):
        done = in_clone(clone / "src", tmp_path, *words)
        assert (done.returncode, done.stdout) == (0, "toy half: Say what it was told.\n"), done.stderr


def test_experiments_of_this_clone_are_there() -> None:
    result = run("experiment", "weighting")
    assert result.exit_code == 0
    assert {line.split(":")[0] for line in result.stdout.splitlines()} >= {"weighting training", "weighting optimal"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "SUITE must be one of "),
        (["nothing"], "however: nothing. Choose one of these."),
        (["weighting", "nothing"], "NAME must be one of allocation, "),
        (["weighting", "--quick"], "NAME must be given with --quick and --out, however: it is missing"),
    ],
)
def test_experiments_that_do_not_exist_are_refused(words: list[str], message: str, tmp_path: Path) -> None:
    refused(run("experiment", *words), message, tmp_path)


def test_experiments_need_a_clone(clone: Path, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    shutil.copytree(clone / "src", site)
    done = in_clone(site, tmp_path, "toy", "half")
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "Experiments must be run from a clone, however: this package is installed in" in said
    assert "Clone the repository" in said
    assert "Traceback" not in said


def test_experiments_need_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # what an environment without it finds
    refused(run("experiment", "weighting", "optimal"), "Experiments need matplotlib, however: it is not", tmp_path)
