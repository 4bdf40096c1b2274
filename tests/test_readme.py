"""What README.md shows is run.

Every ```python block is run, in order, in one namespace, in a folder that holds `train.csv` and `test.csv` (300 and 100
rows of a small mixed table: `age`, `income`, `job`, `member`, `default`) and nothing else. A comment on the line before
a block changes that:

    <!-- test: 10 -> 0.05 -->    run it with the second text in place of the first, which must occur in it once
    <!-- not run: reason -->     do not run it

Every line of a ```bash block is held against the program that it calls: a `scorewise` command must exist with each of
its options, a `make` target must exist, any other program must be one of `KNOWN`.
"""

import ast
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from scorewise.cli import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
KNOWN = {"cd", "export", "git", "pip", "python", "python3", "head", "gunzip", "zcat", "source", "."}


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it begins on, and the comment on the line before it."""

    language: str
    text: str
    line: int
    comment: str


def blocks(page: str) -> list[Block]:
    comment = r"(?:^<!--[ \t]*(?P<comment>[^\n]*?)[ \t]*-->\n\n?)?"
    pattern = re.compile(comment + r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        Block(found["language"], found["text"], page.count("\n", 0, found.start("text")) + 1, found["comment"] or "")
        for found in pattern.finditer(page)
    ]


def prepared(block: Block) -> str | None:
    """The text to run, or None for a block that is not to be run."""
    if not block.comment or re.fullmatch(r"not run: .{10,}", block.comment):
        return None if block.comment else block.text
    swap = re.fullmatch(r"test: (.+) -> (.*)", block.comment)
    assert swap is not None, f"README.md:{block.line}: not a comment that the tests know: {block.comment!r}"
    assert block.text.count(swap[1]) == 1, f"README.md:{block.line}: {swap[1]!r} must occur once in the block"
    return block.text.replace(swap[1], swap[2])


def run_python(page: str) -> dict[str, Any]:
    """Run the page's python blocks in one namespace; an error names the line of the page."""
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks(page):
        text = prepared(block) if block.language == "python" else None
        if text is not None:
            tree = ast.increment_lineno(ast.parse(text), block.line - 1)
            exec(compile(tree, "README.md", "exec"), namespace)
    return namespace


def calls(page: str) -> list[list[str]]:
    """The words of every command in the page's bash blocks."""
    found = []
    for block in blocks(page):
        if block.language != "bash":
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words:
                end = next((i for i, word in enumerate(words) if word in {"|", "&&", ";"}), len(words))
                call, words = words[:end], words[end + 1 :]
                while call and re.match(r"\w+=", call[0]):
                    call = call[1:]
                found.append(call)
    return [call for call in found if call]


def wrong(call: list[str]) -> str | None:
    """What is wrong with a command, or None."""
    program = Path(call[0]).name if "/" in call[0] else call[0]
    if program == "scorewise":
        return _wrong_command(call[1:])
    if program == "make":
        targets = [word for word in call[1:] if "=" not in word]
        done = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True)
        return done.stderr.strip() or None if done.returncode else None
    return None if program in KNOWN else f"{program} is no program that the README may call"


def _wrong_command(words: list[str]) -> str | None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    commands = group.commands
    if not words or words[0].startswith("-"):
        known = {option for parameter in group.params for option in parameter.opts} | {"--help"}
        return next((f"scorewise has no {word}" for word in words if word not in known), None)
    if words[0] not in commands:
        return f"scorewise has no command {words[0]}"
    known = {option for parameter in commands[words[0]].params for option in parameter.opts} | {"--help"}
    options = [word.partition("=")[0] for word in words[1:] if word.startswith("-") and word != "-"]
    return next((f"scorewise {words[0]} has no {option}" for option in options if option not in known), None)


def test_the_readme_shows_python_and_commands() -> None:
    languages = [block.language for block in blocks(README.read_text(encoding="utf-8"))]
    assert "python" in languages
    assert "bash" in languages
    assert set(languages) <= {"python", "bash", "text", "json"}


def test_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_table: Callable[..., Any]
) -> None:
    small_table(rows=300, seed=0).to_csv(tmp_path / "train.csv", index=False)
    small_table(rows=100, seed=1).to_csv(tmp_path / "test.csv", index=False)
    monkeypatch.chdir(tmp_path)
    run_python(README.read_text(encoding="utf-8"))


def test_commands_of_the_readme_exist() -> None:
    found = calls(README.read_text(encoding="utf-8"))
    assert any(call[0] == "scorewise" for call in found)
    assert [f"{' '.join(call)}: {problem}" for call in found if (problem := wrong(call))] == []


def test_blocks_share_a_namespace_and_comments_are_obeyed() -> None:
    page = (
        "```python\na = 10\n```\n<!-- test: 10 -> 2 -->\n```python\nb = a + 10\n```\n"
        "<!-- not run: it would take an hour -->\n```python\nraise SystemExit\n```\n```text\nno python\n```\n"
    )
    namespace = run_python(page)
    assert (namespace["a"], namespace["b"]) == (10, 12)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```python\nassert False, 'broken'\n```\n", "broken"),
        ("<!-- test: 11 -> 2 -->\n```python\na = 10\n```\n", r"README.md:3: '11' must occur once"),
        ("<!-- hidden -->\n```python\na = 10\n```\n", r"README.md:3: not a comment that the tests know: 'hidden'"),
    ],
)
def test_a_broken_block_is_caught(page: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run_python(page)


def test_an_error_names_the_line_of_the_page() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_python("# Title\n\n```python\na = 1\na / 0\n```\n")
    assert caught.traceback[-1].lineno == 4  # counted from 0: line 5 of the page


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("scorewise fit train.csv --out model  # ten minutes", None),
        ("$ scorewise sample model --rows 10 --out - | head -3", None),
        ("scorewise --version && scorewise schema train.csv", None),
        ("make demo DATA=my.csv", None),
        ("SCOREWISE_DATA_HOME=data make test", None),
        ("pip install .", None),
        ("scorewise fit train.csv \\\n  --epochs 3", "scorewise fit has no --epochs"),
        ("scorewise train train.csv", "scorewise has no command train"),
        ("scorewise --verbose", "scorewise has no --verbose"),
        ("wget page", "wget is no program that the README may call"),
    ],
)
def test_a_command_is_held_against_its_program(line: str, problem: str | None) -> None:
    found = [wrong(call) for call in calls(f"```bash\n{line}\n```\n")]
    assert found
    assert [one for one in found if one] == ([problem] if problem else [])


def test_a_make_target_that_is_not_there_is_caught() -> None:
    assert "No rule to make target 'fly'" in str(wrong(["make", "fly"]))


def test_the_version_is_one_number_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "([^"]+)"$', project, re.M)
    assert version is not None
    assert f"\nversion: {version[1]}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
