"""The command line: scorewise fit, sample, evaluate, schema, demo, experiment.

Heavy packages are imported inside the commands, so that help and mistakes in the command line are answered at once.
Exit codes: 0, done; 1, a failure such as a full disk; 2, bad use, with one sentence on the standard error and nothing
written; 130, interrupted.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from scorewise.suite import SuiteError, choose, find_clone, invocation, list_scripts
from scorewise.terminal import follow, say, show, tell

if TYPE_CHECKING:
    import pyarrow as pa

    from scorewise.tabular.synthesizer import Synthesizer

P = ParamSpec("P")

DEMO_MINUTES = 2.5  # of training; with sampling and evaluation the demo stays under five minutes on two cores
DEMO_FILES = {"model", "synthetic.csv", "report.html"}

app = typer.Typer(
    name="scorewise",
    help="Give it a table; get a synthetic table, and the evidence of its fidelity, usefulness and privacy.",
    epilog="Tables are .csv, .tsv (also with .gz behind) or .parquet files; - is the standard input or output, as CSV.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time that help takes would go to importing it
)


class UsageError(Exception):
    """Bad use of the command line: what must hold, what was found, what to do."""


def main() -> None:
    """Entry point of the `scorewise` command."""
    app()


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command that turns errors into one sentence on the standard error and an exit code.

    A mistake of the user (`UsageError`, `SuiteError`, `TableError`) exits with 2, a failure of the machine (`OSError`)
    with 1, an interruption with 130. Whatever else is raised is a defect of this package and keeps its traceback.

    Args:
        command: the command

    Returns:
        The same command, with the same signature.

    Raises:
        typer.Exit: With the exit code.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()  # here, where a full disk is told in a sentence, and not by Python at its end
        except KeyboardInterrupt:
            say("scorewise: interrupted.")
            raise typer.Exit(130) from None
        except (UsageError, OSError, ValueError) as error:
            if isinstance(error, OSError):
                say(f"scorewise: {error.strerror or error}")
                _give_up_unwritten()
                raise typer.Exit(1) from error
            if not isinstance(error, UsageError | SuiteError | _table_error()):
                raise
            say(f"scorewise: {error}")
            raise typer.Exit(2) from error

    return run


def _give_up_unwritten() -> None:
    """Drop what the standard output does not take, lest Python tries again at its end and exits with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _at_least_zero(value: int) -> int:
    if value < 0:
        raise typer.BadParameter(f"must be at least 0, however: {value}. Choose 0 or more.")
    return value


def _positive(value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise typer.BadParameter(f"must be more than 0 minutes, however: {value:g}. Leave it out for no limit.")
    return value


def _one_or_more(value: int) -> int:
    if value < 1:
        raise typer.BadParameter(f"must be at least 1, however: {value}. Ask for one row or more.")
    return value


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"scorewise {version('scorewise')}")
        raise typer.Exit


Seed = Annotated[int, typer.Option(help="Same seed, same machine: same result.", callback=_at_least_zero)]
Minutes = Annotated[float | None, typer.Option(metavar="MINUTES", help="Train no longer.", callback=_positive)]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that is to be predicted, if any.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary; errors only.")]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", metavar="FILE", help="Edited JSON from `scorewise schema`.")
]
Train = Annotated[str, typer.Argument(metavar="TRAIN", help="The real table.")]


@app.callback()
def scorewise(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Give it a table; get a synthetic table, and the evidence of its fidelity, usefulness and privacy."""


@app.command(epilog="Example: scorewise fit train.csv --target income --out model")
@guarded
def fit(
    train: Train,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The model; a model that is there is replaced.")] = Path(
        "model"
    ),
    target: Target = None,
    schema: SchemaFile = None,
    seed: Seed = 0,
    time_limit: Minutes = None,
    protect_rare: Annotated[
        bool, typer.Option("--protect-rare", help="Hide levels that fewer than five rows have, and such extremes.")
    ] = False,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Fit a model to a table. An interrupted run goes on where it stopped, by the same command."""
    _check_model_folder(out)
    _check_device(device)
    edited = _read_json(schema)
    table = _read(train)
    synthesizer = _fit(
        table,
        out,
        quiet,
        target=target,
        schema=edited,
        seed=seed,
        time_limit=time_limit,
        protect_rare=protect_rare,
        device=device,
    )
    synthesizer.save(out)
    if not quiet:
        say(f"Fitted {table.num_rows:,} rows of {table.num_columns} columns. The model is in {out}.")
        if not protect_rare:
            _tell_rare_levels(table, synthesizer)
        say(f"Next: scorewise sample {out} --rows {table.num_rows} --out synthetic.csv")


@app.command(epilog="Example: scorewise sample model --rows 10000 --out synthetic.parquet")
@guarded
def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that `scorewise fit` wrote.")],
    rows: Annotated[int, typer.Option(metavar="N", help="How many rows.", callback=_one_or_more)],
    out: Annotated[str, typer.Option(metavar="FILE", help="The synthetic table.")],
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Sample a synthetic table from a model."""
    from scorewise.tabular.table import SUFFIXES, write_table

    _check_output(out, SUFFIXES)
    _check_device(device)
    synthesizer = _load(model, device)
    write_table(follow(synthesizer.sample_steps(rows, seed=seed), "Sampling", quiet), out)
    if not quiet and out != "-":
        say(f"{rows:,} rows are in {out}.")


@app.command(epilog="Example: scorewise evaluate --real train.csv --synthetic synthetic.csv --report report.html")
@guarded
def evaluate(
    real: Annotated[str, typer.Option(metavar="TRAIN", help="The table that the model was fitted to.")],
    synthetic: Annotated[str, typer.Option(metavar="FILE", help="The synthetic table.")],
    test: Annotated[
        str | None, typer.Option(metavar="TEST", help="Real rows that were held out: for usefulness and privacy.")
    ] = None,
    target: Target = None,
    schema: SchemaFile = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the scores; - is the standard output.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report, one HTML page.")] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Judge a synthetic table by the real one.

    What is measured is its fidelity, its usefulness and its privacy, each score beside its floor.
    """
    _check_one_standard_input(real, synthetic, test)
    for output in (json_file, report):
        if output is not None:
            _check_output(str(output), ())
    edited = _read_json(schema)
    tables = _read(real), _read(synthetic), None if test is None else _read(test)
    from scorewise.tabular.report import evaluate as measure
    from scorewise.tabular.schema import Schema

    if not quiet:
        say("Evaluating ...")
    given = None if edited is None else Schema.infer(tables[0], target, overrides=edited)
    result = measure(tables[0], tables[1], test=tables[2], target=target, schema=given, seed=seed)
    if report is not None:
        result.to_html(report)
    if json_file is not None:
        _write_text(json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n", json_file)
    if not quiet and json_file != "-":
        show(result)


@app.command(epilog="Example: scorewise schema train.csv --out schema.json")
@guarded
def schema(
    train: Train,
    out: Annotated[str, typer.Option(metavar="FILE", help="Where to write it; - is the standard output.")] = "-",
    target: Target = None,
) -> None:
    """Say what the table is taken for, as JSON.

    Edit it, and give it to `scorewise fit --schema`.
    """
    if out != "-":
        _check_output(out, ())
    table = _read(train)
    from scorewise.tabular.schema import Schema

    inferred = Schema.infer(table, target)
    _write_text(json.dumps(inferred.to_json(), indent=2, ensure_ascii=False) + "\n", out)


@app.command(epilog="Example: scorewise demo --data my.csv --target income")
@guarded
def demo(
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="A table of your own; by default the best public one at hand.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write all.")] = Path("demo"),
    target: Target = None,
    seed: Seed = 0,
    time_limit: Annotated[
        float, typer.Option(metavar="MINUTES", help="Train no longer.", callback=_positive)
    ] = DEMO_MINUTES,
    quiet: Quiet = False,
) -> None:
    """Fit, sample and evaluate in one go.

    It takes less than five minutes and gives a model, a synthetic table and a report.
    """
    _check_demo_folder(out)
    name, table, target = _demo_table(data, target, quiet)
    train, test = _hold_out(table, seed)
    from dataclasses import replace

    from scorewise.tabular.report import evaluate as measure
    from scorewise.tabular.table import write_table

    out.mkdir(exist_ok=True)
    synthesizer = _fit(train, out / "model", quiet, target=target, seed=seed, time_limit=time_limit)
    synthesizer.save(out / "model")
    synthetic = follow(synthesizer.sample_steps(train.num_rows, seed=seed), "Sampling", quiet)
    write_table(synthetic, out / "synthetic.csv")
    if not quiet:
        say("Evaluating ...")
    result = measure(
        train,
        synthetic,
        test=test,
        target=target,
        seed=seed,
        trace=synthesizer.trace_,
        stopped=synthesizer.stopped_,
    )
    result = replace(result, about={"table": name, **result.about})
    result.to_html(out / "report.html")
    if not quiet:
        show(result)
        for file, what in (
            ("synthetic.csv", f"{synthetic.num_rows:,} synthetic rows"),
            ("model", "the model: scorewise sample makes more rows from it"),
            ("report.html", "the report: open it in a browser"),
        ):
            typer.echo(f"{out / file}  {what}")


@app.command(epilog="Example: scorewise experiment weighting optimal --quick")
@guarded
def experiment(
    suite: Annotated[str | None, typer.Argument(metavar="SUITE", help="A folder of experiments/.")] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The experiment; without it, a list.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small form, to see that it works.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="For JSON and figure.")] = None,
) -> None:
    """Run an experiment that comes with a clone, or list them."""
    clone = find_clone(Path(__file__).parent)
    chosen = choose(list_scripts(clone), suite, name)
    if name is None:
        _check_plain_list(quick, out)
        for script in chosen:
            typer.echo(f"{script.suite} {script.name}: {script.title}")
    else:
        _call(invocation(chosen[0], quick, out), clone)


def _fit(table: "pa.Table", out: Path, quiet: bool, **settings: Any) -> "Synthesizer":
    from scorewise.tabular.store import ModelError
    from scorewise.tabular.synthesizer import Synthesizer
    from scorewise.train import DivergedError

    checkpoint = out.with_name(out.name + ".partial")
    synthesizer = Synthesizer(checkpoint=checkpoint, **settings)
    try:
        follow(synthesizer.fit_steps(table), "Fitting", quiet)
    except KeyboardInterrupt:
        if checkpoint.exists():
            say(f"scorewise: interrupted. The state is in {checkpoint}: the same command goes on from there.")
            raise typer.Exit(130) from None
        raise
    except ModelError as error:
        raise UsageError(str(error)) from error
    except DivergedError as error:
        say(f"scorewise: {error}")
        raise typer.Exit(1) from error
    if not quiet:
        tell(synthesizer.stopped_, synthesizer.trace_["new rows"])
    return synthesizer


def _tell_rare_levels(table: "pa.Table", synthesizer: "Synthesizer") -> None:
    from scorewise.tabular.defect import listed
    from scorewise.tabular.protection import FEWEST_ROWS, rare_levels

    found = rare_levels(table, synthesizer.schema_)
    if found:
        counts = {name: f"{count:,} level{'s' if count > 1 else ''}" for name, count in found.items()}
        say(
            f"Levels that fewer than {FEWEST_ROWS} rows have are sampled as they are, in {listed(counts)}; "
            "--protect-rare hides them."
        )


def _load(model: Path, device: str) -> "Synthesizer":
    from scorewise.tabular.store import ModelError
    from scorewise.tabular.synthesizer import Synthesizer

    try:
        return Synthesizer.load(model, device=device)
    except ModelError as error:
        raise UsageError(str(error)) from error


def _table_error() -> type[ValueError]:
    from scorewise.tabular.table import TableError

    return TableError


def _read(path: str) -> "pa.Table":
    from scorewise.tabular.table import read_table

    return read_table(path)


def _read_json(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"--schema must name a file, however: there is no {path}. Check the name.") from error
    except ValueError as error:
        raise UsageError(
            f"--schema must name a JSON file, however: {path}: {error}. Mend it, or make it anew."
        ) from error
    if not isinstance(content, dict):
        found = type(content).__name__
        raise UsageError(f"--schema must hold a JSON object, however: {path} holds a {found}. Make it anew.")
    return content


def _check_one_standard_input(*paths: str | None) -> None:
    if paths.count("-") > 1:
        raise UsageError("Only one table can be read from the standard input, however: two or more are -. Name a file.")


def _check_output(path: str, suffixes: tuple[str, ...]) -> None:
    if path == "-":
        return
    file = Path(path)
    if suffixes and not file.name.lower().endswith(suffixes):
        raise UsageError(f"A table must be a {', '.join(suffixes)} file or -, however: {path}. Name one of these.")
    if file.is_dir():
        raise UsageError(f"The output must be a file, however: {path} is a folder. Name a file in it.")
    _check_parent(file)


def _check_parent(path: Path) -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"The folder of the output must exist, however: there is no {parent}. Create it first.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"The folder of the output must be writable, however: {parent} is not. Choose another.")


def _check_model_folder(out: Path) -> None:
    from scorewise.tabular.store import is_model

    _check_parent(out)
    if out.exists() and not is_model(out):
        raise UsageError(f"--out must be new or a model, however: {out} is something else. Name another, or remove it.")


def _check_device(device: str) -> None:
    from scorewise.tabular.synthesizer import choose_device

    try:
        choose_device(device)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_demo_folder(out: Path) -> None:
    _check_parent(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out must be a folder, however: {out} is a file. Name another.")
    others = sorted({file.name.removesuffix(".partial") for file in out.iterdir()} - DEMO_FILES) if out.exists() else []
    if others:
        raise UsageError(
            f"--out must be new or an earlier demo, however: {out} holds {', '.join(others)}. Name another."
        )


def _check_plain_list(quick: bool, out: Path | None) -> None:
    if quick or out is not None:
        raise UsageError("NAME must be given with --quick and --out, however: it is missing. Name an experiment.")


def _call(words: list[str], folder: Path) -> None:
    if subprocess.run(words, cwd=folder, check=False).returncode:
        raise typer.Exit(1)


def _demo_table(data: str | None, target: str | None, quiet: bool) -> "tuple[str, pa.Table, str | None]":
    if data is not None:
        return data, _read(data), target
    from scorewise.datasets import DATASETS, for_demo
    from scorewise.tabular.table import to_arrow

    name, frame, reason = for_demo()
    if not quiet:
        say(f"Table: {DATASETS[name].title}. {reason}")
    return DATASETS[name].title, to_arrow(frame), target or DATASETS[name].target


def _hold_out(table: "pa.Table", seed: int) -> "tuple[pa.Table, pa.Table]":
    import numpy as np

    if table.num_rows < 20:
        raise UsageError(f"A demo must have at least 20 rows, however: {table.num_rows}. Give it a longer table.")
    order = np.random.default_rng(seed).permutation(table.num_rows)
    count = table.num_rows // 10
    return table.take(np.sort(order[count:])), table.take(np.sort(order[:count]))


def _write_text(text: str, path: str) -> None:
    if path == "-":
        typer.echo(text, nl=False)
        return
    from scorewise.tabular.table import write_whole

    write_whole(Path(path), text.encode())


if __name__ == "__main__":
    main()
